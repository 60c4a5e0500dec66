package matchers

import "github.com/mailetd/mailetd/container"

// DSNDelayRequested matches the recipients for which the client asked to be told
// about delay (RFC 3461 §4.1: NOTIFY=DELAY). A recipient without NOTIFY
// does not match.
//
//	<mailet match="DSNDelayRequested" class="DSNBounce">
//	  <prefix>[DELAY]</prefix>
//	  <action>delayed</action>
//	</mailet>
//
// Condition: empty, or shouldMatchByDefault, which turns the answer for
// recipients without NOTIFY around. The keywords are read from the attribute
// dsn-notify; a stored value that no NOTIFY parameter can have is an error, which
// onMatchException handles.
//
// Differs from James: nothing.
type DSNDelayRequested struct{ dsnRequested }

func newDSNDelayRequested(condition string) (container.Matcher, error) {
	d, err := dsnCondition("DELAY", condition, "shouldMatchByDefault", false)
	if err != nil {
		return nil, err
	}
	return &DSNDelayRequested{d}, nil
}
