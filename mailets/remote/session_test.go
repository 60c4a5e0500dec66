package remote

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

// The lines sent for one mail with attributes, to hosts that offer this or that.
func TestParameters(t *testing.T) {
	dsn := func(m *container.Mail) {
		m.Set(container.AttrDSNEnvID, "a+41b+2B")
		m.Set(container.AttrDSNRet, "hdrs")
		m.Set(container.AttrDSNNotify, map[string]container.Value{"bob@there.test": "SUCCESS,failure"})
		m.Set(container.AttrDSNOrcpt, map[string]container.Value{"BOB@there.test": "Bob+41@Other.TEST"})
	}
	all := []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "SIZE", "MT-PRIORITY"}
	const from, to = "MAIL FROM:<alice@here.test>", "RCPT TO:<bob@there.test>"
	for _, tc := range []struct {
		name    string
		offered []string
		set     func(*container.Mail)
		mail    string
		rcpt    string
	}{
		{"nothing offered", []string{}, dsn, from, to},
		{"DSN", []string{"DSN"}, dsn, from + " RET=hdrs ENVID=a+41b+2B", to + " NOTIFY=SUCCESS,failure ORCPT=rfc822;Bob+41@Other.TEST"},
		{"DSN, nothing asked", []string{"DSN"}, func(*container.Mail) {}, from, to},
		{"DSN, bad values", []string{"DSN"}, func(m *container.Mail) {
			m.Set(container.AttrDSNEnvID, "a b")
			m.Set(container.AttrDSNRet, "FULL BODY=8BITMIME")
			m.Set(container.AttrDSNNotify, map[string]container.Value{"bob@there.test": "NEVER,SUCCESS"})
			m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@there.test": "a\r\nDATA"})
		}, from, to},
		{"ORCPT type", []string{"DSN"}, func(m *container.Mail) {
			m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@there.test": "/c+3Dde/"})
			m.Set(container.AttrDSNOrcptType, map[string]container.Value{"bob@there.test": "X400"})
		}, from, to + " ORCPT=X400;/c+3Dde/"},
		{"ORCPT utf-8", []string{"DSN"}, func(m *container.Mail) {
			m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@there.test": "\u017eeljko@x.test"})
			m.Set(container.AttrDSNOrcptType, map[string]container.Value{"bob@there.test": "utf-8"})
		}, from, to + ` ORCPT=utf-8;\x{17E}eljko@x.test`},
		{"ORCPT utf-8 kept", []string{"DSN", "SMTPUTF8"}, func(m *container.Mail) {
			m.Set(container.AttrDSNOrcpt, map[string]container.Value{"bob@there.test": `\x{17E}eljko@x.test`})
			m.Set(container.AttrDSNOrcptType, map[string]container.Value{"bob@there.test": "utf-8"})
		}, from, to + ` ORCPT=utf-8;\x{17E}eljko@x.test`},
		{"marked 8 bit", all, func(m *container.Mail) { m.Set(container.AttrBodyType, "8BITMIME") }, from + " SIZE=114 BODY=8BITMIME", to},
		{"8 bit inside", all, func(m *container.Mail) {
			m.Message = container.NewMessage([]byte("A: b\r\n"), container.BytesBody(strings.Repeat("x", 1000)+"\xe9\r\n"))
		}, from + " SIZE=1011 BODY=8BITMIME", to},
		{"8 bit, not offered", []string{"SIZE"}, func(m *container.Mail) { m.Set(container.AttrBodyType, "8BITMIME") }, from + " SIZE=114", to},
		{"priority", all, func(m *container.Mail) { m.Set(container.AttrPriority, int32(-9)) }, from + " SIZE=114 MT-PRIORITY=-9", to},
		{"priority, not offered", []string{"STARTTLS"}, func(m *container.Mail) { m.Set(container.AttrPriority, int32(3)) }, from, to},
		{"null sender", all, func(m *container.Mail) { m.Sender = container.Address{} }, "MAIL FROM:<> SIZE=114", to},
		{"quoted", all, func(m *container.Mail) { m.Sender = container.MustAddress(`"a b"@here.test`) }, `MAIL FROM:<"a b"@here.test> SIZE=114`, to},
		{"UTF-8 sender", all, func(m *container.Mail) { m.Sender = container.MustAddress("jos\u00e9@here.test") }, "MAIL FROM:<jos\u00e9@here.test> SIZE=114 SMTPUTF8", to},
		{"UTF-8 header", all, func(m *container.Mail) {
			m.Set(container.AttrSMTPUTF8, true)
			m.Message.SetHeader([]byte("Subject: \u00e9\r\n"))
		}, from + " SIZE=62 BODY=8BITMIME SMTPUTF8", to},
		{"UTF-8 said, not needed", []string{"PIPELINING"}, func(m *container.Mail) { m.Set(container.AttrSMTPUTF8, true) }, from, to},
		{"UTF-8 domain, not offered", []string{}, func(m *container.Mail) { m.Sender = container.MustAddress("a@b\u00fccher.test") }, "MAIL FROM:<a@xn--bcher-kva.test>", to},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, testConfig()).run()
			hop := r.oneHop(hoptest.Options{Extensions: tc.offered})
			m := newMail("bob@there.test")
			tc.set(m)
			r.send(m)
			if got := hop.Wait(t, 1)[0]; got.Mail != tc.mail || got.Rcpts[0] != tc.rcpt {
				t.Errorf("got  %q, %q\nwant %q, %q", got.Mail, got.Rcpts[0], tc.mail, tc.rcpt)
			}
		})
	}
}

