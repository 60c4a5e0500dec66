package cmd

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/xdg-go/scram"

	"github.com/mailetd/mailetd/smtphooks/bearer/bearertest"
)

// oidc starts an OpenID Connect provider, $OIDC, and sets $TOKEN to a token of
// the user.
func (w *world) oidc(ts *testscript.TestScript, args []string) {
	p := bearertest.New(w.t)
	ts.Setenv("OIDC", p.URL)
	ts.Setenv("TOKEN", p.Token(args[0]))
}

// login authenticates with SCRAM-SHA-256 or XOAUTH2 and compares the reply. When
// it is 235 it hands in a mail of the user to RCPT.
func (w *world) login(ts *testscript.TestScript, args []string) {
	if len(args) < 4 {
		ts.Fatalf("want login MECHANISM USER SECRET REPLY [RCPT]")
	}
	mech, user, secret := args[0], args[1], args[2]
	step := func(string) (string, error) { return "user=" + user + "\x01auth=Bearer " + secret + "\x01\x01", nil }
	if mech == "SCRAM-SHA-256" {
		client, err := scram.SHA256.NewClient(user, secret, "")
		ts.Check(err)
		step = client.NewConversation().Step
	}
	nc, err := net.DialTimeout("tcp", ts.Getenv("SMTP"), patience)
	ts.Check(err)
	defer nc.Close()
	ts.Check(nc.SetDeadline(time.Now().Add(patience)))
	s := &smtpSteps{ts, nc, bufio.NewReader(nc)}
	s.say("", "220")
	s.say("EHLO client.test\r\n", "250")
	reply := s.say("AUTH "+mech+"\r\n", "")
	for strings.HasPrefix(reply, "334 ") {
		challenge, err := base64.StdEncoding.DecodeString(reply[4:])
		ts.Check(err)
		answer, err := step(string(challenge))
		ts.Check(err)
		reply = s.say(base64.StdEncoding.EncodeToString([]byte(answer))+"\r\n", "")
	}
	if !strings.HasPrefix(reply, args[3]) {
		ts.Fatalf("got %q, want %q", reply, args[3])
	}
	if len(args) > 4 {
		s.say(fmt.Sprintf("MAIL FROM:<%s>\r\n", user), "250")
		s.say(fmt.Sprintf("RCPT TO:<%s>\r\n", args[4]), "250")
		s.say("DATA\r\n", "354")
		s.say(fmt.Sprintf("From: %s\r\nSubject: hello\r\n\r\nHello.\r\n.\r\n", user), "250")
	}
	s.say("QUIT\r\n", "221")
}

// smtpSteps is one conversation.
type smtpSteps struct {
	ts *testscript.TestScript
	w  io.Writer
	r  *bufio.Reader
}

// say sends text and returns the reply, which has to begin with want.
func (s *smtpSteps) say(text, want string) string {
	_, err := io.WriteString(s.w, text)
	s.ts.Check(err)
	reply, err := readReply(s.r)
	s.ts.Check(err)
	if !strings.HasPrefix(reply, want) {
		s.ts.Fatalf("%q: got %q, want %q", text, reply, want)
	}
	return reply
}
