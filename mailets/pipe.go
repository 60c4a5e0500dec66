package mailets

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/delivery"
	"github.com/mailetd/mailetd/mailets/pipe"
)

// Pipe runs a program for each recipient, which reads the message from its
// standard input. Its exit status says what became of the recipient, and what
// it writes is kept in the outcome and the log.
//
//	<processor name="archive">
//	  <mailet match="All" class="Pipe">
//	    <program>/usr/local/bin/archive-mail</program>
//	    <argument>--from={sender}</argument>
//	    <argument>--</argument>
//	    <argument>{recipient}</argument>
//	    <environment>ARCHIVE=/srv/archive</environment>
//	    <directory>/</directory>
//	    <unixLines>true</unixLines>
//	    <timeout>30s</timeout>
//	    <delayTime>1 minute, 10 minutes, 1 hour</delayTime>
//	    <maxRetries>5</maxRetries>
//	    <onFailure>error</onFailure>
//	    <concurrency>5</concurrency>
//	    <consume>true</consume>
//	  </mailet>
//	</processor>
//
// There is no shell: each argument is passed as it is, and nothing in an address
// can become a further one. In an argument {sender}, {recipient}, {user} (the
// local part of the recipient, as written) and {domain} are replaced; the null
// sender is the empty text. ${recipient} is the same, but a configuration file
// reads it as one of its variables, so that it has to be written $${recipient}.
// A recipient is refused, with status 5.1.3, when an argument that begins with a
// placeholder would begin with a hyphen and be taken for an option, unless an
// argument "--" stands before it; and when an address with a slash would get
// into an argument that has one itself, since it could lead to another folder.
//
// The environment has PATH, the variables given, and SENDER, RECIPIENT,
// ORIGINAL_RECIPIENT (as the client gave it in ORCPT, else RECIPIENT) and
// MAIL_NAME. The program runs as the user of the server, in a process group of
// its own, which is killed when the time is up.
//
// Exit status 0 means delivered. Permanent failures are 65 to 70, 76 and 77 of
// sysexits.h, and 100. All others are temporary: 64, 71 to 75 and 78, unknown
// ones, an end by a signal or for lack of time, and a program that cannot be
// started. The first 8 KiB of what the program writes are the text of the outcome,
// which a bounce may show to the sender; an enhanced status code at its beginning
// replaces ours when its class is right.
//
// What a retry runs again is the processor from its beginning, for the
// recipients that are left. So give the mailet a processor of its own, or at
// least nothing in front of it that must not happen twice.
//
// Parameters:
//
//   - program (required): absolute path of the program.
//   - argument: one argument; give the element once for each.
//   - environment: NAME=value; give the element once for each variable.
//   - directory (default /): working directory.
//   - unixLines (default false): whether the lines of the message end in LF, as
//     procmail and many scripts want it, and not in CRLF.
//   - timeout (default 30s): how long the program may run; a number without unit
//     means seconds. For a mail with several recipients no program is started
//     after that time; the others get their turn in a mail of their own.
//   - consume (default true): whether the processing of the mail ends here. If
//     not, it goes on for the recipients delivered to.
//   - maxRetries (default 5): retries after a temporary failure.
//   - delayTime (default 1 minute, 5 minutes, 30 minutes, 2 hours, 6 hours): comma
//     list of "[number *] delay", the waits before the retries, in milliseconds
//     unless a unit is given. The last one is repeated up to maxRetries.
//   - onTemporary: processor of recipients that failed for now, instead of
//     retries.
//   - onFailure (default error): processor of recipients that failed for good, or
//     once more after the last retry.
//   - concurrency (default 5): mails at the same time. A mail that finds no free
//     place goes back to the spool for ten seconds.
//
// Differs from James: James has no such class.
type Pipe struct {
	policy  *delivery.Policy
	program *pipe.Program
}

const pipeTimeout = 30 * time.Second

func newPipe(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		prog := &pipe.Program{Path: p.Required("program"), Dir: p.String("directory", "/"),
			UnixLines: p.Bool("unixLines", false), Timeout: timeLimit(p, "timeout", pipeTimeout)}
		for name, path := range map[string]string{"program": prog.Path, "directory": prog.Dir} {
			if path != "" && !filepath.IsAbs(path) {
				p.Fail(name, fmt.Errorf("%q is not an absolute path", path))
			}
		}
		args := p.Values("argument")
		var err error
		if prog.Arguments, err = pipe.ParseArguments(args); err != nil {
			p.Fail("argument", err)
		}
		for _, v := range p.Values("environment") {
			if err := pipe.CheckEnv(v); err != nil {
				p.Fail("environment", err)
				continue
			}
			prog.Env = append(prog.Env, v)
		}
		id := "Pipe " + strings.Join(append([]string{prog.Path}, args...), " ")
		if len(prog.Env) > 0 || p.Has("directory") {
			id += " " + fingerprint(append([]string{prog.Dir}, prog.Env...)...)
		}
		id += twin(p, "program", "argument", "environment", "directory")
		return &Pipe{newPolicy(s, p, delivery.Config{Name: "Pipe", ID: id, Batch: 1, Limit: prog.Timeout}, 5), prog}
	}
}

// Service runs the program for each recipient.
func (x *Pipe) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	x.policy.Run(ctx, m, out, func(ctx context.Context, rcpts []container.Address) []container.Outcome {
		outcomes := make([]container.Outcome, len(rcpts))
		for i, rcpt := range rcpts {
			_, original := originalRecipient(m.Attributes, rcpt)
			e := pipe.Envelope{Name: m.Name, Sender: m.Sender, Recipient: rcpt, Original: original}
			outcomes[i] = x.program.Run(ctx, e, &m.Message)
		}
		return outcomes
	})
	return nil
}

// ReferredStates implements container.StateReferrer.
func (x *Pipe) ReferredStates() []string { return x.policy.ReferredStates() }
