package matchers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/mime"
)

// policyRegistry has the matchers over storage.
func policyRegistry(storage local.PolicyStorage) *container.Registry {
	r := container.NewRegistry()
	Register(r, Services{DNS: zone{}, DropLists: local.NewDropLists(storage), DLP: local.NewDLP(storage, nil)})
	return r
}

func TestIsInDropList(t *testing.T) {
	p := &localtest.Policies{}
	m, err := policyRegistry(p).NewMatcher("IsInDropList", "ignored")
	if err != nil {
		t.Fatal(err)
	}
	deny := func(scope local.DropScope, owner, denied string) {
		t.Helper()
		if err := p.AddDenied(t.Context(), local.DropOwner{Scope: scope, Name: owner}, denied); err != nil {
			t.Fatal(err)
		}
	}
	want := func(mail *container.Mail, want string) {
		t.Helper()
		got, err := m.Match(t.Context(), mail)
		if err != nil || names(got) != want {
			t.Errorf("got %q, %v, want %q", names(got), err, want)
		}
	}
	mail := newTestMail("")
	want(mail, all)
	deny(local.DropUser, "b@example.com", "example.org")
	want(mail, "a c")
	deny(local.DropDomain, "example.net", "sender@example.org")
	want(mail, "a")
	deny(local.DropGlobal, "", "other@example.org")
	want(mail, "a")
	deny(local.DropGlobal, "", "sender@example.org")
	want(mail, "")
	mail.Sender = container.Address{}
	want(mail, all)
	p.FailWith(errors.New("disk full"))
	mail = newTestMail("")
	if got, err := m.Match(t.Context(), mail); err == nil || got != nil {
		t.Errorf("got %v, %v although the lists cannot be read", got, err)
	}
}

func TestIsInDropListOff(t *testing.T) {
	r := container.NewRegistry()
	Register(r, Services{DNS: struct{ dns.Resolver }{}})
	if _, err := r.NewMatcher("IsInDropList", ""); err == nil || !strings.Contains(err.Error(), "enabled=true in droplists.properties") {
		t.Errorf("got %v, want the file to change", err)
	}
}

// rule is a rule with the id and the targets (s, r, c) before the colon.
func rule(s string) local.DLPRule {
	head, expr, _ := strings.Cut(s, ":")
	id, targets, _ := strings.Cut(head, " ")
	return local.DLPRule{ID: id, Expression: expr, Sender: strings.Contains(targets, "s"),
		Recipients: strings.Contains(targets, "r"), Content: strings.Contains(targets, "c")}
}

