package pipe

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func envelope(from, to string) Envelope {
	e := Envelope{Name: "Mail1", Recipient: container.MustAddress(to)}
	if from != "" {
		e.Sender = container.MustAddress(from)
	}
	return e
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		args     []string
		from, to string
		want, no string
	}{
		{args: []string{"{recipient}", "{user}", "{domain}", "{sender}"}, from: "a@b.test", to: "Bob@example.com",
			want: "Bob@example.com|Bob|example.com|a@b.test"},
		{args: []string{"${recipient}", "x{user}y{domain}$z"}, to: "bob@example.com", want: "bob@example.com|xbobyexample.com$z"},
		{args: []string{"{sender}"}, to: "b@c.test", want: ""},
		{args: []string{"{}", "{print $1}", "{", "a{{user}"}, to: "b@c.test", want: "{}|{print $1}|{|a{b"},
		{args: []string{"{user}"}, to: `"a b; rm -rf /{domain}"@c.test`, want: `"a b; rm -rf /{domain}"`},
		{args: []string{"{user}"}, to: "$(id)@c.test", no: "x"},
		{args: []string{"{recipient}"}, to: "-rf@c.test", no: `"-rf@c.test" would be taken for an option`},
		{args: []string{"{sender}{user}"}, to: "-rf@c.test", no: "option"},
		{args: []string{"{sender}"}, from: "-x@c.test", to: "b@c.test", no: "option"},
		{args: []string{"--", "{recipient}"}, to: "-rf@c.test", want: "--|-rf@c.test"},
		{args: []string{"{recipient}", "--"}, to: "-rf@c.test", no: "option"},
		{args: []string{"-f{user}", "--to={user}"}, to: "-rf@c.test", want: "-f-rf|--to=-rf"},
		{args: []string{"/srv/{domain}/{user}"}, to: "bob@c.test", want: "/srv/c.test/bob"},
		{args: []string{"/srv/{user}"}, to: `"../../etc/x"@c.test`, no: "has a slash"},
		{args: []string{"{user}"}, to: "a/b@c.test", want: "a/b"},
	} {
		if strings.Contains(tc.to, "(") {
			if _, err := container.ParseAddress(tc.to); err == nil {
				t.Errorf("%s is an address", tc.to)
			}
			continue
		}
		args, err := ParseArguments(tc.args)
		if err != nil {
			t.Fatal(err)
		}
		got, err := (&Program{Arguments: args}).arguments(envelope(tc.from, tc.to))
		switch {
		case tc.no != "":
			if err == nil || !strings.Contains(err.Error(), tc.no) {
				t.Errorf("%q for %s: got %q, %v; want error %q", tc.args, tc.to, got, err, tc.no)
			}
		case err != nil || strings.Join(got, "|") != tc.want:
			t.Errorf("%q for %s: got %q, %v", tc.args, tc.to, got, err)
		}
	}
	if _, err := ParseArguments([]string{"x{recipent}"}); err == nil || !strings.Contains(err.Error(), "{recipent} stands for nothing") {
		t.Errorf("got %v", err)
	}
}

// Whatever the addresses are: as many arguments as configured, none an option
// that was not configured as one, none leading out of its folder.
func FuzzArguments(f *testing.F) {
	f.Add("{recipient}", "-x@example.com", "a@b.test")
	f.Add("/a/{user}", `"../x"@example.com`, "a@b.test")
	f.Add("{sender}{domain}", "b@c.test", "-@x.test")
	f.Fuzz(func(t *testing.T, arg, to, from string) {
		rcpt, err1 := container.ParseAddress(to)
		snd, err2 := container.ParseAddress(from)
		args, err3 := ParseArguments([]string{arg})
		if err1 != nil || err2 != nil || err3 != nil {
			return
		}
		got, err := (&Program{Arguments: args}).arguments(Envelope{Sender: snd, Recipient: rcpt})
		if err != nil {
			return
		}
		if len(got) != 1 {
			t.Fatalf("%q became %q", arg, got)
		}
		if strings.HasPrefix(got[0], "-") && !strings.HasPrefix(arg, "-") {
			t.Errorf("%q became the option %q", arg, got[0])
		}
		if strings.Contains(arg, "/") && strings.Count(got[0], "/") != strings.Count(arg, "/") {
			t.Errorf("%q became the path %q", arg, got[0])
		}
	})
}

