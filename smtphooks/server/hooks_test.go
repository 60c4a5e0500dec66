package server

import (
	"context"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/smtphooks"
)

// probe answers at each step what its parameters say: deny, soft, ok, end, panic.
type probe struct{ p map[string]string }

func (h probe) at(step string) smtphooks.Decision {
	switch h.p[step] {
	case "deny":
		return smtphooks.Decision{Action: smtphooks.Deny}
	case "text":
		return smtphooks.Refuse(571, "5.7.1", "first line\nsecond")
	case "soft":
		return smtphooks.Decision{Action: smtphooks.DenySoft}
	case "ok":
		return smtphooks.Decision{Action: smtphooks.OK, Code: 299, Text: "ignored"}
	case "end":
		return smtphooks.Decision{Action: smtphooks.None, Disconnect: true}
	case "denyend":
		return smtphooks.Decision{Action: smtphooks.Deny, Disconnect: true, Code: 521, Text: "go away"}
	case "panic":
		panic("probe at " + step)
	}
	return smtphooks.Decision{}
}

func (h probe) Connect(context.Context, *smtphooks.Session) smtphooks.Decision {
	return h.at("connect")
}
func (h probe) Helo(context.Context, *smtphooks.Session, string) smtphooks.Decision {
	return h.at("helo")
}
func (h probe) Mail(context.Context, *smtphooks.Session, container.Address) smtphooks.Decision {
	return h.at("mail")
}
func (h probe) Rcpt(context.Context, *smtphooks.Session, smtphooks.Recipient) smtphooks.Decision {
	return h.at("rcpt")
}
func (h probe) Message(_ context.Context, _ *smtphooks.Session, m *container.Mail) smtphooks.Decision {
	m.Set("seen", true)
	return h.at("message")
}
func (h probe) Quit(context.Context, *smtphooks.Session) smtphooks.Decision { return h.at("quit") }
func (h probe) Unknown(context.Context, *smtphooks.Session, string) smtphooks.Decision {
	return h.at("unknown")
}
func (h probe) MailParams() []string { return []string{"PROBE"} }
func (h probe) MailParam(_ context.Context, _ *smtphooks.Session, p smtphooks.Param) smtphooks.Decision {
	return h.at("param")
}
func (h probe) Auth(_ context.Context, _ *smtphooks.Session, user, password string) (string, bool, error) {
	return user, password == "hook", nil
}

// startProbe runs a server with a probe that answers so at one step.
func startProbe(t *testing.T, step, answer string) *harness {
	reg := smtphooks.NewRegistry()
	reg.Handler("test.Probe", func(p *conf.Params, _ smtphooks.Services) any {
		return probe{map[string]string{step: p.String(step, "")}}
	})
	return startWith(t, `<handlerchain><handler class="test.Probe"><`+step+`>`+answer+`</`+step+`></handler></handlerchain>`, reg, Options{})
}

