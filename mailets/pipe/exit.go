package pipe

import "github.com/mailetd/mailetd/container"

// exit is what an exit status means.
type exit struct{ result, status, meaning string }

// The statuses of sysexits.h, and the one with which qmail's programs refuse a
// mail. What is permanent says something about the mail or its recipient; what
// may be our own fault (a full disk, a mistake in a configuration) is temporary,
// unlike in Postfix, so that mending it mends the mails that wait.
var exits = map[int]exit{
	0:   {container.Delivered, "2.0.0", ""},
	64:  {container.Deferred, "4.3.5", "usage"},
	65:  {container.Failed, "5.6.0", "data format error"},
	66:  {container.Failed, "5.3.0", "cannot open input"},
	67:  {container.Failed, "5.1.1", "no such user"},
	68:  {container.Failed, "5.1.2", "no such host"},
	69:  {container.Failed, "5.3.0", "service unavailable"},
	70:  {container.Failed, "5.3.0", "internal software error"},
	71:  {container.Deferred, "4.3.0", "system error"},
	72:  {container.Deferred, "4.3.0", "system file missing"},
	73:  {container.Deferred, "4.2.0", "cannot create output"},
	74:  {container.Deferred, "4.3.0", "input/output error"},
	75:  {container.Deferred, "4.3.0", "temporary failure"},
	76:  {container.Failed, "5.5.0", "remote error in protocol"},
	77:  {container.Failed, "5.7.0", "permission denied"},
	78:  {container.Deferred, "4.3.5", "configuration error"},
	100: {container.Failed, "5.3.0", "refused"},
	126: {container.Deferred, "4.3.5", "not executable"},
	127: {container.Deferred, "4.3.5", "command not found"},
}

// judgeExit is the only place that decides what an exit status means. One that
// means nothing to us, as of a script that broke, is temporary.
func judgeExit(code int) exit {
	if e, ok := exits[code]; ok {
		return e
	}
	return exit{container.Deferred, "4.3.0", ""}
}