func TestDlp(t *testing.T) {
	const from = "From: =?utf-8?q?J=C3=BCrgen?= \"X. Y\" <boss@example.org>, plain@example.org\r\n"
	part := func(header, body string) string { return header + "\r\n\r\n" + body }
	innerHeader, innerBody := multipart("multipart/alternative", part("Content-Type: text/html", "<b>inner words</b>"))
	attachedText := "Subject: hidden subject\r\n" + innerHeader + "\r\n" + innerBody
	header, body := multipart("multipart/mixed",
		part("Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable", "Caf=E9 in par=\r\nts"),
		part("Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=leak.bin", "binary secret"),
		part("Content-Type: text/csv\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64", base64.StdEncoding.EncodeToString([]byte("card;1234-5678"))),
		part("Content-Type: message/rfc822", attachedText),
		part("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64", base64.StdEncoding.EncodeToString([]byte("Subject: x\r\n\r\nencoded message"))),
		part("Content-Type: text/plain; charset=utf-8", "broken \xff octet, gr\u00fcn"),
	)
	for _, tc := range []struct {
		name, header, body string
		rules              []string
		want               string // id, "" for no match
	}{
		{name: "no rules", header: from},
		{"envelope sender", from, "", []string{"1 s:^sender@example.org$"}, "1"},
		{"domain only of the envelope", from, "", []string{"1 s:nobody"}, ""},
		{"address in From", from, "", []string{"1 s:^plain@example\\.org$"}, "1"},
		{"name in From, quoted", from, "", []string{"1 s:^\"J\u00fcrgen X\\. Y\" <boss@example\\.org>$"}, "1"},
		{"Sender without From", "Sender: real@example.org\r\n", "", []string{"1 s:^real@"}, "1"},
		{"From before Sender", from + "Sender: real@example.org\r\n", "", []string{"1 s:^real@"}, ""},
		{"From that cannot be read", "From: @@ secret-name <\r\n", "", []string{"1 s:secret-name"}, "1"},
		{"envelope recipient", "", "", []string{"1 r:^c@example.net$"}, "1"},
		{"Cc", "Cc: Plain Name <x@y.test>\r\n", "", []string{"1 r:^Plain Name <x@y.test>$"}, "1"},
		{"Bcc", "To: a@b.test\r\nBcc: x@y.test\r\n", "", []string{"1 r:^x@y.test$"}, "1"},
		{"recipients are no senders", from + "To: x@y.test\r\n", "", []string{"1 sc:x@y.test"}, ""},
		{"subject", "Subject: =?utf-8?q?top_secret?=\r\n", "", []string{"1 c:^top secret$"}, "1"},
		{"simple body", "", "the secret word\r\n", []string{"1 c:secret word"}, "1"},
		{"case counts", "", "the SECRET word\r\n", []string{"1 c:secret"}, ""},
		{"case ignored", "", "the SECRET word\r\n", []string{"1 c:(?i)secret"}, "1"},
		{"other headers are no content", "X-Word: secret\r\n", "body", []string{"1 c:secret"}, ""},
		{"charset and encoding", header, body, []string{"1 c:Caf\u00e9 in parts"}, "1"},
		{"binary", header, body, []string{"1 c:binary secret"}, ""},
		{"attached text", header, body, []string{`1 c:\d{4}-\d{4}`}, "1"},
		{"attached message", header, body, []string{"1 c:inner words"}, "1"},
		{"header of an attached message", header, body, []string{"1 c:hidden subject"}, ""},
		{"encoded message", header, body, []string{"1 c:^encoded message$"}, "1"},
		{"an octet does not hide the rest", header, body, []string{"1 c:gr\u00fcn"}, "1"},
		{"first of a target", from, "secret", []string{"1 c:nothing", "2 c:secret", "3 c:sec"}, "2"},
		// 1 names content first, so rules about content come before all others.
		{"targets in the order they occur", from, "secret", []string{"1 c:nothing", "2 s:sender", "3 c:secret"}, "3"},
		{"targets of one rule", from, "secret", []string{"1 rc:nothing", "2 c:secret", "3 r:example"}, "3"},
		{"no target", from, "secret", []string{"1 :secret"}, ""},
		{"rule of another target does not need From", "", "secret", []string{"1 c:secret", "2 s:x"}, "1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mail := newTestMail("")
			mail.Message = container.NewMessage([]byte(tc.header), container.BytesBody(tc.body))
			got, err := dlpMatch(t, mail, tc.rules...)
			if err != nil {
				t.Fatal(err)
			}
			id, _ := mail.Attributes.String("DlpMatchedRule")
			if id != tc.want || (names(got) == all) != (tc.want != "") || len(got) != 0 && len(got) != 3 {
				t.Errorf("got rule %q for %v, want %q", id, got, tc.want)
			}
		})
	}
}

func dlpMatch(t *testing.T, mail *container.Mail, rules ...string) ([]container.Address, error) {
	t.Helper()
	p := &localtest.Policies{}
	var list []local.DLPRule
	for _, r := range rules {
		list = append(list, rule(r))
	}
	if err := p.PutDLPRules(t.Context(), "example.org", list); err != nil {
		t.Fatal(err)
	}
	m, err := policyRegistry(p).NewMatcher("dlp.Dlp", "whatever")
	if err != nil {
		t.Fatal(err)
	}
	return m.Match(t.Context(), mail)
}

