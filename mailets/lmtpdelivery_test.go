package mailets

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// lmtpStore is a small LMTP server on a socket. It refuses the recipient gone at
// RCPT; after the message the box of full is full.
func lmtpStore(t *testing.T) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "lmtp")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			lmtpServe(c)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return socket
}

func lmtpServe(c net.Conn) {
	var rcpts []string
	r := bufio.NewScanner(c)
	say := func(s string) { fmt.Fprintf(c, "%s\r\n", s) }
	for say("220 store"); r.Scan(); {
		switch line := r.Text(); {
		case strings.HasPrefix(line, "RCPT TO:<gone@"):
			say("550 5.1.1 no such user")
		case strings.HasPrefix(line, "RCPT"):
			rcpts = append(rcpts, line)
			say("250 2.1.5 ok")
		case line == "DATA":
			for say("354 go"); r.Scan() && r.Text() != "."; {
			}
			for _, rcpt := range rcpts {
				if strings.Contains(rcpt, "full@") {
					say("452 4.2.2 full")
				} else {
					say("250 2.0.0 saved")
				}
			}
		case line == "QUIT":
			return
		default:
			say("250 store")
		}
	}
}

func TestLMTPDelivery(t *testing.T) {
	l := mustLoad(t, testRegistry(t), "com.github.mailetd.LMTPDelivery",
		"<server>"+lmtpStore(t)+"</server><consume>false</consume><onTemporary>later</onTemporary>")
	m := testMail("bob@example.com", "gone@example.com", "full@example.com")
	out := serve(t, l, m)
	o, _ := m.Outcome(m.Recipients[0])
	if m.State != "root" || len(m.Recipients) != 1 || o.Result != container.Delivered || o.Reply() != "250 2.0.0 saved" {
		t.Errorf("state %s, %v, outcome %+v", m.State, m.Recipients, o)
	}
	var got []string
	for _, e := range out.Entries() {
		o, _ := e.Mail.Outcome(e.Mail.Recipients[0])
		got = append(got, e.Mail.State+" "+o.Reply())
	}
	if want := []string{"error 550 5.1.1 no such user", "later 452 4.2.2 full"}; !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	if got := l.(container.StateReferrer).ReferredStates(); !slices.Equal(got, []string{"error", "later"}) {
		t.Errorf("refers to %v", got)
	}
}

func TestLMTPDeliveryParameters(t *testing.T) {
	for params, want := range map[string]string{
		"":                           "error: <server> is required",
		"<server>a b</server>":       `error: <server>: "a b" is no LMTP server`,
		"<server>host:port</server>": `error: <server>: "host:port" is no LMTP server`,
		"<server>unix:lmtp</server>": `error: <server>: "unix:lmtp" is no LMTP server`,
		"<server>h</server><heloName>a b</heloName>":               `error: <heloName>: "a b" is not a host name`,
		"<server>h</server><timeout>0</timeout>":                   "error: <timeout>: there must be",
		"<server>h</server><connectTimeout>never</connectTimeout>": "error: <connectTimeout>: ",
	} {
		_, problems := load(t, testRegistry(t), "LMTPDelivery", params)
		if len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
}
