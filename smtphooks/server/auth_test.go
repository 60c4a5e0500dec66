package server

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/container/throttle"
	"github.com/mailetd/mailetd/smtphooks"
)

// startLocal runs a server whose users are those of l.
func startLocal(t *testing.T, l smtphooks.Local, elements string) *harness {
	t.Helper()
	r := &conf.Report{}
	h := &harness{t: t, queue: &fakeQueue{}, log: &lockedBuffer{}, ended: make(chan error, 1)}
	cfgs := conf.SMTPServers(conf.ParseXML("smtpserver.xml", []byte(smtpserverXML(elements)), r), r)
	h.Server = New(cfgs, smtphooks.NewRegistry(), smtphooks.Services{
		DefaultDomain: "here.test", Local: l, DNS: fakeDNS{}, Queue: h.queue,
		Metrics: metrics.New(), Log: slog.New(logctx.Handler(slog.NewTextHandler(h.log, nil))),
	}, Options{Grace: 100 * time.Millisecond}, r)
	if r.HasErrors() {
		t.Fatal(r.Problems())
	}
	if err := h.Listen(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() { h.ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		h.Close()
		h.wait()
	})
	return h
}

// users returns a directory with bob, whose password is "secret".
func users(t *testing.T) (*local.Directory, *localtest.Storage) {
	t.Helper()
	d, store := localtest.Directory(t, []string{"here.test"})
	if err := d.AddUser(t.Context(), "bob@here.test", "secret"); err != nil {
		t.Fatal(err)
	}
	return d, store
}

func enc(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// wrong is AUTH PLAIN with a password that is always another.
func wrong(user string, n int) string {
	return "AUTH PLAIN " + enc("\x00"+user+"\x00wrong"+fmt.Sprint(n)) + "\r\n"
}

// authLine returns the mechanisms that EHLO announces.
func (h *harness) authLine() string {
	h.t.Helper()
	c := h.dial()
	c.send("EHLO client.test\r\nQUIT\r\n")
	for {
		line := c.line()
		if mechs, ok := strings.CutPrefix(line, "250-AUTH "); ok {
			return mechs
		}
		if strings.HasPrefix(line, "221") {
			return ""
		}
	}
}

func TestAnnouncedMechanisms(t *testing.T) {
	const always = `<announce>always</announce>`
	scram := `<saslMechanisms>ScramSha256SaslMechanismFactory,PlainSaslMechanismFactory</saslMechanisms>`
	accounts := `<handlerchain><handler class="` + jamesPackage + `ConfigurationAuthHook"><accounts><account><username>p</username><passwords><password>x</password></passwords></account></accounts></handler></handlerchain>`
	for _, tc := range []struct{ name, auth, more, before, after string }{
		{"default", "", "", "LOGIN PLAIN SCRAM-SHA-256", "LOGIN PLAIN"},
		{"asked for", scram, "", "SCRAM-SHA-256 PLAIN", "SCRAM-SHA-256 PLAIN"},
		{"nothing else", "<plainAuthEnabled>false</plainAuthEnabled>", "", "SCRAM-SHA-256", "SCRAM-SHA-256"},
		{"users hook", "", `<handlerchain><handler class="` + jamesPackage + `UsersRepositoryAuthHook"/></handlerchain>`, "LOGIN PLAIN SCRAM-SHA-256", "LOGIN PLAIN"},
		{"other hook", scram, accounts, "PLAIN", "PLAIN"},
		{"other hook only", "<plainAuthEnabled>false</plainAuthEnabled>", accounts, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, _ := users(t)
			h := startLocal(t, d, "<auth>"+always+tc.auth+"</auth>"+tc.more)
			if got := h.authLine(); got != tc.before {
				t.Errorf("got %q, want %q", got, tc.before)
			}
			if err := d.PutUser(t.Context(), local.User{Name: "old@here.test", Algorithm: "MD5", Hash: "x"}); err != nil {
				t.Fatal(err)
			}
			if got := h.authLine(); got != tc.after {
				t.Errorf("with an account that cannot use SCRAM: got %q, want %q", got, tc.after)
			}
		})
	}
}