// What a host cannot take is not sent to it.
func TestNotSent(t *testing.T) {
	for _, tc := range []struct {
		name    string
		offered []string
		set     func(*container.Mail)
		want    string
	}{
		{"size", []string{"SIZE 100"}, func(*container.Mail) {}, "true message of 114 octets is larger than the 100 that the remote host takes"},
		{"UTF-8 sender", []string{}, func(m *container.Mail) { m.Sender = container.MustAddress("jos\u00e9@here.test") }, "true the address needs SMTPUTF8"},
		{"UTF-8 recipient", []string{"PIPELINING"}, func(m *container.Mail) { m.Recipients[0] = container.MustAddress("jos\u00e9@there.test") }, "true the address needs SMTPUTF8"},
		{"UTF-8 header", []string{}, func(m *container.Mail) {
			m.Set(container.AttrSMTPUTF8, true)
			m.Message.SetHeader([]byte("Subject: \u00e9\r\n"))
		}, "true the message needs SMTPUTF8"},
		{"REQUIRETLS", nil, func(m *container.Mail) { m.Set(container.AttrRequireTLS, true) }, "true REQUIRETLS: the remote host does not offer STARTTLS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, testConfig()).run()
			hop := r.oneHop(hoptest.Options{Extensions: tc.offered})
			m := newMail("bob@there.test")
			tc.set(m)
			r.send(m)
			if d := describe(r.spool(1)[0]); !strings.Contains(d, tc.want) {
				t.Errorf("got %q, want %q", d, tc.want)
			}
			if hop.Accepted() != 0 {
				t.Error("the message was sent")
			}
		})
	}
}

// What a mailet puts together need not be an address. It never becomes a command.
func TestBadAddressesAreNotSent(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	for _, local := range []string{"a\r\nRSET\r\nMAIL FROM:<evil@x.test", "a> NOTIFY=NEVER <b", "a b", `"a`, "a\x00b", ""} {
		m := newMail("b@there.test")
		m.Recipients[0].Local = local
		r.send(m)
		m = newMail("b@there.test")
		m.Sender.Local = local
		r.send(m)
	}
	for _, m := range r.spool(12) {
		if permanent, _ := m.Attributes.Bool(container.AttrPermanentError); m.State != "bounces" || !permanent {
			t.Errorf("got %s, want a permanent failure", describe(m))
		}
	}
	for _, c := range hop.Commands() {
		if !strings.HasPrefix(c, "EHLO") && !strings.HasPrefix(c, "MAIL FROM:<alice@here.test>") && c != "RSET" && c != "QUIT" {
			t.Errorf("the hop got %q", c)
		}
	}
}

