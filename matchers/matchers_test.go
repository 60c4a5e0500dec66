package matchers

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/ldap"
	"github.com/mailetd/mailetd/container/local"
)

// testRegistry has every class of the package, with DNS that knows one host.
func testRegistry() *container.Registry {
	r := container.NewRegistry()
	// Nobody is asked before the first mail.
	directory, err := ldap.New(conf.LDAP{Hosts: []string{"ldap://127.0.0.1:1"}, UserIDAttribute: "mail", UserObjectClass: "person"})
	if err != nil {
		panic(err)
	}
	Register(r, Services{LDAP: directory, DNS: zone{}, Local: local.New(local.Config{}, nil), DropLists: local.NewDropLists(nil), DLP: local.NewDLP(nil, nil)})
	return r
}

type zone struct{ dns.Resolver }

func (zone) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	if host == "mx.example.com" {
		return []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, nil
	}
	return nil, dns.ErrNotFound
}

// newTestMail returns a mail from sender to a, b and c at example.com.
func newTestMail(header string) *container.Mail {
	m := container.NewMail(container.MustAddress("sender@example.org"), []container.Address{
		container.MustAddress("a@example.com"), container.MustAddress("B@example.com"), container.MustAddress("c@example.net"),
	}, container.NewMessage([]byte(header), nil))
	m.RemoteAddr = "192.0.2.1"
	return m
}

// names returns the local parts of list, in lower case.
func names(list []container.Address) string {
	var out []string
	for _, a := range list {
		out = append(out, strings.ToLower(a.Local))
	}
	return strings.Join(out, " ")
}

const all = "a b c"

type attrs = container.Attributes

