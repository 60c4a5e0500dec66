package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap/ldaptest"
)

func entry(name string, kv ...string) ldaptest.Entry {
	e := ldaptest.Entry{Name: name, Attributes: map[string][]string{}}
	for i := 0; i < len(kv); i += 2 {
		e.Attributes[kv[i]] = append(e.Attributes[kv[i]], kv[i+1])
	}
	return e
}

// people is a directory with users of two domains and groups.
var people = []ldaptest.Entry{
	entry("ou=people,o=test", "objectClass", "organizationalUnit"),
	entry("uid=ann,ou=people,o=test", "objectClass", "person", "mail", "ann@here.test", "description", "one", "description", "two", "live", "yes"),
	entry("uid=bob,ou=people,o=test", "objectClass", "person", "mail", "bob@here.test", "live", "no"),
	entry("cn=Printer,ou=people,o=test", "objectClass", "device", "mail", "printer@here.test", "description", "one"),
	entry("ou=far,o=test", "objectClass", "organizationalUnit"),
	entry("uid=cid,ou=far,o=test", "objectClass", "person", "mail", "cid@far.test", "description", "three"),
	entry("cn=guest,ou=contacts,o=test", "objectClass", "person", "mail", "guest@else.test"),
	entry("cn=team,ou=groups,o=test", "objectClass", "groupOfNames",
		"member", "UID=Ann, OU=People,o=test", "member", "uid=gone,ou=people,o=test", "member", "uid=cid,ou=far,o=test",
		"member", "cn=guest,ou=contacts,o=test", "member", "cn=gone,ou=contacts,o=test"),
	entry("cn=empty,ou=groups,o=test", "objectClass", "groupOfNames"),
}

func settings(hosts ...string) conf.LDAP {
	return conf.LDAP{Hosts: hosts, Principal: "cn=reader,o=test", Credentials: "secret", UserBase: "ou=people,o=test", UserIDAttribute: "mail",
		UserObjectClass: "person", PoolSize: 2, ReadTimeout: 5 * time.Second, DomainBases: map[string]string{"far.test": "ou=far,o=test"}}
}

// client returns a client whose connections are closed with the test.
func client(t *testing.T, s conf.LDAP) *Client {
	t.Helper()
	c, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func addresses(text string) []container.Address {
	var out []container.Address
	for _, s := range strings.Fields(text) {
		out = append(out, container.MustAddress(s))
	}
	return out
}

func TestValues(t *testing.T) {
	s := ldaptest.New(t, nil, people...)
	for _, tc := range []struct {
		name, address, attribute, filter string
		want                             []string
	}{
		{name: "all values", address: "ann@here.test", attribute: "description", want: []string{"one", "two"}},
		{name: "case", address: "Ann@here.test", attribute: "DESCRIPTION", want: []string{"one", "two"}},
		{name: "no such attribute", address: "bob@here.test", attribute: "description"},
		{name: "no such user", address: "eve@here.test", attribute: "description"},
		{name: "other class", address: "printer@here.test", attribute: "description"},
		{name: "base of the domain", address: "cid@far.test", attribute: "description", want: []string{"three"}},
		{name: "filter", address: "ann@here.test", attribute: "description", filter: "(live=yes)", want: []string{"one", "two"}},
		{name: "filter without brackets", address: "bob@here.test", attribute: "mail", filter: "live=yes"},
		{name: "filter in the address", address: `"*)(mail=*"@here.test`, attribute: "mail"},
		{name: "star in the address", address: `*@here.test`, attribute: "mail"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			set := settings("ldap://" + s.Addr())
			set.Filter = tc.filter
			got, err := client(t, set).Values(t.Context(), container.MustAddress(tc.address), tc.attribute)
			if err != nil || !slices.Equal(got, tc.want) {
				t.Errorf("got %q and %v, want %q; filters %q", got, err, tc.want, s.Filters())
			}
		})
	}
}

// TestMissingBase: a base that is not there, because somebody mistyped it, is no
// missing group, of which nobody is a member.
func TestMissingBase(t *testing.T) {
	s := ldaptest.New(t, nil, people...)
	set := settings("ldap://" + s.Addr())
	set.UserBase = "ou=poeple,o=test"
	set.DomainBases = map[string]string{"far.test": "ou=far,o=test"}
	c := client(t, set)
	got, err := c.Members(t.Context(), "cn=team,ou=groups,o=test", addresses("ann@here.test"))
	if err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "poeple") {
		t.Errorf("members: got %v and %v, want an error about the base", got, err)
	}
	if got, err := c.Values(t.Context(), container.MustAddress("ann@here.test"), "mail"); err == nil {
		t.Errorf("values: got %v", got)
	}
}

