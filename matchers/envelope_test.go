package matchers

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/engine"
)

// matchCase is one row of a table: a class with a condition, and what it makes
// of a mail.
type matchCase struct {
	class, condition string
	header, body     string
	sender, remote   string
	recipients       string // in place of a, B and c
	attributes       attrs
	want             string // local parts, in lower case
	err              string
}

func (tc matchCase) mail() *container.Mail {
	m := newTestMail("")
	m.Message = container.NewMessage([]byte(tc.header), container.BytesBody(tc.body))
	m.Attributes = tc.attributes
	switch tc.sender {
	case "":
	case "<>":
		m.Sender = container.Address{}
	default:
		m.Sender = container.MustAddress(tc.sender)
	}
	if tc.remote != "" {
		m.RemoteAddr = tc.remote
	}
	if tc.recipients != "" {
		m.Recipients = nil
		for r := range strings.FieldsSeq(tc.recipients) {
			m.Recipients = append(m.Recipients, container.MustAddress(r))
		}
	}
	return m
}

// run makes the matcher and asks it.
func (tc matchCase) run(t *testing.T, r *container.Registry) {
	t.Helper()
	ma, err := r.NewMatcher(tc.class, tc.condition)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ma.Match(t.Context(), tc.mail())
	if tc.err != "" {
		if err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("got %q, %v; want an error with %q", names(got), err, tc.err)
		}
		return
	}
	if err != nil || names(got) != tc.want {
		t.Errorf("got %q, %v; want %q", names(got), err, tc.want)
	}
}

func runAll(t *testing.T, r *container.Registry, cases []matchCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.class+"="+tc.condition, func(t *testing.T) { tc.run(t, r) })
	}
}

func TestEnvelopeMatchers(t *testing.T) {
	const quick = `(a+)+b@example\.com`
	runAll(t, testRegistry(), []matchCase{
		{class: "RecipientDomainIs", condition: "EXAMPLE.com x.org", want: "a b"},
		{class: "RecipientDomainIs", condition: "sub.example.com", want: ""},
		{class: "RecipientIsRegex", condition: ` [aB]@example\.(com|net) `, want: "a b"},
		{class: "RecipientIsRegex", condition: `@example\.com`, want: ""},
		{class: "RecipientIsRegex", condition: `(?i)b@.*`, want: "b"},
		{class: "RecipientIsRegex", condition: quick, recipients: strings.Repeat("a", 60) + "@example.com", err: "match pattern"},
		{class: "UserIs", condition: "a, c", want: "a c"},
		{class: "UserIs", condition: "b", want: ""},
		{class: "UserIs", condition: "B", want: "b"},
		{class: "UserIs", condition: "a,c", want: ""},
		{class: "IsSingleRecipient", want: ""},
		{class: "IsSingleRecipient", recipients: "x@x.org", want: "x"},
		{class: "RecipientCountExceeds", condition: "2", want: all},
		{class: "RecipientCountExceeds", condition: "3", want: ""},
		{class: "TooManyRecipients", condition: "2", want: all},
		{class: "TooManyRecipients", condition: "3", want: ""},
		{class: "CommandForListserv", condition: " l@Example.com", recipients: "l-on@example.com L-off@example.com l-off@example.com l-on@x.org l-x@example.com", want: "l-on l-off"},
		{class: "CommandListservMatcher", condition: "l@example.com", recipients: "l-on@example.com l-subscribe@example.com l@example.com L-on@example.com l-on@x.org", want: "l-on l-subscribe"},
		{class: "SenderIsRegex", condition: `sender@.*`, want: all},
		{class: "SenderIsRegex", condition: `sender@`, want: ""},
		{class: "SenderIsRegex", condition: `<>`, sender: "<>", want: all},
		{class: "SenderIsRegex", condition: `.*`, sender: "<>", want: all},
		{class: "SenderIsRegex", condition: quick, sender: strings.Repeat("a", 60) + "@example.com", err: "match pattern"},
		{class: "SenderDomainIs", condition: "x.org, Example.org", want: all},
		{class: "SenderDomainIs", condition: "example.com", want: ""},
		{class: "SenderDomainIs", condition: "example.org", sender: "<>", want: ""},
		{class: "SenderHostIs", condition: "example.org", want: all},
		{class: "SenderHostIs", condition: "example.com", want: ""},
		{class: "SenderHostIs", condition: "example.org", sender: "<>", want: ""},
		{class: "IsFromMailingList", want: ""},
		{class: "IsFromMailingList", sender: "owner-list@x.org", want: all},
		{class: "IsFromMailingList", sender: "OWNER-list@x.org", want: ""},
		{class: "IsFromMailingList", sender: "list-request@x.org", want: all},
		{class: "IsFromMailingList", sender: "mailer-daemon@x.org", want: all},
		{class: "IsFromMailingList", sender: "listserv@x.org", want: all},
		{class: "IsFromMailingList", sender: "Majordomo@x.org", want: all},
		{class: "IsFromMailingList", sender: "<>", want: ""},
		{class: "IsFromMailingList", sender: "<>", header: "list-id: <x>\r\n", want: all},
		{class: "IsFromMailingList", header: "List-Foo: <x>\r\n", want: ""},
		{class: "SMTPAuthUserIs", condition: "bob, ann", attributes: attrs{container.AttrSMTPAuthUser: "ann"}, want: all},
		{class: "SMTPAuthUserIs", condition: "Ann", attributes: attrs{container.AttrSMTPAuthUser: "ann"}, want: ""},
		{class: "SMTPAuthUserIs", condition: "bob", want: ""},
		{class: "org.apache.james.transport.mailets.XOriginatingIpInNetwork", condition: "192.0.2.0/24, 2001:db8::/32", header: "X-Originating-IP: [192.0.2.9]\r\n", want: all},
		{class: "XOriginatingIpInNetwork", condition: "2001:db8::/32", header: "X-Originating-IP: 2001:db8::9\r\n", want: all},
		{class: "XOriginatingIpInNetwork", condition: "192.0.2.0/24", header: "X-Originating-IP: 192.0.3.9\r\nX-Originating-IP: 192.0.2.9\r\n", want: ""},
		{class: "XOriginatingIpInNetwork", condition: "192.0.2.0/24", header: "X-Originating-IP: mx.example.com\r\n", want: ""},
		{class: "XOriginatingIpInNetwork", condition: "192.0.2.0/24", want: ""},
		{class: "XOriginatingIpInNetwork", header: "X-Originating-IP: 192.0.2.9\r\n", want: ""},
	})
}