func TestTLS(t *testing.T) {
	type cfg = func(*Config)
	starttls := func(c *Config) { c.StartTLS = true }
	for _, tc := range []struct {
		name   string
		hop    hoptest.Options
		cfg    []cfg
		mail   func(*container.Mail)
		trust  bool // the authority is known
		script []on
		want   string // of the spool
		tls    bool
	}{
		{name: "off", hop: hoptest.Options{StartTLS: true}, want: "done"},
		{name: "opportunistic, offered", hop: hoptest.Options{StartTLS: true}, cfg: []cfg{starttls}, trust: true, want: "done", tls: true},
		{name: "opportunistic, not offered", cfg: []cfg{starttls}, want: "done"},
		{name: "opportunistic, refused", hop: hoptest.Options{StartTLS: true}, cfg: []cfg{starttls}, script: []on{{"STARTTLS", "", "454 4.7.0 not now"}}, want: "false 454 454 4.7.0 not now"},
		{name: "unknown authority", hop: hoptest.Options{StartTLS: true}, cfg: []cfg{starttls}, want: "false TLS handshake: "},
		{name: "other name", hop: hoptest.Options{StartTLS: true, CertNames: []string{"other.test"}}, cfg: []cfg{starttls}, trust: true, want: "false TLS handshake: "},
		{name: "other name allowed", hop: hoptest.Options{StartTLS: true, CertNames: []string{"other.test"}},
			cfg: []cfg{starttls, func(c *Config) { c.VerifyIdentity = false }}, trust: true, want: "done", tls: true},
		{name: "unknown authority, name not checked", hop: hoptest.Options{StartTLS: true}, cfg: []cfg{starttls, func(c *Config) { c.VerifyIdentity = false }}, want: "false TLS handshake: "},
		{name: "trust all", hop: hoptest.Options{StartTLS: true, CertNames: []string{"other.test"}}, cfg: []cfg{starttls, func(c *Config) { c.TrustAll = true }}, want: "done", tls: true},
		{name: "trust host", hop: hoptest.Options{StartTLS: true}, cfg: []cfg{starttls, func(c *Config) { c.TrustHosts = []string{"MX.there.test"} }}, want: "done", tls: true},
		{name: "required, not offered", cfg: []cfg{func(c *Config) { c.StartTLSRequired = true }}, want: "false STARTTLS is required"},
		{name: "required, offered", hop: hoptest.Options{StartTLS: true}, cfg: []cfg{func(c *Config) { c.StartTLSRequired = true }}, trust: true, want: "done", tls: true},
		{name: "implicit", hop: hoptest.Options{ImplicitTLS: true}, cfg: []cfg{func(c *Config) { c.ImplicitTLS = true }}, trust: true, want: "done", tls: true},
		{name: "implicit, peer in clear", cfg: []cfg{func(c *Config) { c.ImplicitTLS = true }}, want: "false TLS handshake: "},
		{name: "REQUIRETLS", hop: hoptest.Options{StartTLS: true, TLSExtensions: []string{"REQUIRETLS"}}, mail: requireTLS, trust: true, want: "done", tls: true},
		{name: "REQUIRETLS, host cannot", hop: hoptest.Options{StartTLS: true}, mail: requireTLS, trust: true, want: "true REQUIRETLS: the remote host does not support it"},
		{name: "REQUIRETLS, bad certificate", hop: hoptest.Options{StartTLS: true, TLSExtensions: []string{"REQUIRETLS"}}, mail: requireTLS,
			cfg: []cfg{func(c *Config) { c.TrustAll = true }}, want: "true REQUIRETLS: certificate of the remote host"},
		{name: "REQUIRETLS, other name allowed", hop: hoptest.Options{StartTLS: true, TLSExtensions: []string{"REQUIRETLS"}, CertNames: []string{"other.test"}}, mail: requireTLS,
			cfg: []cfg{func(c *Config) { c.VerifyIdentity = false }}, trust: true, want: "true REQUIRETLS: certificate of the remote host"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := testConfig()
			c.Timeout = time.Second
			for _, f := range tc.cfg {
				f(&c)
			}
			tc.hop.Host = "mx.there.test"
			hop := hoptest.New(t, tc.hop)
			for _, s := range tc.script {
				hop.On(s.stage, s.match, s.reply)
			}
			r := newRig(t, c, func(s *Services) {
				s.Roots = x509.NewCertPool()
				if tc.trust {
					s.Roots = hop.Roots()
				}
			}).run()
			r.hop("there.test", "192.0.2.9", hop)
			r.zone.Add(t, "there.test. 60 IN MX 1 mx.there.test.")
			r.hop("mx.there.test", "192.0.2.1", hop)
			m := newMail("bob@there.test")
			if tc.mail != nil {
				tc.mail(m)
			}
			r.send(m)
			got := r.spool(1)[0]
			if d := describe(got); !strings.Contains(d, tc.want) {
				t.Errorf("got %q, want %q", d, tc.want)
			}
			if tr := hop.Transactions(); len(tr) > 0 && tr[0].TLS != tc.tls {
				t.Errorf("sent with TLS=%t, want %t", tr[0].TLS, tc.tls)
			}
			if o, _ := got.Outcome(got.Recipients[0]); strings.HasPrefix(tc.want, "done") && o.TLS != map[bool]string{true: "TLS 1.3"}[tc.tls] {
				t.Errorf("outcome says TLS %q", o.TLS)
			}
		})
	}
}

