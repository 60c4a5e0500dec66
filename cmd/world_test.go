package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
)

// patience is how long a test waits for something that must happen.
const patience = 30 * time.Second

// process is a server process.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
	mu   sync.Mutex
	log  bytes.Buffer
}

var listening = regexp.MustCompile(`msg=listening part=(\w+).* address=(\S+)`)

// startProcess starts mailetd and waits until it says that it is ready. It
// returns the addresses by part.
func startProcess(cmd *exec.Cmd) (*process, map[string]string, error) {
	pipe, err := cmd.StderrPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	ready := make(chan map[string]string, 1)
	go p.readLog(pipe, ready)
	select {
	case addrs := <-ready:
		return p, addrs, nil
	case <-p.done:
		return nil, nil, fmt.Errorf("mailetd ended: %v\n%s", p.err, p.logText())
	case <-time.After(patience):
		p.kill()
		return nil, nil, fmt.Errorf("mailetd is not ready after %v\n%s", patience, p.logText())
	}
}

func (p *process) readLog(r io.Reader, ready chan<- map[string]string) {
	addrs := map[string]string{}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		p.mu.Lock()
		p.log.WriteString(s.Text() + "\n")
		p.mu.Unlock()
		if m := listening.FindStringSubmatch(s.Text()); m != nil {
			addrs[m[1]] = m[2]
		}
		if strings.Contains(s.Text(), "msg=ready") {
			ready <- addrs
		}
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) logText() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// poll calls try at short intervals until it returns nil, and returns its last
// error when patience ends.
func poll(try func() error) error {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline:
			return err
		}
	}
}

func (w *world) kill() {
	if w.server == nil {
		return
	}
	w.server.kill()
	if w.t.Failed() {
		w.t.Logf("the server's log:\n%s", w.server.logText())
	}
}

func (w *world) serve(ts *testscript.TestScript, args []string) {
	if w.server != nil {
		ts.Fatalf("the server runs already")
	}
	program := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "mailetd")); err == nil && program == "" {
			program = filepath.Join(dir, "mailetd")
		}
	}
	cmd := exec.Command(program, append([]string{"serve", "-v", "-conf", ts.MkAbs("conf"), "-data", ts.MkAbs("data")}, args...)...)
	for _, name := range []string{"AMQP", "LDAP", "OIDC", "DNS", "WORK", "mx", "plain"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(os.Environ(), cmd.Env...)
	server, addrs, err := startProcess(cmd)
	ts.Check(err)
	w.server = server
	ts.Setenv("SMTP", addrs["smtp"])
	ts.Setenv("LMTP", addrs["lmtp"])
	ts.Setenv("WEB", addrs["webadmin"])
}

// hangup sends SIGHUP and waits for what the log says then.
func (w *world) hangup(ts *testscript.TestScript, args []string) {
	ts.Check(w.server.cmd.Process.Signal(syscall.SIGHUP))
	ts.Check(poll(func() error {
		if log := w.server.logText(); !strings.Contains(log, args[0]) {
			return fmt.Errorf("no %q in the log:\n%s", args[0], log)
		}
		return nil
	}))
}

func (w *world) stop(ts *testscript.TestScript, _ []string) {
	ts.Check(w.server.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-w.server.done:
	case <-time.After(patience):
		ts.Check(w.server.cmd.Process.Signal(syscall.SIGQUIT)) // shows all goroutines
		<-w.server.done
		ts.Fatalf("mailetd does not stop:\n%s", w.server.logText())
	}
	if w.server.err != nil {
		ts.Fatalf("mailetd ended with %v\n%s", w.server.err, w.server.logText())
	}
	_, err := ts.Stderr().Write([]byte(w.server.logText()))
	ts.Check(err)
	w.server = nil
}