func TestMembers(t *testing.T) {
	for _, page := range []int{0, 1, 2} {
		s := ldaptest.New(t, nil, people...)
		s.Page(page)
		c := client(t, settings("ldap://"+s.Addr()))
		got, err := c.Members(t.Context(), "cn=team,ou=groups,o=test", addresses("bob@here.test guest@else.test Ann@here.test cid@far.test x@x.test"))
		if want := addresses("guest@else.test Ann@here.test cid@far.test"); err != nil || !slices.Equal(got, want) {
			t.Errorf("pieces of %d: got %v and %v, want %v", page, got, err, want)
		}
		if got, err := c.Members(t.Context(), "cn=nothing,ou=groups,o=test", addresses("ann@here.test")); !errors.Is(err, ErrNotFound) {
			t.Errorf("no group: got %v and %v", got, err)
		}
		if got, err := c.Members(t.Context(), "cn=empty,ou=groups,o=test", addresses("ann@here.test")); err != nil || len(got) > 0 {
			t.Errorf("empty group: got %v and %v", got, err)
		}
		if opened, binds := s.Counts(); opened != 1 || binds != 1 {
			t.Errorf("%d connections and %d binds, want one", opened, binds)
		}
	}
}

// TestErrors: what cannot be found out is an error.
func TestErrors(t *testing.T) {
	ann := container.MustAddress("ann@here.test")
	for _, tc := range []struct {
		name   string
		change func(*ldaptest.Server, *conf.LDAP)
		want   string
	}{
		{"refused", func(s *ldaptest.Server, _ *conf.LDAP) { s.Close() }, "connection refused"},
		{"wrong password", func(_ *ldaptest.Server, l *conf.LDAP) { l.Credentials = "guess" }, "Invalid Credentials"},
		{"nobody in particular", func(_ *ldaptest.Server, l *conf.LDAP) { l.Principal, l.Credentials = "", "" }, "Insufficient Access Rights"},
		{"unavailable", func(s *ldaptest.Server, _ *conf.LDAP) { s.Fail(goldap.LDAPResultUnavailable) }, "Unavailable"},
		{"size limit", func(s *ldaptest.Server, _ *conf.LDAP) { s.Fail(goldap.LDAPResultSizeLimitExceeded) }, "Size Limit Exceeded"},
		{"no such base", func(_ *ldaptest.Server, l *conf.LDAP) { l.UserBase = "ou=peple,o=test" }, "no such entry"},
		{"silence", func(s *ldaptest.Server, l *conf.LDAP) { s.Hang(true); l.ReadTimeout = 50 * time.Millisecond }, "timed out"},
		{"no TLS", func(_ *ldaptest.Server, l *conf.LDAP) {
			l.Hosts[0] = strings.Replace(l.Hosts[0], "ldap:", "ldaps:", 1)
			l.ConnectionTimeout = 200 * time.Millisecond
		}, "TLS"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := ldaptest.New(t, nil, people...)
			set := settings("ldap://" + s.Addr())
			tc.change(s, &set)
			c := client(t, set)
			for range 2 {
				if got, err := c.Values(t.Context(), ann, "description"); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("values: got %v and %v, want %s", got, err, tc.want)
				}
			}
			if tc.name == "no such base" {
				return
			}
			if got, err := c.Members(t.Context(), "cn=team,ou=groups,o=test", []container.Address{ann}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("members: got %v and %v, want %s", got, err, tc.want)
			}
		})
	}
}

// TestBadMember: a name that is none does not pass for nobody.
func TestBadMember(t *testing.T) {
	s := ldaptest.New(t, nil, append(slices.Clone(people), entry("cn=odd,o=test", "objectClass", "x", "member", "ann"))...)
	_, err := client(t, settings("ldap://"+s.Addr())).Members(t.Context(), "cn=odd,o=test", addresses("ann@here.test"))
	if err == nil || !strings.Contains(err.Error(), `member "ann"`) {
		t.Errorf("got %v", err)
	}
}