// A pattern that is slow, but not too slow for one match, must not hold up the
// server as often as somebody likes.
func TestManyMatchesAreBounded(t *testing.T) {
	const slow = `(a+)+b@x\.test`
	file := filepath.Join(t.TempDir(), "patterns")
	if err := os.WriteFile(file, []byte("X-A:(a+)+b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newTestMail("")
	local := strings.Repeat("a", 14)
	m.Message = container.NewMessage([]byte(strings.Repeat("X-A: "+local+"\r\n", 50_000)), nil)
	m.Recipients = slices.Repeat([]container.Address{container.MustAddress(local + "@x.test")}, 50_000)
	for class, condition := range map[string]string{"RecipientIsRegex": slow, "FileRegexMatcher": file} {
		ma, err := testRegistry().NewMatcher(class, condition)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if _, err := ma.Match(t.Context(), m); err == nil || !strings.Contains(err.Error(), "time is up") {
			t.Errorf("%s: got %v after %v", class, err, time.Since(start))
		}
	}
}

func TestSenderHostIsLocal(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, tc := range []struct {
		sender, want string
		err          error
	}{
		{sender: "x@example.com", want: all},
		{sender: "x@example.net"},
		{sender: "<>", err: nil},
		{sender: "x@example.com", err: broken},
	} {
		ma, err := newSenderHostIsLocal(&directory{err: tc.err})("")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ma.Match(t.Context(), matchCase{sender: tc.sender}.mail()); !errors.Is(err, tc.err) || names(got) != tc.want {
			t.Errorf("%s: got %v, %v; want %q, %v", tc.sender, got, err, tc.want, tc.err)
		}
	}
}

// records is DNS made of maps: a host without an entry does not exist, one in
// down cannot be asked for now.
type records struct {
	mx    map[string][]dns.MX
	addrs map[string]string
	down  map[string]bool
}

func (r records) MX(_ context.Context, domain string) ([]dns.MX, error) {
	if r.down[domain] {
		return nil, dns.ErrTemporary
	}
	if list, ok := r.mx[domain]; ok {
		return list, nil
	}
	return nil, dns.ErrNotFound
}

func (r records) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	if r.down[host] {
		return nil, dns.ErrTemporary
	}
	if a, ok := r.addrs[host]; ok {
		var out []netip.Addr
		for s := range strings.FieldsSeq(a) {
			out = append(out, netip.MustParseAddr(s))
		}
		return out, nil
	}
	return nil, dns.ErrNotFound
}

func (records) Reverse(context.Context, netip.Addr) (string, error) { return "", dns.ErrNotFound }

func (records) TXT(context.Context, string) ([]string, error) { return nil, dns.ErrNotFound }

func dnsRegistry(log *slog.Logger) *container.Registry {
	r := container.NewRegistry()
	Register(r, Services{Log: log, DNS: records{
		mx: map[string][]dns.MX{
			"example.com": {{Host: "mx2.example.com", Pref: 5}, {Host: "MX1.example.com.", Pref: 10}, {Host: "mx1.example.com", Pref: 20}},
			"null.test":   {{Host: "."}},
			"wild.test":   {{Host: "wild.example"}, {Host: "good.example"}},
			"late.test":   {{Host: "good.example"}, {Host: "wild.example"}},
			"lost.test":   {{Host: "lost.example"}},
			"stuck.test":  {{Host: "stuck.example"}},
		},
		addrs: map[string]string{
			"example.net":  "192.0.2.1",
			"good.example": "192.0.2.2",
			"wild.example": "2001:db8::1 198.51.100.7",

			"1.2.0.192.bl.test": "127.0.0.2",
			"2.2.0.192.bl.test": "203.0.113.1",
			"3.2.0.192.bl.test": "127.255.255.254",
			"4.2.0.192.bl.test": "127.255.255.254 127.0.0.4",
			"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test": "127.0.0.9",
		},
		down: map[string]bool{"down.test": true, "stuck.example": true, "5.2.0.192.bl.test": true},
	}})
	return r
}

func TestDNSMatchers(t *testing.T) {
	runAll(t, dnsRegistry(nil), []matchCase{
		{class: "RecipientHasMXRecord", condition: "mx2.example.com,MX1.Example.com", want: "a b"},
		{class: "RecipientHasMXRecord", condition: "mx1.example.com,mx1.example.com,mx2.example.com", want: "a b"},
		{class: "RecipientHasMXRecord", condition: "mx2.example.com", want: ""},
		{class: "RecipientHasMXRecord", condition: "mx2.example.com,mx1.example.com,mx3.example.com", want: ""},
		{class: "RecipientHasMXRecord", condition: "example.net", want: "c"},
		{class: "RecipientHasMXRecord", condition: "null.test", recipients: "n@null.test u@nowhere.test d@down.test", want: ""},
		{class: "SenderHasMXRecord", condition: "mx2.example.com,mx1.example.com", sender: "x@example.com", want: all},
		{class: "SenderHasMXRecord", condition: "mx1.example.com", sender: "x@example.com", want: ""},
		{class: "SenderHasMXRecord", condition: "example.net", sender: "x@example.net", want: all},
		{class: "SenderHasMXRecord", condition: "example.net", sender: "x@down.test", want: ""},
		{class: "SenderHasMXRecord", condition: "example.net", sender: "<>", want: ""},
		{class: "SenderInFakeDomain", sender: "<>", want: ""},
		{class: "SenderInFakeDomain", sender: "x@example.com", want: ""},
		{class: "SenderInFakeDomain", sender: "x@example.net", want: ""},
		{class: "SenderInFakeDomain", sender: "x@nowhere.test", want: all},
		{class: "SenderInFakeDomain", sender: "x@null.test", want: all},
		{class: "SenderInFakeDomain", sender: "x@down.test", want: ""},
		{class: "SenderInFakeDomain", sender: "x@wild.test", want: ""},
		{class: "SenderInFakeDomain", condition: "198.51.100.0/24", sender: "x@wild.test", want: all},
		{class: "SenderInFakeDomain", condition: "198.51.100.0/24", sender: "x@late.test", want: ""},
		{class: "SenderInFakeDomain", condition: "198.51.100.0/24", sender: "x@lost.test", want: ""},
		{class: "SenderInFakeDomain", condition: "198.51.100.0/24", sender: "x@stuck.test", want: ""},
		{class: "SenderInFakeDomain", condition: "192.0.2.1", sender: "x@example.net", want: all},
		{class: "InSpammerBlacklist", condition: "bl.test.", remote: "192.0.2.1", want: all},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.1", want: all},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.2", want: ""},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.3", want: ""},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.4", want: all},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.5", want: ""},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.6", want: ""},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "::ffff:192.0.2.1", want: all},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "2001:db8::1%eth0", want: all},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "mx.example.com", want: ""},
	})
}