// send hands in a message with the given parameters of MAIL and RCPT.
func (w *world) send(ts *testscript.TestScript, args []string) {
	if len(args) < 4 || len(args)%2 != 0 {
		ts.Fatalf("want send FROM PARAMS RCPT PARAMS…")
	}
	commands := []string{"EHLO client.here.test", strings.TrimSpace("MAIL FROM:<" + args[0] + "> " + args[1])}
	for i := 2; i < len(args); i += 2 {
		commands = append(commands, strings.TrimSpace("RCPT TO:<"+args[i]+"> "+args[i+1]))
	}
	w.converse(ts, append(commands, "DATA", "From: alice@here.test\r\nSubject: hello\r\nMessage-ID: <1@here.test>\r\n\r\nHello.\r\n.\r\n", "QUIT"))
}

// again hands in the newest mail of a Maildir, without its Return-Path.
func (w *world) again(ts *testscript.TestScript, args []string) {
	all := w.mails(ts, []string{args[0], "1"})
	_, message, _ := strings.Cut(all[len(all)-1], "\r\n")
	w.converse(ts, []string{"EHLO client.here.test", "MAIL FROM:<" + args[1] + ">", "RCPT TO:<" + args[2] + ">", "DATA", message + ".\r\n", "QUIT"})
}

func (w *world) waitFile(ts *testscript.TestScript, args []string) {
	ts.Check(poll(func() error {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err
	}))
}

// converse sends steps one after the other; each must be answered 2xx or 3xx.
func (w *world) converse(ts *testscript.TestScript, steps []string) {
	c, err := net.DialTimeout("tcp", ts.Getenv("SMTP"), patience)
	ts.Check(err)
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(c)
	_, err = readReply(r) // greeting
	ts.Check(err)
	for _, step := range steps {
		_, err := io.WriteString(c, strings.TrimSuffix(step, "\r\n")+"\r\n")
		ts.Check(err)
		reply, err := readReply(r)
		ts.Check(err)
		if reply[0] != '2' && reply[0] != '3' {
			ts.Fatalf("%q was answered %q", step, reply)
		}
	}
}

// dialog holds an SMTP conversation. "S: 250" waits for a whole reply and
// compares the beginning of its last line; "S: " lines in a row compare line by
// line. A second argument is the address of another server, or the path of its
// socket.
func (w *world) dialog(ts *testscript.TestScript, args []string) {
	network, address := "tcp", append(args, ts.Getenv("SMTP"))[1]
	if filepath.IsAbs(address) {
		network = "unix"
	}
	c, err := net.DialTimeout(network, address, patience)
	ts.Check(err)
	defer c.Close()
	ts.Check(c.SetDeadline(time.Now().Add(patience)))
	r := bufio.NewReader(c)
	for i, line := range strings.Split(strings.TrimRight(ts.ReadFile(args[0]), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "C: "), line == "C:":
			_, err := io.WriteString(c, strings.TrimPrefix(strings.TrimPrefix(line, "C:"), " ")+"\r\n")
			ts.Check(err)
		case strings.HasPrefix(line, "S: "):
			reply, err := readReply(r)
			ts.Check(err)
			if !strings.HasPrefix(reply, strings.TrimPrefix(line, "S: ")) {
				ts.Fatalf("%s:%d: got %q, want %q", args[0], i+1, reply, line)
			}
		case line != "":
			ts.Fatalf("%s:%d: neither C: nor S: %q", args[0], i+1, line)
		}
	}
}

// readReply reads a reply and returns its last line.
func readReply(r *bufio.Reader) (string, error) {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if len(line) < 4 || line[3] != '-' {
			return strings.TrimRight(line, "\r\n"), nil
		}
	}
}

func (w *world) request(ts *testscript.TestScript, method, path, body string) (int, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+ts.Getenv("WEB")+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, string(data), err
}

func (w *world) http(ts *testscript.TestScript, args []string) {
	if len(args) < 3 {
		ts.Fatalf("want http METHOD PATH STATUS [BODY]")
	}
	status, body, err := w.request(ts, args[0], args[1], strings.Join(args[3:], " "))
	ts.Check(err)
	_, err = ts.Stdout().Write([]byte(body + "\n"))
	ts.Check(err)
	if strconv.Itoa(status) != args[2] {
		ts.Fatalf("%s %s: got status %d, want %s: %s", args[0], args[1], status, args[2], body)
	}
}