func TestMatch(t *testing.T) {
	notify := func(kv ...string) attrs {
		m := map[string]container.Value{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return attrs{container.AttrDSNNotify: m}
	}
	received := "Received: x\r\nreceived: y\r\n\tz\r\nX-Received: no\r\n"
	for _, tc := range []struct {
		class, condition string
		attributes       attrs
		header, sender   string
		want             string
	}{
		{class: "All", want: all},
		{class: "All", condition: "ignored", want: all},
		{class: "RecipientIs", condition: "A@EXAMPLE.COM,\tb@example.com x@x.org", want: "a b"},
		{class: "RecipientIs", condition: "<>", want: ""},
		{class: "HostIs", condition: "Example.NET, other.org", want: "c"},
		{class: "SenderIs", condition: "Sender@Example.ORG", want: all},
		{class: "SenderIs", condition: "<>", want: ""},
		{class: "SenderIs", condition: "x@x.org <>", sender: "<>", want: all},
		{class: "SenderIsNull", want: ""},
		{class: "SenderIsNull", sender: "<>", want: all},
		{class: "SMTPAuthSuccessful", want: ""},
		{class: "SMTPAuthSuccessful", attributes: attrs{container.AttrSMTPAuthUser: int32(0)}, want: all},
		{class: "SMTPIsAuthNetwork", attributes: attrs{container.AttrSMTPIsAuthNetwork: true}, want: all},
		{class: "SMTPIsAuthNetwork", attributes: attrs{container.AttrSMTPIsAuthNetwork: "true"}, want: ""},
		{class: "SMTPIsAuthNetwork", attributes: attrs{container.AttrSMTPIsAuthNetwork: false}, want: ""},
		{class: "SentByMailet", want: ""},
		{class: "SentByMailet", attributes: attrs{container.AttrSentByMailet: false}, want: all},
		{class: "SentByJmap", want: ""},
		{class: "org.apache.james.jmap.mailet.SentByJmap", attributes: attrs{attrJMAPUser: "u"}, want: all},
		{class: "RemoteAddrInNetwork", condition: "192.0.2.0/24", want: all},
		{class: "RemoteAddrInNetwork", want: ""},
		{class: "RemoteAddrNotInNetwork", condition: "192.0.2.0/24", want: ""},
		{class: "RemoteAddrNotInNetwork", want: all},
		{class: "RelayLimit", condition: "2", header: received, want: all},
		{class: "RelayLimit", condition: "3", header: received, want: ""},
		{class: "HasMailAttribute", condition: "x=y", attributes: attrs{"x=y": nil}, want: all},
		{class: "HasMailAttribute", condition: "x", attributes: attrs{"X": "1"}, want: ""},
		{class: "HasMailAttributeWithValue", condition: " k , true ", attributes: attrs{"k": true}, want: all},
		{class: "HasMailAttributeWithValue", condition: "k,3", attributes: attrs{"k": int32(3)}, want: all},
		{class: "HasMailAttributeWithValue", condition: "k,v", attributes: attrs{"k": " v "}, want: all},
		{class: "HasMailAttributeWithValue", condition: "k,V", attributes: attrs{"k": "v"}, want: ""},
		{class: "HasMailAttributeWithValue", condition: "k,", attributes: attrs{"k": ""}, want: all},
		{class: "HasMailAttributeWithValue", condition: "k,", want: ""},
		{class: "HasMailAttributeWithValue", condition: "k,a,b", attributes: attrs{"k": "a,b"}, want: all},
		{class: "AtMost", condition: "2", want: all},
		{class: "AtMost", condition: "2", attributes: attrs{"AT_MOST_EXECUTIONS": int32(2)}, want: ""},
		{class: "AtMost", condition: "2", attributes: attrs{"AT_MOST_EXECUTIONS": "2"}, want: all},
		{class: "AtMost", condition: "own:2", attributes: attrs{"AT_MOST_EXECUTIONS": int32(9)}, want: all},
		{class: "AtMost", condition: "+2", want: all},
		{class: "DSNSuccessRequested", want: ""},
		{class: "DSNSuccessRequested", condition: "shouldMatchByDefault", want: all},
		{class: "DSNSuccessRequested", attributes: notify("A@example.com", "SUCCESS,DELAY", "c@example.net", "NEVER"), want: "a"},
		{class: "DSNSuccessRequested", condition: "shouldMatchByDefault", attributes: notify("a@example.com", "NEVER"), want: "b c"},
		{class: "DSNDelayRequested", attributes: notify("a@example.com", "SUCCESS,DELAY"), want: "a"},
		{class: "DSNDelayRequested", condition: "shouldMatchByDefault", attributes: notify("a@example.com", "SUCCESS"), want: "b c"},
		{class: "DSNFailureRequested", want: all},
		{class: "DSNFailureRequested", attributes: attrs{container.AttrDSNNotify: "no map"}, want: all},
		{class: "DSNFailureRequested", attributes: notify("a@example.com", "SUCCESS", "b@example.com", "failure"), want: "b c"},
		{class: "DSNFailureRequested", condition: "shouldNotMatchByDefault", attributes: notify("b@example.com", "FAILURE"), want: "b"},
		{class: "IsRemoteDeliveryPermanentError", want: ""},
		{class: "IsRemoteDeliveryPermanentError", attributes: attrs{container.AttrPermanentError: true}, want: all},
		{class: "IsRemoteDeliveryPermanentError", attributes: attrs{container.AttrPermanentError: false}, want: ""},
		{class: "IsRemoteDeliveryTemporaryError", want: ""},
		{class: "IsRemoteDeliveryTemporaryError", attributes: attrs{container.AttrPermanentError: true}, want: ""},
		{class: "IsRemoteDeliveryTemporaryError", attributes: attrs{container.AttrPermanentError: false}, want: all},
		{class: "IsRemoteDeliveryTemporaryError", attributes: attrs{container.AttrPermanentError: "false"}, want: ""},
		{class: "RemoteDeliveryFailedWithSMTPCode", condition: "552", want: ""},
		{class: "RemoteDeliveryFailedWithSMTPCode", condition: "552", attributes: attrs{container.AttrDeliveryErrorCode: int32(552)}, want: all},
		{class: "RemoteDeliveryFailedWithSMTPCode", condition: "571", attributes: attrs{container.AttrDeliveryErrorCode: int32(552)}, want: ""},
	} {
		t.Run(tc.class+"="+tc.condition, func(t *testing.T) {
			ma, err := testRegistry().NewMatcher(tc.class, tc.condition)
			if err != nil {
				t.Fatal(err)
			}
			m := newTestMail(tc.header)
			m.Attributes = tc.attributes
			if tc.sender == "<>" {
				m.Sender = container.Address{}
			}
			got, err := ma.Match(t.Context(), m)
			if err != nil || names(got) != tc.want {
				t.Errorf("got %q, %v; want %q", names(got), err, tc.want)
			}
			m.Recipients = nil
			if got, err := ma.Match(t.Context(), m); err != nil || len(got) != 0 {
				t.Errorf("mail without recipients: got %v, %v; want nobody", got, err)
			}
		})
	}
}

func TestBadConditions(t *testing.T) {
	for _, tc := range []struct{ class, condition, err string }{
		{"RecipientIs", "", "want one or more addresses"},
		{"RecipientIs", " ,\t", "want one or more addresses"},
		{"RecipientIs", "nobody", "no @"},
		{"RecipientIs", ".a@x.org", "not allowed"},
		{"SenderIs", "", "want one or more addresses"},
		{"SenderIs", "a@b@c", "not allowed"},
		{"HostIs", "", "want one or more domains"},
		{"HostIs", "example.com.", "labels have"},
		{"HostIs", "exa mple.com -x.org", "do not start or end"},
		{"RemoteAddrInNetwork", "10.0.0.0/33", "network"},
		{"RemoteAddrNotInNetwork", "a,,b", "empty entry"},
		{"RelayLimit", "", "not a whole number"},
		{"RelayLimit", "0", "not a whole number"},
		{"RelayLimit", "many", "not a whole number"},
		{"RelayLimit", " 3", "not a whole number"},
		{"RelayLimit", "2147483648", "not a whole number"},
		{"HasMailAttribute", "", "want the name of an attribute"},
		{"HasMailAttributeWithValue", "", "want the name of an attribute, a comma"},
		{"HasMailAttributeWithValue", "k", "want the name of an attribute, a comma"},
		{"HasMailAttributeWithValue", ",v", "want the name of an attribute, a comma"},
		{"AtMost", "", "AtMost=: want COUNT or ATTRIBUTE:COUNT"},
		{"AtMost", "0", "AtMost=0: want COUNT or ATTRIBUTE:COUNT with COUNT at least 1"},
		{"AtMost", "-1", "want COUNT"},
		{"AtMost", ":3", "attribute name is empty"},
		{"AtMost", "a:", "want COUNT"},
		{"AtMost", "a:b:3", "want COUNT"},
		{"AtMost", " 5", "want COUNT"},
		{"DSNSuccessRequested", "shouldNotMatchByDefault", "can only be empty or shouldMatchByDefault"},
		{"DSNDelayRequested", "SHOULDMATCHBYDEFAULT", "can only be empty or shouldMatchByDefault"},
		{"DSNFailureRequested", "shouldMatchByDefault", "can only be empty or shouldNotMatchByDefault"},
		{"RemoteDeliveryFailedWithSMTPCode", "", "not an SMTP reply code"},
		{"RemoteDeliveryFailedWithSMTPCode", "100", "not an SMTP reply code"},
		{"RemoteDeliveryFailedWithSMTPCode", "600", "not an SMTP reply code"},
		{"RemoteDeliveryFailedWithSMTPCode", "5xx", "not an SMTP reply code"},
	} {
		t.Run(tc.class+"="+tc.condition, func(t *testing.T) {
			_, err := testRegistry().NewMatcher(tc.class, tc.condition)
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", err, tc.err)
			}
		})
	}
}