func TestHooks(t *testing.T) {
	const (
		deny = "S: 554 Email rejected\n"
		soft = "S: 451 Temporary problem. Please try again later\n"
		end  = "S: 554 Server disconnected\nCLOSED\n"
		text = "S: 571-5.7.1 first line\nS: 571 5.7.1 second\n"
		bang = "S: 451 Unable to process request\n"
		stay = "C: NOOP\nS: 250 2.0.0 OK\n"
		helo = "S: 220 ...\nC: HELO x\n"
		mail = helo + "S: 250 ...\nC: MAIL FROM:<a@far.test> PROBE=1\n"
		rcpt = mail + "S: 250 2.1.0 Sender <a@far.test> OK\nC: RCPT TO:<bob@here.test>\n"
		data = rcpt + "S: 250 2.1.5 Recipient <bob@here.test> OK\nC: DATA\nS: 354 ...\nC: .\n"
	)
	for _, tc := range []struct{ step, answer, script string }{
		{"connect", "denyend", "S: 521 go away\nCLOSED"},
		{"connect", "deny", "S: 554 Email rejected\nCLOSED"},
		{"connect", "panic", bang + "CLOSED"},
		{"helo", "deny", helo + deny + stay},
		{"helo", "end", helo + end},
		{"helo", "ok", helo + "S: 250 mx.here.test ...\n" + stay},
		{"helo", "panic", helo + bang + stay},
		{"param", "deny", mail + deny + "C: RCPT TO:<bob@here.test>\nS: 503 ..."},
		{"param", "ok", mail + "S: 299 ignored\nC: RCPT TO:<bob@here.test>\nS: 503 ..."},
		{"mail", "text", mail + text + "C: RCPT TO:<bob@here.test>\nS: 503 ..."},
		{"mail", "soft", mail + soft + stay},
		{"mail", "denyend", mail + "S: 521 go away\nCLOSED"},
		{"mail", "panic", mail + bang + "C: MAIL FROM:<b@far.test>\nS: 451 ..."},
		{"rcpt", "deny", rcpt + deny + "C: DATA\nS: 503 5.5.0 No recipients specified"},
		{"rcpt", "ok", rcpt + "S: 250 2.1.5 Recipient <bob@here.test> OK"},
		{"rcpt", "panic", rcpt + bang + stay},
		{"message", "deny", data + deny + "C: RCPT TO:<bob@here.test>\nS: 503 ..."},
		{"message", "soft", data + soft + stay},
		{"message", "end", data + end},
		{"message", "ok", data + "S: 299 ignored\n" + stay},
		{"message", "panic", data + bang + "CLOSED"},
		{"unknown", "denyend", "S: 220 ...\nC: FOO\nS: 521 go away\nCLOSED"},
		{"quit", "deny", "S: 220 ...\nC: QUIT\nS: 554 Email rejected\n" + stay},
		{"quit", "panic", "S: 220 ...\nC: QUIT\n" + bang + stay},
	} {
		t.Run(tc.step+" "+tc.answer, func(t *testing.T) {
			h := startProbe(t, tc.step, tc.answer)
			var other *client
			if tc.step != "connect" {
				other = h.dial()
				other.expect("220 ...")
			}
			h.dial().talk(tc.script)
			if other != nil {
				other.talk(stay)
			}
			if tc.answer == "panic" && !strings.Contains(h.log.String(), "hooks_test.go") {
				t.Errorf("no stack in the log:\n%s", h.log)
			}
			if n := len(h.queue.all()); n != 0 {
				t.Errorf("%d mails stored", n)
			}
		})
	}
}

func TestMessageHookChangesMail(t *testing.T) {
	h := startProbe(t, "message", "")
	c := h.begin()
	c.send(".\r\n")
	c.expect("250 ...")
	if ok, _ := h.one().Attributes.Bool("seen"); !ok {
		t.Error("the change is lost")
	}
}

// TestAuthHook: as soon as there is one, the users repository is not asked.
func TestAuthHook(t *testing.T) {
	h := startProbe(t, "message", "")
	c := h.dial()
	c.send("AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\nAUTH PLAIN AHdob2V2ZXIAaG9vaw==\r\n")
	c.expect("220 ...", "535 Authentication Failed", "235 Authentication Successful")
}

// A handler that panics while it is loaded is a problem with a place.
func TestHandlerThatPanicsAtLoad(t *testing.T) {
	reg := smtphooks.NewRegistry()
	reg.Handler("test.Panics", func(*conf.Params, smtphooks.Services) any { panic("ouch") })
	h, r := build(t, smtpserverXML(`<handlerchain><handler class="test.Panics"/></handlerchain>`), reg, Options{})
	var texts []string
	for _, p := range r.Problems() {
		texts = append(texts, p.String())
	}
	if got := strings.Join(texts, "\n"); !strings.HasSuffix(got, "error: Can not load test.Panics: panic: ouch") || !strings.HasPrefix(got, "smtpserver.xml:1:") {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(h.log.String(), "hooks_test.go") {
		t.Errorf("no stack in the log: %s", h.log)
	}
}

// A hook that panics costs the command, and nobody else's connection.
func TestPanicLeavesOthersAlone(t *testing.T) {
	h := startProbe(t, "mail", "panic")
	other := h.dial()
	other.expect("220 ...")
	other.send("HELO other.test\r\n")
	other.expect("250 ...")
	h.dial().talk("S: 220 ...\nC: HELO x\nS: 250 ...\nC: MAIL FROM:<a@far.test>\nS: 451 Unable to process request\nC: NOOP\nS: 250 ...")
	other.talk("C: NOOP\nS: 250 2.0.0 OK\nC: QUIT\nS: 221 ...\nCLOSED")
	h.dial().expect("220 ...")
}