// TestSASLClients logs in with the client of another library.
func TestSASLClients(t *testing.T) {
	d, _ := users(t)
	h := startLocal(t, d, "")
	for name, client := range map[string]sasl.Client{
		"PLAIN": sasl.NewPlainClient("", "bob@here.test", "secret"), "LOGIN": sasl.NewLoginClient("bob@here.test", "secret"),
		"PLAIN with identity": sasl.NewPlainClient("BOB@here.test", "bob@here.test", "secret"),
	} {
		t.Run(name, func(t *testing.T) {
			nc, err := net.Dial("tcp", h.Addrs()[0].String())
			if err != nil {
				t.Fatal(err)
			}
			c := smtp.NewClient(nc)
			defer c.Close()
			if err := c.Auth(client); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAuthWhen(t *testing.T) {
	h := start(t, "")
	h.dial().talk("S: 220 ...\nC: EHLO x\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250 ...\nC: MAIL FROM:<a@far.test>\nS: 250 ...\n" +
		"C: AUTH PLAIN " + enc("\x00bob@here.test\x00secret") + "\nS: 503 5.5.0 AUTH is not permitted during a mail transaction\n" +
		"C: RSET\nS: 250 ...\nC: STARTTLS\nS: 500 ...\nC: AUTH PLAIN\nS: 334 \nC: =\nS: 501 ...\n" +
		"C: AUTH LOGIN =\nS: 334 UGFzc3dvcmQ6\nC: ====\nS: 535 ...\n" +
		"C: AUTH LOGIN\nS: 334 ...\nC: Ym9i Ym9i\nS: 501 ...\nC: AUTH PLAIN " + enc("\x00bob@here.test\x00secret") + " x\nS: 501 ...\n" +
		"C: AUTH PLAIN " + enc("\x00bob@here.test\x00secret") + "\nS: 235 ...")
}

// TestLongSASLLine: RFC 4954 §4 wants 12288 octets to be possible.
func TestLongSASLLine(t *testing.T) {
	h := start(t, "")
	for n, want := range map[int]string{maxSASLLine: "535 ...", maxSASLLine + 4: "500 Line length exceeded..."} {
		c := h.dial()
		c.send("AUTH LOGIN\r\n" + enc("bob@here.test") + "\r\n" + enc(strings.Repeat("x", n/4*3)) + "\r\nNOOP\r\n")
		c.expect("220 ...", "334 ...", "334 ...", want, "250 ...")
	}
}

// throttled gives the limiter of h a clock and returns how to set it forward.
func (h *harness) throttled() func(time.Duration) {
	now := make(chan time.Time, 1)
	now <- time.Unix(1_000_000, 0)
	h.limiter = throttle.New(func() time.Time {
		at := <-now
		now <- at
		return at
	})
	return func(d time.Duration) { now <- (<-now).Add(d) }
}

func TestAddressRefused(t *testing.T) {
	const good = "AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\n"
	h := start(t, `<auth><announce>always</announce><failures><perAddress>6</perAddress><perUser>0</perUser><block>30 seconds</block></failures></auth>`)
	forward := h.throttled()
	for i := range 2 {
		c := h.dial()
		c.send(wrong("bob@here.test", 3*i) + wrong("alice@here.test", 3*i+1) + wrong("nobody@here.test", 3*i+2))
		c.expect("220 ...", "535 ...", "535 ...", "535 ...")
	}
	c := h.dial()
	c.send(good + good + "NOOP\r\n" + good + good + good)
	const refused = "454 4.7.0 Temporary authentication failure: too many failures from your address, try again in 31 seconds"
	c.expect("220 ...", refused, refused, "250 ...", refused, refused, "421 4.7.0 ...")
	c.eof()
	if log := h.log.String(); strings.Count(log, "address refused for a while") != 1 || !strings.Contains(log, "seconds=30") {
		t.Errorf("log:\n%s", log)
	}
	forward(30 * time.Second)
	c = h.dial()
	c.send(good)
	c.expect("220 ...", "235 ...")
}

// TestAuthorizedAddressIsNotRefused: behind it are many users.
func TestAuthorizedAddressIsNotRefused(t *testing.T) {
	h := start(t, `<authorizedAddresses>127.0.0.1</authorizedAddresses><auth><failures><perAddress>1</perAddress><perUser>0</perUser></failures></auth>`)
	c := h.dial()
	c.send(wrong("bob@here.test", 1) + wrong("bob@here.test", 2) + loginBob)
	c.expect("220 ...", "535 ...", "535 ...", "235 ...")
}

func TestSuccessIsForgiving(t *testing.T) {
	h := start(t, `<auth><failures><perAddress>3</perAddress></failures></auth>`)
	for i := range 4 {
		c := h.dial()
		c.send(wrong("bob@here.test", 2*i) + wrong("bob@here.test", 2*i+1) + loginBob)
		c.expect("220 ...", "535 ...", "535 ...", "235 ...")
	}
}

// TestUserDelayed: only who guesses at one user waits, and a right password is
// right.
func TestUserDelayed(t *testing.T) {
	h := start(t, `<auth><failures><perAddress>0</perAddress><perUser>2</perUser></failures></auth>`)
	for i := range 2 {
		h.limiter.Failed(netip.MustParseAddr("192.0.2.1"), "bob@here.test", fmt.Sprint(i), h.endpoints[0].auth.limits)
	}
	begin := time.Now()
	alice := h.dial()
	alice.send("AUTH PLAIN " + enc("\x00alice@here.test\x00secret") + "\r\n")
	alice.expect("220 ...", "235 ...")
	c := h.dial()
	c.send(loginBob)
	c.expect("220 ...", "235 ...")
	if d := time.Since(begin); d < 500*time.Millisecond {
		t.Errorf("bob is in after %v, want half a second at least", d)
	}
}

// TestFailureHoldsNobodyUp: while the answer to a wrong password waits, right
// ones are answered.
func TestFailureHoldsNobodyUp(t *testing.T) {
	_, store := users(t)
	d := local.New(local.Config{VirtualHosting: true, DefaultDomain: "here.test", HashIterations: 4096, VerifyFailureDelay: time.Hour}, store)
	h := startLocal(t, d, "")
	for range 10 {
		h.dial().send(wrong("bob@here.test", 1))
	}
	c := h.dial()
	c.send(loginBob)
	c.expect("220 ...", "235 ...")
}

// brokenLocal cannot read its users.
type brokenLocal struct{ *local.Directory }

func (brokenLocal) SCRAM(context.Context, string) (local.ScramKeys, error) {
	return local.ScramKeys{}, errors.New("disk on fire")
}

func (brokenLocal) LoginName(context.Context, string) (string, bool, error) {
	return "", false, errors.New("disk on fire")
}
