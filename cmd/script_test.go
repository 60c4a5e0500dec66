package cmd

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailetd/mailetd/container/dns/dnstest"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

var update = flag.Bool("update", false, "rewrite the expected files within the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mailetd": func() { Main() }})
}

// TestScripts runs the stories in testdata/script. Each has a configuration, a
// scripted next hop, a DNS zone, and a server process of its own. Commands
// besides those of testscript:
//
//	dns [RECORD]          start a DNS server ($DNS), or add a record to its zone
//	hop NAME [EXTENSION…] start a next hop ($NAME is its port)
//	hop-on NAME STAGE MATCH REPLY   see hoptest.Server.On
//	hop-wait NAME N       wait until the hop has accepted N messages
//	hop-attempts NAME N   wait until the hop has seen N transactions, no more
//	hop-rcpts NAME MATCH N wait until the hop has seen N RCPT commands with MATCH
//	hop-last NAME         print the commands and the data of its last message
//	serve [ARG…]          start mailetd with conf and data; sets $SMTP, $LMTP and $WEB
//	env-port NAME FILE    replace port=0 in FILE by the port of the address $NAME
//	hangup TEXT           send it SIGHUP and wait for TEXT in its log
//	shutdown              end it with SIGTERM and wait for it
//	send FROM PARAMS RCPT PARAMS [RCPT PARAMS…]   hand in a short message
//	send-image FROM RCPT N          hand in a picture of N octets, with BODY=BINARYMIME
//	is-image N            the last picture of the output is the one of N octets
//	dialog FILE [ADDRESS] an SMTP conversation: lines "C: …" and "S: prefix"; also with another server
//	oidc USER             start an OpenID Connect provider ($OIDC); $TOKEN is of USER
//	login MECHANISM USER SECRET REPLY [RCPT]   authenticate, and hand in a mail to RCPT
//	http METHOD PATH STATUS [BODY]   one request; the answer is stdout
//	http-until METHOD PATH REGEXP    repeat until the answer matches
//	http-key METHOD PATH [QUERY]     GET PATH, append the last key to PATH, request that
//	ldap FILE             start a directory ($LDAP), or replace its entries
//	ldap-fail CODE        its searches have this result code from now on
//	amqp                  start a broker ($AMQP)
//	amqp-messages N       wait for N messages, print all, close the connections
//	maildir USER@DOMAIN N wait for exactly N mails in a Maildir; prints them
//	again USER@DOMAIN FROM TO   hand in the newest mail of a Maildir once more
//	wait-file NAME        wait until there is a file
//	reports USER@DOMAIN N wait for N mails; prints what their DSNs say
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

func runScript(t *testing.T, file string) {
	w := &world{t: t, hops: map[string]*hoptest.Server{}}
	t.Cleanup(w.kill)
	commands := map[string]func(*testscript.TestScript, []string){
		"dns": w.startDNS, "hop": w.startHop, "hop-on": w.hopOn, "hop-wait": w.hopWait, "hop-attempts": w.hopAttempts, "hop-rcpts": w.hopRcpts, "send": w.send, "hop-last": w.hopLast,
		"serve": w.serve, "shutdown": w.stop, "hangup": w.hangup, "env-port": w.envPort, "env-line": w.envLine, "dialog": w.dialog, "oidc": w.oidc, "login": w.login, "http": w.http, "http-until": w.httpUntil, "http-key": w.httpKey,
		"ldap": w.startLDAP, "ldap-fail": w.failLDAP, "amqp": w.startAMQP, "amqp-messages": w.amqpMessages,
		"maildir": w.maildir, "again": w.again, "wait-file": w.waitFile, "reports": w.reports,
		"send-image": w.sendImage, "is-image": w.isImage,
	}
	params := testscript.Params{Files: []string{file}, UpdateScripts: *update, Cmds: map[string]func(*testscript.TestScript, bool, []string){},
		Setup: func(e *testscript.Env) error { return os.MkdirAll(filepath.Join(e.WorkDir, "conf"), 0o700) }}
	for name, run := range commands {
		params.Cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s cannot be negated", name)
			}
			run(ts, args)
		}
	}
	testscript.Run(t, params)
}

// envPort lets the command line find a server that chose its port itself.
func (w *world) envPort(ts *testscript.TestScript, args []string) {
	_, port, err := net.SplitHostPort(ts.Getenv(args[0]))
	ts.Check(err)
	text := strings.Replace(ts.ReadFile(args[1]), "port=0", "port="+port, 1)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// envLine puts the first line of a file, or of stdout, into the environment.
func (w *world) envLine(ts *testscript.TestScript, args []string) {
	line, _, _ := strings.Cut(ts.ReadFile(args[1]), "\n")
	ts.Setenv(args[0], line)
}

// world is what a script has around the server.
type world struct {
	t    *testing.T
	dns  *dnstest.Server
	hops map[string]*hoptest.Server
	partners
	server *process
}

func (w *world) startDNS(ts *testscript.TestScript, args []string) {
	if w.dns == nil {
		w.dns = dnstest.New(w.t)
		ts.Setenv("DNS", w.dns.Addr())
	}
	if len(args) > 0 {
		w.dns.Add(w.t, strings.Join(args, " "))
	}
}

func (w *world) startHop(ts *testscript.TestScript, args []string) {
	o := hoptest.Options{Extensions: args[1:]}
	if len(args) == 1 {
		o.Extensions = nil
	}
	h := hoptest.New(w.t, o)
	w.hops[args[0]] = h
	ts.Setenv(args[0], strconv.Itoa(h.Port()))
}

func (w *world) hop(ts *testscript.TestScript, name string) *hoptest.Server {
	h, ok := w.hops[name]
	if !ok {
		ts.Fatalf("there is no hop %s", name)
	}
	return h
}

func (w *world) hopOn(ts *testscript.TestScript, args []string) {
	if len(args) != 4 {
		ts.Fatalf("want hop-on NAME STAGE MATCH REPLY")
	}
	w.hop(ts, args[0]).On(args[1], args[2], strings.ReplaceAll(args[3], `\n`, "\n"))
}

func (w *world) hopWait(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	w.hop(ts, args[0]).Wait(w.t, n)
}

func (w *world) hopAttempts(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	h := w.hop(ts, args[0])
	h.Until(w.t, func() bool { return len(h.Attempts()) >= n })
	if got := len(h.Attempts()); got != n {
		ts.Fatalf("hop %s has seen %d transactions, want %d", args[0], got, n)
	}
}

func (w *world) hopRcpts(ts *testscript.TestScript, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	h := w.hop(ts, args[0])
	h.Until(w.t, func() bool {
		seen := 0
		for _, c := range h.Commands() {
			if strings.HasPrefix(c, "RCPT") && strings.Contains(c, args[1]) {
				seen++
			}
		}
		return seen >= n
	})
}

func (w *world) hopLast(ts *testscript.TestScript, args []string) {
	all := w.hop(ts, args[0]).Transactions()
	if len(all) == 0 {
		ts.Fatalf("hop %s has accepted nothing", args[0])
	}
	last := all[len(all)-1]
	out := append([]string{last.Mail}, last.Rcpts...)
	_, err := ts.Stdout().Write([]byte(strings.Join(out, "\n") + "\n\n" + strings.ReplaceAll(string(last.Data), "\r\n", "\n")))
	ts.Check(err)
}
