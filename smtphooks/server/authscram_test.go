package server

import (
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// scramClient is the mechanism for go-smtp's interface of clients.
type scramClient struct {
	conv *scram.ClientConversation
}

func newSCRAMClient(t *testing.T, user, password, identity string) *scramClient {
	t.Helper()
	c, err := scram.SHA256.NewClient(user, password, identity)
	if err != nil {
		t.Fatal(err)
	}
	return &scramClient{c.NewConversation()}
}

// run goes through the exchange and returns the last reply.
func (s *scramClient) run(c *client, initial bool) string {
	c.t.Helper()
	first, err := s.conv.Step("")
	if err != nil {
		c.t.Fatal(err)
	}
	if initial {
		c.send("AUTH SCRAM-SHA-256 " + enc(first) + "\r\n")
	} else {
		c.send("AUTH SCRAM-SHA-256\r\n")
		c.expect("334 ")
		c.send(enc(first) + "\r\n")
	}
	for {
		line := c.line()
		text, ok := strings.CutPrefix(line, "334 ")
		if !ok {
			return line
		}
		answer, err := s.conv.Step(dec(c.t, text))
		if err != nil {
			c.t.Fatal(err)
		}
		c.send(enc(answer) + "\r\n")
	}
}

func TestSCRAM(t *testing.T) {
	d, store := users(t)
	if err := store.PutUser(t.Context(), local.User{Name: "old@here.test", Algorithm: "NONE", Hash: "secret"}); err != nil {
		t.Fatal(err)
	}
	h := startLocal(t, d, "")
	for _, tc := range []struct {
		name, user, password, identity string
		want                           string
	}{
		{"right", "bob@here.test", "secret", "", "235 Authentication Successful"},
		{"in other letters", "Bob@HERE.test", "secret", "bob@here.TEST", "235 Authentication Successful"},
		{"wrong password", "bob@here.test", "wrong", "", "535 Authentication Failed"},
		{"other identity", "bob@here.test", "secret", "alice@here.test", "535 Authentication Failed"},
		{"nobody", "nobody@here.test", "secret", "", "535 Authentication Failed"},
		{"stored in another form", "old@here.test", "secret", "", "535 Authentication Failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, initial := range []bool{true, false} {
				c := h.dial()
				c.expect("220 ...")
				client := newSCRAMClient(t, tc.user, tc.password, tc.identity)
				if got := client.run(c, initial); got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
				good := strings.HasPrefix(tc.want, "235")
				if client.conv.Valid() != good {
					t.Errorf("the client thinks that the server is right: %t", client.conv.Valid())
				}
				if good {
					c.send("MAIL FROM:<a@far.test>\r\nHELO x\r\nAUTH SCRAM-SHA-256\r\n")
					c.expect("503 5.5.0 Need HELO or EHLO before MAIL", "250 ...", "503 5.5.0 User has previously authenticated....")
				}
			}
		})
	}
	for _, c := range h.Connections() {
		if c.User != "" && c.User != "bob@here.test" {
			t.Errorf("user %q", c.User)
		}
	}
}

// TestSCRAMLooksAlike: until the proof nothing tells whether there is a user.
func TestSCRAMLooksAlike(t *testing.T) {
	d, store := users(t)
	if err := store.PutUser(t.Context(), local.User{Name: "old@here.test", Algorithm: "NONE", Hash: "secret"}); err != nil {
		t.Fatal(err)
	}
	h := startLocal(t, d, "")
	salts := map[string]bool{}
	for _, user := range []string{"bob@here.test", "old@here.test", "nobody@here.test"} {
		var before string
		for range 2 {
			c := h.dial()
			c.send("AUTH SCRAM-SHA-256 " + enc("n,,n="+user+",r=abc") + "\r\n")
			c.expect("220 ...")
			fields := strings.Split(dec(t, strings.TrimPrefix(c.line(), "334 ")), ",")
			if len(fields) != 3 || !strings.HasPrefix(fields[0], "r=abc") || len(fields[1]) != len("s=")+24 || fields[2] != "i=4096" {
				t.Errorf("%s: got %q", user, fields)
			}
			if before != "" && before != fields[1] {
				t.Errorf("%s: the salt changes", user)
			}
			before = fields[1]
		}
		if salts[before] {
			t.Errorf("%s has the salt of another", user)
		}
		salts[before] = true
	}
}

func TestSCRAMBadMessages(t *testing.T) {
	d, _ := users(t)
	h := startLocal(t, d, "")
	const undecodable = "501 Could not decode parameters for AUTH SCRAM-SHA-256"
	for first, want := range map[string]string{
		"": undecodable, "n,,": undecodable, "bob": undecodable, "n,,n=a=b,r=abc": undecodable, "n,,m=x,n=bob,r=abc": undecodable,
		"p=tls-exporter,,n=bob@here.test,r=abc": undecodable,
		"y,,n=bob@here.test,r=abc":              "334 ...",
	} {
		c := h.dial()
		c.send("AUTH SCRAM-SHA-256\r\n" + enc(first) + "\r\n")
		c.expect("220 ...", "334 ", want)
	}
	for second, want := range map[string]string{
		"*": "501 5.7.1 Authentication aborted", "!": undecodable, enc(""): "535 ...", enc("c=biws,r=abc,p=AAAA"): "535 ...", enc("c=biws"): "535 ...",
	} {
		c := h.dial()
		c.send("AUTH SCRAM-SHA-256 " + enc("n,,n=bob@here.test,r=abc") + "\r\n" + second + "\r\nNOOP\r\n")
		c.expect("220 ...", "334 ...", want, "250 ...")
	}
}

func TestSCRAMTrouble(t *testing.T) {
	d, _ := localtest.Directory(t, []string{"here.test"})
	h := startLocal(t, brokenLocal{d}, "")
	c := h.dial()
	c.send("AUTH SCRAM-SHA-256 " + enc("n,,n=bob@here.test,r=abc") + "\r\nNOOP\r\n")
	c.expect("220 ...", "451 Unable to process request", "250 ...")
	if log := h.log.String(); !strings.Contains(log, "disk on fire") {
		t.Errorf("log:\n%s", log)
	}
}