func TestAtMostCounts(t *testing.T) {
	five, err := newAtMost("relay:5")
	if err != nil {
		t.Fatal(err)
	}
	m := newTestMail("")
	for i := 1; i <= 7; i++ {
		got, err := five.Match(t.Context(), m)
		if err != nil || (len(got) == 3) != (i <= 5) {
			t.Errorf("evaluation %d: got %v, %v", i, got, err)
		}
	}
	if n, ok := m.Attributes.Int("relay"); n != 5 || !ok {
		t.Errorf("counter is %d, %v; want 5 of type Integer", n, ok)
	}
}

func TestDSNGarbage(t *testing.T) {
	for _, tc := range []struct {
		key   string
		value container.Value
		err   string
	}{
		{"a@example.com", "PERHAPS", "not a NOTIFY keyword"},
		{"a@example.com", "", "not a NOTIFY keyword"},
		{"a@example.com", "SUCCESS,,DELAY", "not a NOTIFY keyword"},
		{"a@example.com", int32(1), "not a NOTIFY keyword"},
		{"a@example.com", "NEVER,SUCCESS", "NEVER beside"},
		{"nobody", "SUCCESS", "no @"},
	} {
		ma, err := testRegistry().NewMatcher("DSNFailureRequested", "")
		if err != nil {
			t.Fatal(err)
		}
		m := newTestMail("")
		m.Set(container.AttrDSNNotify, map[string]container.Value{tc.key: tc.value})
		if got, err := ma.Match(t.Context(), m); err == nil || !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %v: got %v, %v; want an error with %q", tc.key, tc.value, got, err, tc.err)
		}
	}
}

