package server

import (
	"errors"
	"fmt"
	"net/smtp"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

const dsnHooks = `<handlerchain>
  <handler class="org.apache.james.smtpserver.dsn.DSNEhloHook"/>
  <handler class="org.apache.james.smtpserver.dsn.DSNMailParameterHook"/>
  <handler class="org.apache.james.smtpserver.dsn.DSNRcptParameterHook"/>
  <handler class="org.apache.james.smtpserver.dsn.DSNMessageHook"/>
</handlerchain>`

func TestDSNAttributes(t *testing.T) {
	type m = map[string]container.Value
	for _, tc := range []struct {
		name, mail string
		rcpts      []string
		want       container.Attributes
	}{
		{"nothing asked", "", []string{"<bob@here.test>"}, container.Attributes{}},
		{"all", "RET=full ENVID=QQ+2B314159", []string{"<Bob@HERE.test> NOTIFY=delay,SUCCESS ORCPT=rfc822;Bob+40x", "<alice@here.test>"}, container.Attributes{
			container.AttrDSNRet: "FULL", container.AttrDSNEnvID: "QQ+2B314159",
			container.AttrDSNNotify: m{"Bob@here.test": "SUCCESS,DELAY"}, container.AttrDSNOrcpt: m{"Bob@here.test": "Bob+40x"}}},
		{"ret alone", "RET=HDRS", []string{"<bob@here.test>"}, container.Attributes{
			container.AttrDSNRet: "HDRS", container.AttrDSNNotify: m{}, container.AttrDSNOrcpt: m{}}},
		{"never", "", []string{"<bob@here.test> NOTIFY=never"}, container.Attributes{
			container.AttrDSNNotify: m{"bob@here.test": "NEVER"}, container.AttrDSNOrcpt: m{}}},
		{"other types", "", []string{"<bob@here.test> ORCPT=x400;/c+3Dde/", "<alice@here.test> ORCPT=RFC822;a@b"}, container.Attributes{
			container.AttrDSNNotify: m{}, container.AttrDSNOrcpt: m{"bob@here.test": "/c+3Dde/", "alice@here.test": "a@b"},
			container.AttrDSNOrcptType: m{"bob@here.test": "x400", "alice@here.test": "RFC822"}}},
		{"twice: the last wins", "", []string{"<bob@here.test> NOTIFY=NEVER ORCPT=x400;a", "<bob@here.test> NOTIFY=FAILURE ORCPT=rfc822;b"}, container.Attributes{
			container.AttrDSNNotify: m{"bob@here.test": "FAILURE"}, container.AttrDSNOrcpt: m{"bob@here.test": "b"}}},
		{"utf-8", "SMTPUTF8", []string{"<bob@here.test> ORCPT=utf-8;željko@here.test"}, container.Attributes{
			container.AttrDSNNotify: m{}, container.AttrDSNOrcpt: m{"bob@here.test": "željko@here.test"},
			container.AttrDSNOrcptType: m{"bob@here.test": "utf-8"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, dsnHooks)
			c := h.dial()
			c.send("HELO x\r\nMAIL FROM:<a@far.test> " + tc.mail + "\r\n")
			c.expect("220 ...", "250 ...", "250 ...")
			c.send("RCPT TO:<nobody@far.test> NOTIFY=SUCCESS\r\n") // refused: leaves nothing
			c.expect("550 ...")
			for _, r := range tc.rcpts {
				c.send("RCPT TO:" + r + "\r\n")
				c.expect("250 ...")
			}
			c.send("DATA\r\n.\r\n")
			c.expect("354 ...", "250 ...")
			got := container.Attributes{}
			mail := h.one()
			for k, v := range mail.Attributes {
				if strings.HasPrefix(k, "dsn-") && k != container.AttrDSNArrival {
					got[k] = v
				}
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %v\nwant %v", got, tc.want)
			}
			if at, ok := mail.Attributes.Time(container.AttrDSNArrival); !ok || time.Since(at) > time.Minute {
				t.Errorf("arrival date %v", at)
			}
			if len(mail.Recipients) != len(tc.rcpts) {
				t.Errorf("recipients %v", mail.Recipients)
			}
		})
	}
}

func TestRefusedMailLeavesNoParameters(t *testing.T) {
	h := start(t, dsnHooks)
	c := h.dial()
	c.send("HELO x\r\nMAIL FROM:<bad@@x> RET=FULL ENVID=x BODY=8BITMIME\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\n.\r\n")
	c.expect("220 ...", "250 ...", "501 ...", "250 ...", "250 ...", "354 ...", "250 ...")
	for _, name := range []string{container.AttrDSNRet, container.AttrDSNEnvID, container.AttrBodyType} {
		if v, ok := h.one().Attributes[name]; ok {
			t.Errorf("%s = %v survives the refused MAIL", name, v)
		}
	}
}

func TestDefaultAttributes(t *testing.T) {
	h := start(t, "")
	c := h.dial()
	c.send("EHLO client.test\r\nAUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\nMAIL FROM:<bob@here.test> BODY=8bitmime SMTPUTF8\r\n" +
		"RCPT TO:<grüße@far.test>\r\nRCPT TO:<x@far.test>\r\nRCPT TO:<x@far.test>\r\nDATA\r\n.\r\nRSET\r\n")
	c.expect("220 ...", "250-...", "250-SMTPUTF8", "250-...", "250-...", "250-...", "250-...", "250 ...", "235 ...", "250 ...",
		"250 2.1.5 Recipient <grüße@far.test> OK", "250 ...", "250 ...", "354 ...", "250 ...", "250 ...")
	m := h.one()
	want := container.Attributes{container.AttrHELO: "client.test", container.AttrSMTPAuthUser: "bob@here.test",
		container.AttrSMTPIsAuthNetwork: true, container.AttrSMTPSessionID: m.Attributes[container.AttrSMTPSessionID],
		container.AttrBodyType: "8BITMIME", container.AttrSMTPUTF8: true}
	if !reflect.DeepEqual(m.Attributes, want) {
		t.Errorf("got  %v\nwant %v", m.Attributes, want)
	}
	if id, _ := m.Attributes.String(container.AttrSMTPSessionID); len(id) != 8 {
		t.Errorf("session id %q", id)
	}
	if m.RemoteHost != "localhost" || m.RemoteAddr != "127.0.0.1" || m.State != container.StateRoot {
		t.Errorf("remote %s %s, state %s", m.RemoteHost, m.RemoteAddr, m.State)
	}
	if got := fmt.Sprint(container.AddressStrings(m.Recipients)); got != "[grüße@far.test x@far.test x@far.test]" {
		t.Errorf("recipients %s", got)
	}
	if strings.Contains(h.log.String(), "secret") || strings.Contains(h.log.String(), "AGJvYk") {
		t.Error("the password is in the log")
	}
	for _, part := range []string{`msg="mail accepted"`, "client=127.0.0.1", "hello=client.test", "user=bob@here.test", "recipients=3", m.Name} {
		if !strings.Contains(h.log.String(), part) {
			t.Errorf("log without %s:\n%s", part, h.log)
		}
	}
}

func TestReceived(t *testing.T) {
	date := time.Now().Format("Mon, 02 Jan 2006 15:")
	for _, tc := range []struct{ name, commands, want string }{
		{"HELO, one recipient", "HELO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\n",
			"Received: from localhost (HELO client.test) ([127.0.0.1])\r\n          by mx.here.test (JAMES SMTP Server ) with SMTP ID ID\r\n          for <bob@here.test>;\r\n          " + date},
		{"EHLO, two recipients", "EHLO client.test\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nRCPT TO:<bob@here.test>\r\n",
			"Received: from localhost (EHLO client.test) ([127.0.0.1])\r\n          by mx.here.test (JAMES SMTP Server ) with ESMTP ID ID;\r\n          " + date},
		{"AUTH", "EHLO client.test\r\nAUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@[192.0.2.1]>\r\n",
			"Received: from localhost (EHLO client.test) ([127.0.0.1])\r\n          by mx.here.test (JAMES SMTP Server ) with ESMTPA ID ID\r\n          for <bob@[192.0.2.1]>;\r\n          " + date},
		{"a refused EHLO is not written", "HELO client.test\r\nEHLO (evil)\r\nMAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\n",
			"Received: from localhost (HELO client.test) ([127.0.0.1])\r\n          by mx.here.test (JAMES SMTP Server ) with SMTP ID ID\r\n          for <bob@here.test>;\r\n          " + date},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, "")
			c := h.dial()
			c.send(tc.commands + "DATA\r\nTo: x\r\n\r\n.\r\nQUIT\r\n")
			for !strings.HasPrefix(c.line(), "221") {
			}
			m := h.one()
			got, header, _ := split(t, m)
			id, _ := m.Attributes.String(container.AttrSMTPSessionID)
			got = strings.Replace(got, "ID "+id, "ID ID", 1)
			if !strings.HasPrefix(got, tc.want) || header != "To: x\r\n" {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestGoClient sends a mail with the client of the standard library.
func TestGoClient(t *testing.T) {
	h := start(t, "")
	body := "Subject: x\r\n\r\n.dot\r\n..\r\nend\r\n"
	if err := smtp.SendMail(h.Addrs()[0].String(), nil, "a@far.test", []string{"bob@here.test", "alice@here.test"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	_, header, got := split(t, h.one())
	if header+"\r\n"+got != body {
		t.Errorf("got %q, want %q", header+"\r\n"+got, body)
	}
}

// The lines about a mail say its name once, and the size of the whole message.
func TestLogOfAMail(t *testing.T) {
	const mail = "C: EHLO c.test\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250-...\nS: 250 ...\n" +
		"C: MAIL FROM:<a@far.test>\nS: 250 ...\nC: RCPT TO:<bob@here.test>\nS: 250 ...\nC: DATA\nS: 354 ...\n" +
		"C: Subject: x\nC:\nC: body\nC: .\n"
	for _, fail := range []bool{false, true} {
		h := start(t, "")
		msg, reply := `msg="mail accepted"`, "S: 250 ..."
		if fail {
			h.queue.mu.Lock()
			h.queue.err = errors.New("disk full")
			h.queue.mu.Unlock()
			msg, reply = `msg="mail refused"`, "S: 451 ..."
		}
		c := h.dial()
		c.expect("220 ...")
		c.talk(mail + reply + "\nC: QUIT\nS: 221 ...\nCLOSED")
		h.stop()
		h.wait()
		found := false
		for line := range strings.Lines(h.log.String()) {
			if n := strings.Count(line, " mail="); n != 1 {
				t.Errorf("%d names in %s", n, line)
			}
			found = found || strings.Contains(line, msg)
			if !fail && !strings.Contains(line, fmt.Sprintf(" size=%d ", h.one().Message.Size())) {
				t.Errorf("not the size %d: %s", h.one().Message.Size(), line)
			}
		}
		if !found {
			t.Errorf("no line %s in %s", msg, h.log.String())
		}
	}
}
