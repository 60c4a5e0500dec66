package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

const (
	// maxOutput bounds what is kept of what a program writes.
	maxOutput = 8 << 10
	// grace is how long a program that has ended, or was killed, may leave its
	// output open in processes that it started.
	grace = 2 * time.Second
	path  = "PATH=/usr/local/bin:/usr/bin:/bin"
)

// Program is a program that reads messages. It does not change and may be run
// several times at once.
type Program struct {
	Path      string // absolute
	Arguments []Argument
	Env       []string // NAME=value, besides what Run sets
	Dir       string   // working directory
	UnixLines bool     // lines end in LF, not CRLF
	Timeout   time.Duration
}

// CheckEnv returns what is wrong with a variable for Env.
func CheckEnv(s string) error {
	name, value, ok := strings.Cut(s, "=")
	switch {
	case !ok || name == "" || strings.ContainsAny(name, " \t\x00") || strings.IndexByte(value, 0) >= 0:
		return fmt.Errorf("%q is not of the form NAME=value", s)
	case name == "SENDER" || name == "RECIPIENT" || name == "ORIGINAL_RECIPIENT" || name == "MAIL_NAME":
		return fmt.Errorf("%s is set for each mail", name)
	}
	return nil
}

// Run lets the program read msg and returns what it made of it: delivered,
// deferred or failed, with its output as text. It takes no longer than Timeout
// and the grace.
func (p *Program) Run(ctx context.Context, e Envelope, msg *container.Message) container.Outcome {
	args, err := p.arguments(e)
	if err != nil {
		return p.outcome(container.Failed, "5.1.3", err.Error())
	}
	body, err := msg.Open()
	if err != nil {
		return p.outcome(container.Deferred, "4.3.0", "the message cannot be read: "+err.Error())
	}
	defer body.Close()
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.Path, args...)
	cmd.Dir, cmd.Env = p.Dir, p.environment(e)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = grace
	in, out := &source{r: body, cmd: cmd}, &output{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
	if p.UnixLines {
		cmd.Stdin = &unixLines{r: in}
	}
	err = cmd.Run()
	switch {
	case in.err != nil:
		return p.outcome(container.Deferred, "4.3.0", "the message cannot be read: "+in.err.Error())
	case cmd.ProcessState != nil && cmd.ProcessState.Exited():
		// Its word counts, also when the time was up while processes that it left
		// held its output.
		return p.judge(cmd.ProcessState, out)
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return p.outcome(container.Deferred, "4.3.0", fmt.Sprintf("killed after %s%s", p.Timeout, out.after(": ")))
	case err != nil && ctx.Err() != nil:
		return p.outcome(container.Deferred, "4.3.2", "interrupted")
	case err != nil && cmd.ProcessState == nil:
		return p.outcome(container.Deferred, "4.3.5", "cannot be started: "+startError(err))
	default: // a signal
		return p.judge(cmd.ProcessState, out)
	}
}

func (p *Program) arguments(e Envelope) ([]string, error) {
	var out []string
	for _, a := range p.Arguments {
		s, err := a.expand(e)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func (p *Program) environment(e Envelope) []string {
	original := e.Original
	if original == "" || strings.IndexByte(original, 0) >= 0 {
		original = e.Recipient.String()
	}
	env := append([]string{path}, p.Env...) // of two with one name the last counts
	return append(env, "SENDER="+e.Sender.String(), "RECIPIENT="+e.Recipient.String(), "ORIGINAL_RECIPIENT="+original, "MAIL_NAME="+e.Name)
}

// outcome is what became of one recipient. Text does not show where the program
// is: it may be told to strangers.
func (p *Program) outcome(result, status, text string) container.Outcome {
	return container.Outcome{Result: result, Enhanced: status, Text: mime.Clean(filepath.Base(p.Path) + ": " + text)}
}

// judge turns the end of a program into an outcome. Output that begins with an
// enhanced status code of the right class replaces ours.
func (p *Program) judge(state *os.ProcessState, out *output) container.Outcome {
	code := state.ExitCode()
	if code < 0 {
		return p.outcome(container.Deferred, "4.3.0", "ended by a signal ("+state.String()+")"+out.after(": "))
	}
	v := judgeExit(code)
	text := out.text()
	if word, rest, _ := strings.Cut(text, " "); container.IsEnhancedCode(word) && word[0] == v.status[0] {
		v.status, text = word, rest
	}
	said := fmt.Sprintf("exit status %d", code)
	if v.meaning != "" {
		said += " (" + v.meaning + ")"
	}
	if text != "" {
		said += ": " + text
	}
	return p.outcome(v.result, v.status, said)
}

// startError leaves out paths.
func startError(err error) string {
	var pe *os.PathError
	var ee *exec.Error
	switch {
	case errors.As(err, &pe):
		return pe.Err.Error()
	case errors.As(err, &ee):
		return ee.Err.Error()
	}
	return err.Error()
}

// killGroup kills a process that was not waited for, and those it started.
func killGroup(p *os.Process) error {
	if p == nil {
		return os.ErrProcessDone
	}
	if err := p.Signal(syscall.Signal(0)); err != nil {
		return err // over: its number may be that of another by now
	}
	return syscall.Kill(-p.Pid, syscall.SIGKILL)
}

// source is the message on its way into a program.
type source struct {
	r   io.Reader
	cmd *exec.Cmd
	err error // read when the program has ended
}

// Read kills the program before it can see that the message ends early.
func (s *source) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
		_ = killGroup(s.cmd.Process)
	}
	return n, err
}

// output keeps the beginning of what is written to it.
type output struct {
	mu  sync.Mutex
	buf []byte
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf = append(o.buf, b[:min(len(b), maxOutput-len(o.buf))]...)
	return len(b), nil
}

// text returns it on one line, fit for a log and a header field.
func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return mime.Clean(string(o.buf))
}

// after returns the text with something in front, "" without text.
func (o *output) after(prefix string) string {
	if t := o.text(); t != "" {
		return prefix + t
	}
	return ""
}