func TestNextHopLacksDSN(t *testing.T) {
	m := newTestMail("")
	m.SetOutcome(m.Recipients[0], container.Outcome{Result: container.Delivered, DSN: true, Time: time.Now()})
	m.SetOutcome(container.MustAddress("b@example.com"), container.Outcome{Result: container.Relayed, Time: time.Now()})
	ma, _ := newNextHopLacksDSN("")
	if got, err := ma.Match(t.Context(), m); err != nil || names(got) != "b" {
		t.Errorf("got %v, %v; want b", got, err)
	}
}

// directory is local data: one local domain, and the addresses in it.
type directory struct {
	err      error
	mappings error
	asked    []string
}

func (d *directory) IsLocalAddress(_ context.Context, a container.Address) (bool, error) {
	return a.Key() == "b@example.com" || a.Key() == "sender@example.org", d.err
}

func (d *directory) IsLocalDomain(_ context.Context, domain string) (bool, error) {
	d.asked = append(d.asked, domain)
	return domain == "example.com", d.err
}

func (d *directory) Resolve(context.Context, container.Address, ...local.MappingType) ([]local.Mapping, error) {
	return nil, d.mappings
}

func TestLocal(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, tc := range []struct {
		name    string
		factory func(*directory) container.MatcherFactory
		want    string
	}{
		{"RecipientIsLocal", func(d *directory) container.MatcherFactory { return newRecipientIsLocal(d) }, "b"},
		{"HostIsLocal", func(d *directory) container.MatcherFactory { return newHostIsLocal(d) }, "a b"},
		{"SenderIsLocal", func(d *directory) container.MatcherFactory { return newSenderIsLocal(d) }, all},
	} {
		d := &directory{}
		ma, err := tc.factory(d)("")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ma.Match(t.Context(), newTestMail("")); err != nil || names(got) != tc.want {
			t.Errorf("%s: got %v, %v; want %s", tc.name, got, err, tc.want)
		}
		if tc.name == "HostIsLocal" && len(d.asked) != 2 {
			t.Errorf("HostIsLocal asked for %v, want each domain once", d.asked)
		}
		d.err = broken
		if _, err := ma.Match(t.Context(), newTestMail("")); !errors.Is(err, broken) {
			t.Errorf("%s: got error %v, want %v", tc.name, err, broken)
		}
	}
	m := newTestMail("")
	m.Sender = container.Address{}
	ma, _ := newSenderIsLocal(&directory{err: broken})("")
	if got, err := ma.Match(t.Context(), m); err != nil || len(got) != 0 {
		t.Errorf("null sender is local: got %v, %v", got, err)
	}
}

func TestIsSenderInRRTLoop(t *testing.T) {
	for _, tc := range []struct {
		name     string
		mappings error
		recorded string
		null     bool
		want     string
	}{
		{name: "no mappings", want: ""},
		{name: "endless", mappings: local.ErrTooManyMappings, want: all},
		{name: "null sender", mappings: local.ErrTooManyMappings, null: true, want: ""},
		{name: "recorded", recorded: "Sender@example.org", want: all},
		{name: "another recorded", recorded: "x@example.org", want: ""},
		{name: "error mapping", mappings: &local.MappingError{Text: "gone"}, want: ""},
		{name: "store broken", mappings: errors.New("disk on fire"), want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ma, _ := newIsSenderInRRTLoop(&directory{mappings: tc.mappings}, slog.New(slog.DiscardHandler))("")
			m := newTestMail("")
			m.Set(container.AttrRecordedRcpts, []container.Value{tc.recorded})
			if tc.null {
				m.Sender = container.Address{}
			}
			if got, err := ma.Match(t.Context(), m); err != nil || names(got) != tc.want {
				t.Errorf("got %v, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func TestInert(t *testing.T) {
	ma, _ := newSentByJmap("")
	if i, ok := ma.(container.Inert); !ok || i.InertReason() == "" {
		t.Error("SentByJmap gives no reason for never matching")
	}
}