func requireTLS(m *container.Mail) { m.Set(container.AttrRequireTLS, true) }

func TestAuth(t *testing.T) {
	for _, tc := range []struct {
		name string
		hop  hoptest.Options
		pass string
		want string
		user string
	}{
		{"PLAIN", hoptest.Options{User: "joe", Password: "secret"}, "secret", "done", "joe"},
		{"LOGIN", hoptest.Options{User: "joe", Password: "secret", Mechanisms: "CRAM-MD5 LOGIN"}, "secret", "done", "joe"},
		{"wrong password", hoptest.Options{User: "joe", Password: "secret"}, "guess", "true 535 535 5.7.8 bad credentials", ""},
		{"not offered", hoptest.Options{}, "secret", "false the gateway offers no authentication", ""},
		{"no common mechanism", hoptest.Options{User: "joe", Password: "secret", Mechanisms: "GSSAPI"}, "secret", "false the gateway offers no authentication", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := testConfig()
			c.Gateways = []Gateway{{Host: "relay.test", Port: 587}}
			c.Auth = &Credentials{"joe", tc.pass}
			c.Debug = true
			r := newRig(t, c).run()
			hop := hoptest.New(t, tc.hop)
			r.hop("relay.test", "192.0.2.1", hop)
			r.send(newMail("bob@there.test", "eve@other.test"))
			if d := describe(r.spool(1)[0]); !strings.Contains(d, "bob@there.test,eve@other.test") || !strings.Contains(d, tc.want) {
				t.Errorf("got %q, want %q", d, tc.want)
			}
			if tr := hop.Transactions(); len(tr) > 0 && tr[0].User != tc.user {
				t.Errorf("sent as %q, want %q", tr[0].User, tc.user)
			}
			if tc.user == "" && hop.Accepted() > 0 {
				t.Error("sent without authentication")
			}
			if strings.Contains(r.log.String(), "am9l") || strings.Contains(r.log.String(), tc.pass) || !strings.Contains(r.log.String(), "EHLO mx.here.test") {
				t.Errorf("log: %s", r.log)
			}
		})
	}
}

func TestHeloOnly(t *testing.T) {
	c := testConfig()
	c.HeloOnly = true
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{})
	r.send(newMail("bob@there.test"))
	hop.Wait(t, 1)
	if got := hop.Commands()[0]; got != "HELO mx.here.test" {
		t.Errorf("got %q first", got)
	}
}

// A host that hangs at any point costs one timeout.
func TestHang(t *testing.T) {
	for _, stage := range []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "EOM", "BODY"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			c := testConfig()
			c.Timeout, c.FinalTimeout = 200*time.Millisecond, 200*time.Millisecond
			r := newRig(t, c).run()
			hop := r.oneHop(hoptest.Options{})
			hop.On(stage, "", hoptest.Hang)
			m := newMail("bob@there.test")
			if stage == "BODY" { // more than the buffers on the way hold
				m.Message = container.NewMessage([]byte("A: b\r\n"), container.BytesBody(strings.Repeat("0123456789abcdef\r\n", 1<<20)))
			}
			r.send(m)
			if d := describe(r.spool(1)[0]); !strings.HasPrefix(d, "bounces bob@there.test false ") || !strings.Contains(d, "timeout") {
				t.Errorf("got %q", d)
			}
		})
	}
}

func TestLargeMessage(t *testing.T) {
	r := newRig(t, testConfig()).run()
	hop := r.oneHop(hoptest.Options{})
	body := strings.Repeat("0123456789abcdef\r\n.dots\r\n", 100000)
	m := newMail("bob@there.test")
	m.Message = container.NewMessage([]byte("A: b\r\n"), container.BytesBody(body))
	r.send(m)
	if got := string(hop.Wait(t, 1)[0].Data); got != "A: b\r\n\r\n"+body {
		t.Errorf("got %d octets, want %d", len(got), len(body)+8)
	}
}
