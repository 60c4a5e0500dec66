package matchers

import "github.com/mailetd/mailetd/container"

// DSNFailureRequested matches the recipients for which the client asked to be told
// about failure (RFC 3461 §4.1: NOTIFY=FAILURE). A recipient without NOTIFY
// matches: that is what a client expects that never heard of DSN.
//
//	<mailet match="DSNFailureRequested" class="DSNBounce">
//	  <prefix>[FAILURE]</prefix>
//	  <action>failed</action>
//	</mailet>
//
// Condition: empty, or shouldNotMatchByDefault, which turns the answer for
// recipients without NOTIFY around. The keywords are read from the attribute
// dsn-notify; a stored value that no NOTIFY parameter can have is an error, which
// onMatchException handles.
//
// Differs from James: nothing.
type DSNFailureRequested struct{ dsnRequested }

func newDSNFailureRequested(condition string) (container.Matcher, error) {
	d, err := dsnCondition("FAILURE", condition, "shouldNotMatchByDefault", true)
	if err != nil {
		return nil, err
	}
	return &DSNFailureRequested{d}, nil
}
