package matchers

import "github.com/mailetd/mailetd/container"

// DSNSuccessRequested matches the recipients for which the client asked to be told
// about success (RFC 3461 §4.1: NOTIFY=SUCCESS). A recipient without NOTIFY
// does not match.
//
//	<mailet match="DSNSuccessRequested" class="DSNBounce">
//	  <prefix>[SUCCESS]</prefix>
//	  <action>delivered</action>
//	</mailet>
//
// Condition: empty, or shouldMatchByDefault, which turns the answer for
// recipients without NOTIFY around. The keywords are read from the attribute
// dsn-notify; a stored value that no NOTIFY parameter can have is an error, which
// onMatchException handles.
//
// Differs from James: nothing.
type DSNSuccessRequested struct{ dsnRequested }

func newDSNSuccessRequested(condition string) (container.Matcher, error) {
	d, err := dsnCondition("SUCCESS", condition, "shouldMatchByDefault", false)
	if err != nil {
		return nil, err
	}
	return &DSNSuccessRequested{d}, nil
}