// sh returns a program that is a shell script, for tests alone.
func sh(t *testing.T, script string, args ...string) *Program {
	t.Helper()
	list, err := ParseArguments(append([]string{"-c", script, "sh"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	return &Program{Path: "/bin/sh", Arguments: list, Dir: t.TempDir(), Timeout: time.Minute}
}

func message(body string) *container.Message {
	m := container.NewMessage([]byte("Subject: x\r\n"), container.BytesBody(body))
	return &m
}

func TestExitStatus(t *testing.T) {
	for _, tc := range []struct{ script, result, status, text string }{
		{"cat >/dev/null", "delivered", "2.0.0", "sh: exit status 0"},
		{"echo stored as 7", "delivered", "2.0.0", "sh: exit status 0: stored as 7"}, // reads nothing
		{"exit 67", "failed", "5.1.1", "sh: exit status 67 (no such user)"},
		{"echo no; echo 'not here' >&2; exit 77", "failed", "5.7.0", "sh: exit status 77 (permission denied): no not here"},
		{"echo 5.2.2 mailbox full; exit 69", "failed", "5.2.2", "sh: exit status 69 (service unavailable): mailbox full"},
		{"echo 4.2.2 mailbox full; exit 69", "failed", "5.3.0", "sh: exit status 69 (service unavailable): 4.2.2 mailbox full"},
		{"echo 4.2.2 mailbox full; exit 75", "deferred", "4.2.2", "sh: exit status 75 (temporary failure): mailbox full"},
		{"exit 1", "deferred", "4.3.0", "sh: exit status 1"},
		{"exit 78", "deferred", "4.3.5", "sh: exit status 78 (configuration error)"},
		{"/no/such/program 2>/dev/null", "deferred", "4.3.5", "sh: exit status 127 (command not found)"},
		{"exit 100", "failed", "5.3.0", "sh: exit status 100 (refused)"},
		{"kill -9 $$", "deferred", "4.3.0", "sh: ended by a signal (signal: killed)"},
		{`printf 'a\001\033[1mb\377\n'`, "delivered", "2.0.0", "sh: exit status 0: a[1mb?"},
	} {
		o := sh(t, tc.script).Run(t.Context(), envelope("", "b@c.test"), message(strings.Repeat("x", 1<<20)))
		if o.Result != tc.result || o.Enhanced != tc.status || o.Text != tc.text {
			t.Errorf("%s: got %+v", tc.script, o)
		}
	}
}

func TestInput(t *testing.T) {
	p := sh(t, `cat >got; env | grep -E '^(SENDER|RECIPIENT|ORIG|MAIL|X|HOME)' >env; printf '%s\n' "$@" >args`, "{recipient}", "a b")
	p.Env = []string{"X=1 2", "SENDER=no"}
	t.Setenv("HOME", "/secret")
	e := envelope("a@b.test", "bob@c.test")
	e.Original = "old@c.test"
	body := strings.Repeat("line\r\n", 200_000)
	if o := p.Run(t.Context(), e, message(body)); o.Result != "delivered" {
		t.Fatal(o)
	}
	if got := read(t, p, "got"); got != "Subject: x\r\n\r\n"+body {
		t.Errorf("got %d octets", len(got))
	}
	p.UnixLines = true
	if o := p.Run(t.Context(), e, message(body)); o.Result != "delivered" {
		t.Fatal(o)
	}
	if got := read(t, p, "got"); got != "Subject: x\n\n"+strings.ReplaceAll(body, "\r", "") {
		t.Errorf("got %d octets with LF", len(got))
	}
	if got := read(t, p, "args"); got != "bob@c.test\na b\n" {
		t.Errorf("arguments %q", got)
	}
	for _, want := range []string{"SENDER=a@b.test\n", "RECIPIENT=bob@c.test\n", "ORIGINAL_RECIPIENT=old@c.test\n", "MAIL_NAME=Mail1\n", "X=1 2\n"} {
		if got := read(t, p, "env"); !strings.Contains(got, want) || strings.Contains(got, "HOME") {
			t.Errorf("environment %q without %q", got, want)
		}
	}
}

func read(t *testing.T, p *Program, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.Dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOutputIsBounded(t *testing.T) {
	o := sh(t, "yes | head -c 10000000").Run(t.Context(), envelope("", "b@c.test"), message(""))
	if o.Result != "delivered" || len(o.Text) > maxOutput+100 {
		t.Errorf("%s with %d octets", o.Result, len(o.Text))
	}
}

// A program that hangs is killed with all it started, whatever it ignores.
func TestTimeout(t *testing.T) {
	p := sh(t, `trap '' TERM; sleep 1000 & echo $! >child; echo working; sleep 1000; echo never`)
	p.Timeout = 300 * time.Millisecond
	start := time.Now()
	o := p.Run(t.Context(), envelope("", "b@c.test"), message(strings.Repeat("x", 1<<20)))
	if o.Result != "deferred" || o.Text != "sh: killed after 300ms: working" || time.Since(start) > 20*time.Second {
		t.Errorf("after %s: %+v", time.Since(start), o)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(read(t, p, "child")))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); alive(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d lives", pid)
		}
	}
}

// alive reports whether a process runs; one that nobody waits for does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}

// A program that ends and leaves a process with its output open does not hold us
// up.
func TestLeftBehind(t *testing.T) {
	p := sh(t, `sleep 30 & echo $! >child; echo done`)
	start := time.Now()
	o := p.Run(t.Context(), envelope("", "b@c.test"), message(""))
	if o.Result != "delivered" || time.Since(start) > 20*time.Second {
		t.Errorf("after %s: %+v", time.Since(start), o)
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(read(t, p, "child"))); err == nil {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestCannotStart(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "missing: cannot be started: no such file or directory",
		plain:                         "plain: cannot be started: permission denied",
	} {
		o := (&Program{Path: path, Dir: "/", Timeout: time.Minute}).Run(t.Context(), envelope("", "b@c.test"), message(""))
		if o.Result != "deferred" || o.Enhanced != "4.3.5" || o.Text != want {
			t.Errorf("got %+v", o)
		}
	}
	o := (&Program{Path: "/bin/true", Dir: filepath.Join(dir, "gone"), Timeout: time.Minute}).Run(t.Context(), envelope("", "b@c.test"), message(""))
	if o.Result != "deferred" || strings.Contains(o.Text, dir) {
		t.Errorf("got %+v", o)
	}
}

type brokenBody struct{ opens bool }

func (brokenBody) Size() int64 { return 100 }
func (b brokenBody) Open() (io.ReadCloser, error) {
	if !b.opens {
		return nil, errors.New("disk trouble")
	}
	return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{})), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk trouble") }

// Half a message is not taken for a whole one: the program does not get to the
// point where it would store it.
func TestBrokenMessage(t *testing.T) {
	for _, opens := range []bool{false, true} {
		p := sh(t, `cat >tmp && mv tmp stored`)
		m := container.NewMessage(nil, brokenBody{opens})
		o := p.Run(t.Context(), envelope("", "b@c.test"), &m)
		if o.Result != "deferred" || !strings.Contains(o.Text, "cannot be read: disk trouble") {
			t.Errorf("got %+v", o)
		}
		if _, err := os.Stat(filepath.Join(p.Dir, "stored")); err == nil {
			t.Error("half a message was stored")
		}
	}
}

func TestCheckEnv(t *testing.T) {
	for s, ok := range map[string]bool{"A=b": true, "A=": true, "A=b=c": true, "A": false, "=b": false, "A B=c": false, "SENDER=x": false, "MAIL_NAME=": false} {
		if err := CheckEnv(s); (err == nil) != ok {
			t.Errorf("%s: got %v", s, err)
		}
	}
}

// A program that ended in time has delivered, also when what it left behind holds
// its output until the time is up: another run would be a second delivery.
func TestEndedBeforeTheTimeWasUp(t *testing.T) {
	for script, want := range map[string]string{
		"sleep 3 & exit 0":  container.Delivered,
		"sleep 3 & exit 67": container.Failed,
	} {
		p := sh(t, script)
		p.Timeout = grace * 3 / 4
		if o := p.Run(t.Context(), envelope("", "b@c.test"), message("x")); o.Result != want {
			t.Errorf("%s: %s (%s), want %s", script, o.Result, o.Text, want)
		}
	}
}