// What DNS cannot answer is logged, because it counts as no match.
func TestDNSTroubleIsLogged(t *testing.T) {
	for _, tc := range []matchCase{
		{class: "RecipientHasMXRecord", condition: "example.net", recipients: "d@down.test"},
		{class: "SenderHasMXRecord", condition: "example.net", sender: "x@down.test"},
		{class: "SenderInFakeDomain", sender: "x@down.test"},
		{class: "SenderInFakeDomain", condition: "192.0.2.0/24", sender: "x@stuck.test"},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.3"},
		{class: "InSpammerBlacklist", condition: "bl.test", remote: "192.0.2.5"},
	} {
		var log strings.Builder
		tc.run(t, dnsRegistry(slog.New(slog.NewTextHandler(&log, nil))))
		if !strings.Contains(log.String(), "level=WARN") {
			t.Errorf("%s: no warning in %q", tc.class, log.String())
		}
	}
}

var _ interface{ Panicked() bool } = (*engine.PanicError)(nil)

func TestAttributeMatchers(t *testing.T) {
	failure := attrs{container.AttrMailetError: errors.New("remote end hung up")}
	defect := attrs{container.AttrMailetError: error(&engine.PanicError{Value: "index out of range"})}
	runAll(t, testRegistry(), []matchCase{
		{class: "HasMailAttributeWithValueRegex", condition: " k , a,.* ", attributes: attrs{"k": "a,b"}, want: all},
		{class: "HasMailAttributeWithValueRegex", condition: "k,b", attributes: attrs{"k": "abc"}, want: ""},
		{class: "HasMailAttributeWithValueRegex", condition: `k,\d+`, attributes: attrs{"k": int32(42)}, want: all},
		{class: "HasMailAttributeWithValueRegex", condition: "k,true|false", attributes: attrs{"k": false}, want: all},
		{class: "HasMailAttributeWithValueRegex", condition: "k,", attributes: attrs{"k": ""}, want: all},
		{class: "HasMailAttributeWithValueRegex", condition: "k,.*", want: ""},
		{class: "HasMailAttributeWithValueRegex", condition: "k,(a+)+b", attributes: attrs{"k": strings.Repeat("a", 60)}, err: "match pattern"},
		{class: "HasException", condition: "java.lang.Throwable", want: ""},
		{class: "HasException", condition: "java.lang.Throwable", attributes: attrs{container.AttrMailetError: "text"}, want: ""},
		{class: "HasException", condition: "java.lang.Throwable", attributes: failure, want: all},
		{class: "HasException", condition: "java.lang.Exception", attributes: failure, want: all},
		{class: "HasException", condition: " javax.mail.MessagingException ", attributes: failure, want: all},
		{class: "HasException", condition: "java.lang.RuntimeException", attributes: failure, want: ""},
		{class: "HasException", condition: "java.lang.RuntimeException", attributes: defect, want: all},
		{class: "HasException", condition: "jakarta.mail.MessagingException", attributes: defect, want: ""},
		{class: "HasException", condition: "java.lang.Exception", attributes: defect, want: all},
		{class: "HasException", condition: "com.acme.Outer$Inner_1", attributes: failure, want: ""},
		{class: "HasPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(5)}, want: all},
		{class: "HasPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(6)}, want: ""},
		{class: "HasPriority", condition: "5", attributes: attrs{container.AttrPriority: "5"}, want: ""},
		{class: "HasPriority", condition: "5", want: ""},
		{class: "AtLeastPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(5)}, want: all},
		{class: "AtLeastPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(9)}, want: all},
		{class: "AtLeastPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(4)}, want: ""},
		{class: "AtLeastPriority", condition: "5", want: ""},
		{class: "AtMostPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(5)}, want: all},
		{class: "AtMostPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(-9)}, want: all},
		{class: "AtMostPriority", condition: "5", attributes: attrs{container.AttrPriority: int32(6)}, want: ""},
		{class: "AtMostPriority", condition: "5", want: ""},
	})
}

func TestHasExceptionUnknownClass(t *testing.T) {
	var log strings.Builder
	if _, err := newHasException(slog.New(slog.NewTextHandler(&log, nil)))("java.io.IOException"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "java.io.IOException") {
		t.Errorf("no warning that names the class: %q", log.String())
	}
}