func TestDlpErrors(t *testing.T) {
	noPart, noPartBody := multipart("multipart/mixed")
	deep := "text"
	for range maxAttached + 1 {
		deep = "Content-Type: message/rfc822\r\n\r\n" + deep
	}
	for _, tc := range []struct {
		name, header, body, rule string
		want                     error // nil: any
	}{
		{"no author", "Subject: x\r\n", "", "1 s:x", errNoAuthor},
		{"unknown charset", "Content-Type: text/plain; charset=x-none\r\n", "x", "1 c:y", mime.ErrCharset},
		{"unknown encoding", "Content-Transfer-Encoding: x-none\r\n", "x", "1 c:y", nil},
		{"broken encoding", "Content-Transfer-Encoding: base64\r\n", "!!!!", "1 c:y", mime.ErrMalformed},
		{"no parts", noPart, strings.TrimSuffix(noPartBody, "--bmultipartmixed--\r\n"), "1 c:y", mime.ErrNoParts},
		{"too much text", "", strings.Repeat("x", dlpText+1), "1 c:y", mime.ErrTooLarge},
		{"too deep", "Content-Type: message/rfc822\r\n", deep, "1 c:y", mime.ErrTooComplex},
		{"inner header too long", "Content-Type: message/rfc822\r\n", "Subject: " + strings.Repeat("x", maxInnerHeader) + "\r\n\r\n", "1 c:y", mime.ErrTooLarge},
		{"bad expression in the store", "", "", "1 c:(", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mail := newTestMail("")
			mail.Message = container.NewMessage([]byte(tc.header), container.BytesBody(tc.body))
			got, err := dlpMatch(t, mail, tc.rule)
			if err == nil || got != nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
			if !strings.Contains(fmt.Sprint(err), "example.org") {
				t.Errorf("%v does not say whose rules", err)
			}
			if len(mail.Attributes) > 0 {
				t.Errorf("attributes of a mail that could not be searched: %v", mail.Attributes)
			}
		})
	}
	mail := newTestMail("Subject: x\r\n")
	mail.Sender = container.Address{}
	if got, err := dlpMatch(t, mail, "1 src:x"); err != nil || got != nil {
		t.Errorf("null sender: got %v, %v", got, err)
	}
}

// An expression that backtracks without end is an error, in time.
func TestDlpTime(t *testing.T) {
	d := local.NewDLP(&localtest.Policies{}, nil)
	if err := d.SetRules(t.Context(), "example.org", []local.DLPRule{rule("1 c:(x+x+)+y")}); err != nil {
		t.Fatal(err)
	}
	rules, err := d.Searches(t.Context(), "example.org", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	mail := newTestMail("")
	mail.Message = container.NewMessage(nil, container.BytesBody(strings.Repeat("x", 5000)))
	if _, _, err := searchMail(mail, rules, time.Now().Add(50*time.Millisecond)); err == nil || !strings.Contains(err.Error(), "rule 1") {
		t.Errorf("got %v", err)
	}
}

type agesAsked []time.Duration

func (a *agesAsked) Searches(_ context.Context, _ string, maxAge time.Duration) ([]local.DLPSearch, error) {
	*a = append(*a, maxAge)
	return nil, nil
}

func TestDlpCache(t *testing.T) {
	for condition, want := range map[string]time.Duration{"": 10 * time.Second, "cache:5": 5 * time.Second, "cache: 2 min": 2 * time.Minute, "cached": 10 * time.Second} {
		var a agesAsked
		m, err := newDlp(&a)(condition)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Match(t.Context(), newTestMail("")); err != nil || len(a) != 1 || a[0] != want {
			t.Errorf("%q: asked for %v, %v, want %v", condition, a, err, want)
		}
	}
}

// FuzzDlpContent: whatever the message is, a text that stands in it as a simple
// body is found or the mail is an error; nothing panics.
func FuzzDlpContent(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\r\n"), []byte("--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nsecret\r\n--b--\r\n"))
	f.Add([]byte("Content-Transfer-Encoding: base64\r\n"), []byte("c2VjcmV0"))
	f.Fuzz(func(t *testing.T, header, body []byte) {
		m := newTestMail("")
		m.Message = container.NewMessage(header, container.BytesBody(body))
		texts, err := contentTexts(m)
		if err != nil {
			return
		}
		total := 0
		for _, s := range texts {
			total += len(s)
		}
		if total > dlpText+4*len(header) {
			t.Errorf("%d octets of text", total)
		}
		if root, err := mime.Scan(&m.Message, mime.Limits{}); err == nil && root.MediaType == "text/plain" && root.Encoding() == "7bit" && root.Charset() == "" &&
			texts[len(texts)-1] != strings.ToValidUTF8(string(body), "\uFFFD") {
			t.Errorf("the text %q of the message is not among %q", body, texts)
		}
	})
}
