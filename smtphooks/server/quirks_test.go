package server

import (
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// TestQuirks has a conversation for each place where James does something odd:
// either we do the same, because clients and scripts see it, or what was meant.
// Quirks with tests of their own: SPF, SpamTrap, ValidRcptMX,
// SupressDuplicateRcpt, the two HELO handlers (testdata/handler-*), greylisting,
// LMTP (testdata/lmtp), the PROXY header and the idle time (limits_test.go).
func TestQuirks(t *testing.T) {
	dsn := chainXML("dsn.DSNEhloHook", "dsn.DSNMailParameterHook", "dsn.DSNRcptParameterHook", "dsn.DSNMessageHook", "futurerelease.FutureReleaseMailParameterHook")
	const auth = "<auth><announce>never</announce></auth>"
	for _, tc := range []struct {
		name, elements, script string
		sender                 string // of the only mail, "" when none is taken
	}{
		{"odd texts", "", `
			S: 220 mx.here.test JAMES SMTP Server Server (JAMES SMTP Server ) ready
			C: HELO x
			S: 250 mx.here.test Hello x [127.0.0.1])
			C: AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0
			S: 235 Authentication Successful
			C: AUTH PLAIN
			S: 503 5.5.0 User has previously authenticated.  Further authentication is not required!`, ""},
		{"before EHLO, unannounced", auth, `
			S: 220 ...
			C: NOOP
			S: 250 2.0.0 OK
			C: RSET
			S: 250 2.0.0 OK
			C: AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0
			S: 235 ...`, ""},
		{"unknown parameters", "", `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: MAIL FROM:<a@far.test> FOO=BAR BAZ
			S: 250 2.1.0 Sender <a@far.test> OK
			C: RCPT TO:<bob@here.test> FOO=BAR
			S: 504 Unrecognized or unsupported option: FOO`, ""},
		{"a second MAIL keeps the first", "", `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: MAIL FROM:<a@far.test>
			S: 250 ...
			C: MAIL FROM:<b@far.test>
			S: 503 5.5.0 Sender already specified
			C: RCPT TO:<bob@here.test>
			S: 250 ...
			C: MAIL FROM:<c@far.test> FOO
			S: 503 5.5.0 Sender already specified
			C: DATA
			S: 354 ...
			C: .
			S: 250 2.6.0 Message received`, "a@far.test"},
		{"parameters of a MAIL that failed", dsn, `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: MAIL FROM:<a b@far.test> RET=FULL ENVID=x
			S: 501 5.1.7 Syntax error in sender address
			C: MAIL FROM:<a@far.test> RET=HDRS
			S: 250 ...
			C: RCPT TO:<bob@here.test>
			S: 250 ...
			C: DATA
			S: 354 ...
			C: .
			S: 250 ...`, "a@far.test"},
		{"bad parameters", dsn, `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0
			S: 235 ...
			C: MAIL FROM:<a@far.test> ENVID=a=b
			S: 501 5.5.4 Syntax error in parameters: ENVID must be xtext
			C: MAIL FROM:<a@far.test> RET=ALL
			S: 501 5.5.4 Syntax error in parameters: RET must be FULL or HDRS
			C: MAIL FROM:<a@far.test> HOLDUNTIL=BAD
			S: 501 Incorrect syntax when handling FUTURE-RELEASE mail parameter
			C: MAIL FROM:<a@far.test>
			S: 250 ...
			C: RCPT TO:<bob@here.test> NOTIFY=FOO
			S: 501 5.5.4 Syntax error in parameters: NOTIFY must be NEVER or a list of SUCCESS, FAILURE and DELAY
			C: RCPT TO:<bob@here.test> NOTIFY=NEVER,DELAY
			S: 501 5.5.4 ...
			C: RCPT TO:<bob@here.test> ORCPT=bob
			S: 501 5.5.4 Syntax error in parameters: ORCPT must be an address type, a semicolon and xtext`, ""},
		{"a recipient with DSN parameters twice", dsn, `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: MAIL FROM:<a@far.test>
			S: 250 ...
			C: RCPT TO:<bob@here.test> NOTIFY=NEVER
			S: 250 ...
			C: RCPT TO:<bob@here.test> NOTIFY=FAILURE
			S: 250 ...
			C: DATA
			S: 354 ...
			C: .
			S: 250 ...`, "a@far.test"},
		{"a line that is too long", "<maxLineLength>1000</maxLineLength>", `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: MAIL FROM:<a@far.test>
			S: 250 ...
			C: RCPT TO:<bob@here.test>
			S: 250 ...
			C: DATA
			S: 354 ...
			C+ ` + strings.Repeat("x", 1001) + `
			C+ MAIL FROM:<in@data.test>
			C: .
			S: 500 Line length exceeded. See RFC 2821 #4.5.3.1.
			C: NOOP
			S: 250 2.0.0 OK`, ""},
		{"behind a refused STARTTLS", "", `
			S: 220 ...
			C: STARTTLS
			S: 500 5.5.1 Command STARTTLS unrecognized.
			C: NOOP
			S: 250 2.0.0 OK`, ""},
		{"the default of requireSSL", "<auth><announce>always</announce></auth>", `
			S: 220 ...
			C: EHLO x
			S: 250-...
			S: 250-SMTPUTF8
			S: 250-AUTH LOGIN PLAIN
			S: 250-AUTH=LOGIN PLAIN`, ""},
		{"a keystore that nobody needs", `<tls socketTLS="false" startTLS="false"><keystore>file://conf/nowhere</keystore></tls>`, `
			S: 220 ...`, ""},
		{"plain values in texts", chainXML("fastfail.ValidSenderDomainHandler"), `
			S: 220 ...
			C: HELO x
			S: 250 ...
			C: MAIL FROM:<a@nowhere.test>
			S: 501 5.1.7 sender a@nowhere.test contains a domain with no valid MX records`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := start(t, tc.elements)
			h.dial().talk(tc.script)
			if tc.sender == "" {
				if n := len(h.queue.all()); n != 0 {
					t.Errorf("%d mails", n)
				}
				return
			}
			m := h.one()
			if m.Sender.String() != tc.sender {
				t.Errorf("sender %s", m.Sender)
			}
			switch {
			case strings.HasPrefix(tc.name, "parameters of"):
				if _, ok := m.Attributes[container.AttrDSNEnvID]; ok || m.Attributes[container.AttrDSNRet] != "HDRS" {
					t.Errorf("attributes %v", m.Attributes)
				}
			case strings.HasPrefix(tc.name, "a recipient"):
				if n, _ := m.Attributes.RecipientString(container.AttrDSNNotify, m.Recipients[0]); n != "FAILURE" {
					t.Errorf("NOTIFY %s", n)
				}
			}
		})
	}
}