func TestReconnect(t *testing.T) {
	s := ldaptest.New(t, nil, people...)
	c := client(t, settings("ldap://"+s.Addr()))
	for i := range 5 {
		if got, err := c.Values(t.Context(), container.MustAddress("cid@far.test"), "description"); err != nil || len(got) != 1 {
			t.Errorf("round %d: got %v and %v", i, got, err)
		}
		s.Drop()
	}
	if opened, _ := s.Counts(); opened != 5 {
		t.Errorf("%d connections, want 5", opened)
	}
}

func TestFailover(t *testing.T) {
	dead, second := ldaptest.New(t, nil), ldaptest.New(t, nil, people...)
	dead.Fail(goldap.LDAPResultBusy)
	refusing := ldaptest.New(t, nil)
	refusing.Close()
	c := client(t, settings("ldap://"+refusing.Addr(), "ldap://"+dead.Addr(), "ldap://"+second.Addr()))
	for range 3 {
		if got, err := c.Values(t.Context(), container.MustAddress("cid@far.test"), "description"); err != nil || len(got) != 1 {
			t.Errorf("got %v and %v", got, err)
		}
		second.Drop()
	}
	if opened, _ := dead.Counts(); opened != 1 {
		t.Errorf("the busy server was asked %d times, want once", opened)
	}
}

// TestManyAtOnce: a pool that is exhausted makes nobody wait for ever.
func TestManyAtOnce(t *testing.T) {
	s := ldaptest.New(t, nil, people...)
	set := settings("ldap://" + s.Addr())
	set.MaxWaitTime = time.Millisecond
	c := client(t, set)
	errs := make(chan error)
	for range 20 {
		go func() {
			got, err := c.Values(t.Context(), container.MustAddress("cid@far.test"), "description")
			if err == nil && len(got) != 1 {
				err = errors.New("wrong answer")
			}
			errs <- err
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestCancelled(t *testing.T) {
	s := ldaptest.New(t, nil, people...)
	s.Hang(true)
	c := client(t, settings("ldap://"+s.Addr()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Values(ctx, container.MustAddress("cid@far.test"), "description"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestTLS(t *testing.T) {
	s := ldaptest.New(t, &tls.Config{Certificates: []tls.Certificate{ldaptest.Certificate(t)}}, people...)
	for _, trust := range []bool{false, true} {
		set := settings("ldaps://" + s.Addr())
		set.TrustAllCerts = trust
		got, err := client(t, set).Values(t.Context(), container.MustAddress("cid@far.test"), "description")
		if trust && (err != nil || len(got) != 1) || !trust && (err == nil || !strings.Contains(err.Error(), "certificate")) {
			t.Errorf("trustAllCerts %t: got %v and %v", trust, got, err)
		}
	}
}

func TestNew(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*conf.LDAP)
		want   string
	}{
		{"scheme", func(l *conf.LDAP) { l.Hosts = []string{"ldapi://x"} }, "neither ldap:// nor ldaps://"},
		{"no host", func(l *conf.LDAP) { l.Hosts = []string{"ldap:x"} }, "want a URL"},
		{"none", func(l *conf.LDAP) { l.Hosts = nil }, "no LDAP host"},
		{"user in URL", func(l *conf.LDAP) { l.Hosts = []string{"ldap://a:b@x"} }, "want a URL"},
		{"no password", func(l *conf.LDAP) { l.Credentials = "" }, "belong together"},
		{"base", func(l *conf.LDAP) { l.UserBase = "people" }, "user base"},
		{"base of a domain", func(l *conf.LDAP) { l.DomainBases["a.test"] = "x" }, "domain a.test"},
		{"filter", func(l *conf.LDAP) { l.Filter = "(a=b))(c=d" }, "filter"},
		{"attribute", func(l *conf.LDAP) { l.UserIDAttribute = "mail)(" }, "userIdAttribute"},
		{"good", func(*conf.LDAP) {}, ""},
	} {
		set := settings("ldap://127.0.0.1:1")
		tc.change(&set)
		if _, err := New(set); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

// FuzzFilter: whatever an address is, it is the value of one equality and nothing
// else.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{"a@b.test", "*", `)(x=*`, `\29`, "\x00", "ü", "a\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p, err := goldap.CompileFilter(equals("mail", value))
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		if p.Tag != goldap.FilterEqualityMatch || p.Children[1].Data.String() != value {
			t.Errorf("%q makes filter %d of %q", value, p.Tag, p.Children[1].Data.String())
		}
	})
}
