package server

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/smtphooks/bearer/bearertest"
)

func dec(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return string(b)
}

// oidcXML is <auth> with the provider.
func oidcXML(p *bearertest.Provider, more string) string {
	return fmt.Sprintf(`<auth><announce>always</announce>%s<oidc><oidcConfigurationURL>%s/.well-known/openid-configuration</oidcConfigurationURL>
		<jwksURL>%s/certs</jwksURL><claim>email</claim><scope>openid profile</scope><aud>%s</aud></oidc></auth>`, more, p.URL, p.URL, bearertest.Audience)
}

// oauthBearer and xoauth2 are first responses.
func oauthBearer(user, token string) string {
	return enc("n,a=" + user + ",\x01host=mx.here.test\x01port=25\x01auth=Bearer " + token + "\x01\x01")
}

func xoauth2(user, token string) string {
	return enc("user=" + user + "\x01auth=Bearer " + token + "\x01\x01")
}

func TestBearer(t *testing.T) {
	p := bearertest.New(t)
	d, _ := users(t)
	h := startLocal(t, d, oidcXML(p, ""))
	if got := h.authLine(); got != "LOGIN PLAIN OAUTHBEARER XOAUTH2 SCRAM-SHA-256" {
		t.Errorf("announced: %s", got)
	}
	good := p.Token("Bob@here.test")
	expired := p.Claims("bob@here.test")
	expired["exp"] = time.Now().Add(-time.Minute).Unix()
	hs256 := bearertest.Sign(t, jwt.SigningMethodHS256, []byte("secret"), "one", p.Claims("bob@here.test"))
	const in, out = "235 Authentication Successful", "535 Authentication Failed"
	for _, tc := range []struct{ name, command, want string }{
		{"OAUTHBEARER", "AUTH OAUTHBEARER " + oauthBearer("bob@here.test", good), in},
		{"without identity", "AUTH OAUTHBEARER " + enc("n,,\x01auth=Bearer "+good+"\x01\x01"), in},
		{"in two steps", "AUTH OAUTHBEARER\r\n" + oauthBearer("bob@here.test", good), in},
		{"XOAUTH2", "AUTH XOAUTH2 " + xoauth2("bob@here.test", good), in},
		{"xoauth2", "auth xoauth2 " + xoauth2("BOB@here.test", good), in},
		{"other identity", "AUTH OAUTHBEARER " + oauthBearer("alice@here.test", good), out},
		{"other user", "AUTH XOAUTH2 " + xoauth2("alice@here.test", good), out},
		{"foreign", "AUTH XOAUTH2 " + xoauth2("bob@far.test", p.Token("bob@far.test")), out},
		{"no user", "AUTH XOAUTH2 " + xoauth2("", p.Token("rubbish")), out},
		{"expired", "AUTH OAUTHBEARER " + oauthBearer("bob@here.test", p.Sign(expired)), out},
		{"HS256", "AUTH OAUTHBEARER " + oauthBearer("bob@here.test", hs256), out},
		{"password", "AUTH OAUTHBEARER " + oauthBearer("bob@here.test", "secret"), out},
		{"no token", "AUTH OAUTHBEARER " + enc("n,,\x01auth=\x01\x01"), out},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h.throttled()
			c := h.dial()
			c.expect("220 ...")
			c.send(tc.command + "\r\n")
			if strings.Contains(tc.command, "\r\n") {
				c.expect("334 ")
			}
			if tc.want == out {
				want := `{"status":"invalid_token","scope":"openid profile","schemes":"` + p.URL + `/.well-known/openid-configuration",`
				if got := dec(t, strings.TrimPrefix(c.line(), "334 ")); !strings.HasPrefix(got, want) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				c.send("AQ==\r\n")
			}
			c.expect(tc.want)
			c.send("NOOP\r\n")
			c.expect("250 ...")
			if users := h.Connections(); tc.want == in && !strings.Contains(fmt.Sprint(users), "bob@here.test") {
				t.Errorf("connections: %v", users)
			}
		})
	}
	if log := h.log.String(); strings.Contains(log, good) || !strings.Contains(log, "token is expired") {
		t.Errorf("log:\n%s", log)
	}
}

func TestBearerDialogue(t *testing.T) {
	p := bearertest.New(t)
	d, _ := users(t)
	h := startLocal(t, d, oidcXML(p, "<requireSSL>true</requireSSL>"))
	c := h.dial()
	c.send("AUTH XOAUTH2 " + xoauth2("bob@here.test", p.Token("bob@here.test")) + "\r\n")
	c.expect("220 ...", "504 Unrecognized Authentication Type")

	h = startLocal(t, d, oidcXML(p, "<plainAuthEnabled>false</plainAuthEnabled>"))
	c = h.dial()
	c.send("AUTH PLAIN\r\nAUTH XOAUTH2\r\n*\r\nAUTH XOAUTH2 AQEB\r\nAUTH XOAUTH2 !\r\nAUTH XOAUTH2 " + xoauth2("bob@here.test", "x") + "\r\n*\r\nNOOP\r\n")
	c.expect("220 ...", "504 ...", "334 ", "501 5.7.1 Authentication aborted", "501 Could not decode parameters for AUTH XOAUTH2",
		"501 Could not decode parameters for AUTH XOAUTH2", "334 ...", "535 ...", "250 ...")

	p.Down(true)
	fresh := startLocal(t, d, oidcXML(p, ""))
	c = fresh.dial()
	c.send("AUTH XOAUTH2 " + xoauth2("bob@here.test", p.Token("bob@here.test")) + "\r\nAUTH PLAIN " + enc("\x00bob@here.test\x00secret") + "\r\n")
	c.expect("220 ...", "451 Unable to process request", "235 ...")
	if log := fresh.log.String(); !strings.Contains(log, "503 Service Unavailable") {
		t.Errorf("log:\n%s", log)
	}
}

func TestBearerTrouble(t *testing.T) {
	p := bearertest.New(t)
	d, _ := localtest.Directory(t, []string{"here.test"})
	h := startLocal(t, brokenLocal{d}, oidcXML(p, ""))
	c := h.dial()
	c.send("AUTH XOAUTH2 " + xoauth2("bob@here.test", p.Token("bob@here.test")) + "\r\n")
	c.expect("220 ...", "451 Unable to process request")
}

// TestBearerFailuresCount: for the address, also when the client goes before it
// has read the answer, but not for the user that it names.
func TestBearerFailuresCount(t *testing.T) {
	p := bearertest.New(t)
	d, _ := users(t)
	h := startLocal(t, d, oidcXML(p, "<failures><perAddress>3</perAddress><perUser>1</perUser></failures>"))
	for i := range 3 {
		c := h.dial()
		c.send("AUTH XOAUTH2 " + xoauth2("bob@here.test", fmt.Sprint(i)) + "\r\n")
		c.expect("220 ...", "334 ...")
		c.nc.Close()
	}
	c := h.dial()
	c.send("AUTH XOAUTH2\r\n")
	c.expect("220 ...", "454 4.7.0 ...")
	if delay := h.limiter.Delay("bob@here.test", h.endpoints[0].auth.limits); delay != 0 {
		t.Errorf("bob waits %v", delay)
	}
}