func (w *world) httpUntil(ts *testscript.TestScript, args []string) {
	re, err := regexp.Compile(args[2])
	ts.Check(err)
	ts.Check(poll(func() error {
		status, body, err := w.request(ts, args[0], args[1], "")
		if err != nil {
			return err
		}
		if !re.MatchString(body) {
			return fmt.Errorf("%s %s: got %d %s, want %s", args[0], args[1], status, body, args[2])
		}
		return nil
	}))
}

// httpKey lists the keys at a path and requests the last of them.
func (w *world) httpKey(ts *testscript.TestScript, args []string) {
	_, list, err := w.request(ts, http.MethodGet, args[1], "")
	ts.Check(err)
	var keys []string
	ts.Check(json.Unmarshal([]byte(list), &keys))
	if len(keys) == 0 {
		ts.Fatalf("there is nothing at %s", args[1])
	}
	w.http(ts, []string{args[0], args[1] + "/" + url.PathEscape(keys[len(keys)-1]) + strings.Join(args[2:], ""), "200"})
}

// mails waits until the Maildir of an account has n mails and returns them,
// oldest first.
func (w *world) mails(ts *testscript.TestScript, args []string) []string {
	user, domain, _ := strings.Cut(args[0], "@")
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	var names []string
	ts.Check(poll(func() error {
		names, err = filepath.Glob(filepath.Join(ts.MkAbs("data"), "mail", domain, user, "[cn][ue][rw]", "*"))
		if len(names) != want {
			return fmt.Errorf("%s has %d mails, want %d", args[0], len(names), want)
		}
		return err
	}))
	slices.SortFunc(names, func(a, b string) int { return modified(ts, a).Compare(modified(ts, b)) })
	var out []string
	for _, name := range names {
		data, err := os.ReadFile(name)
		ts.Check(err)
		out = append(out, string(data))
	}
	return out
}

func modified(ts *testscript.TestScript, name string) time.Time {
	info, err := os.Stat(name)
	ts.Check(err)
	return info.ModTime()
}

func (w *world) maildir(ts *testscript.TestScript, args []string) {
	for _, m := range w.mails(ts, args) {
		_, err := ts.Stdout().Write([]byte(strings.ReplaceAll(m, "\r\n", "\n")))
		ts.Check(err)
	}
}

// reports prints the delivery status notifications of a Maildir, one line for
// each recipient, sorted; times and names that differ from run to run left out.
func (w *world) reports(ts *testscript.TestScript, args []string) {
	var lines []string
	for _, m := range w.mails(ts, args) {
		found, err := describeReport(m)
		ts.Check(err)
		lines = append(lines, found...)
	}
	slices.Sort(lines)
	_, err := ts.Stdout().Write([]byte(strings.Join(lines, "\n") + "\n"))
	ts.Check(err)
}

// describeReport returns a line for each recipient of the report m.
func describeReport(m string) ([]string, error) {
	msg := container.ParseMessage([]byte(m))
	r, err := dsn.Parse(&msg)
	if err != nil {
		return nil, fmt.Errorf("%w in the report\n%s", err, m)
	}
	returned := map[dsn.Return]string{dsn.ReturnNone: "nothing", dsn.ReturnHeaders: "headers", dsn.ReturnFull: "message"}[r.Return]
	var lines []string
	for _, rc := range r.Recipients {
		orig := "-"
		if rc.OriginalType != "" {
			orig = rc.OriginalType + ";" + rc.Original
		}
		lines = append(lines, fmt.Sprintf("%s %s %s orig=%s envid=%q mta=%q diag=%q retry=%t returned=%s subject=%q",
			rc.Final, rc.Action, rc.Status, orig, r.EnvelopeID, rc.RemoteMTA, rc.DiagnosticType+";"+rc.Diagnostic,
			!rc.WillRetryUntil.IsZero(), returned, r.Subject))
	}
	return lines, nil
}
