package matchers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap"
	"github.com/mailetd/mailetd/container/ldap/ldaptest"
)

// ldapPeer returns a directory in which a and c of newTestMail and its sender
// are users, and classes that ask it.
func ldapPeer(t *testing.T) (*ldaptest.Server, *container.Registry) {
	t.Helper()
	user := func(name, mail, description, memberOf string) ldaptest.Entry {
		return ldaptest.Entry{Name: name, Attributes: map[string][]string{"objectClass": {"person"}, "mail": {mail},
			"description": {"first", description}, "memberOf": {memberOf}}}
	}
	s := ldaptest.New(t, nil,
		ldaptest.Entry{Name: "ou=p,o=x", Attributes: map[string][]string{"objectClass": {"ou"}}},
		user("uid=a,ou=p,o=x", "a@example.com", "blocked", "cn=Staff,ou=g,o=x"),
		user("uid=c,ou=p,o=x", "c@example.net", "a: b", "CN=Admins,OU=g,O=x"),
		user("uid=s,ou=p,o=x", "sender@example.org", "x, y", "cn=staff,ou=g,o=x"),
		ldaptest.Entry{Name: "cn=staff,ou=g,o=x", Attributes: map[string][]string{"objectClass": {"groupOfNames"},
			"member": {"uid=b,ou=p,o=x", "uid=c,ou=p,o=x", "uid=s,ou=p,o=x"}}})
	client, err := ldap.New(conf.LDAP{Hosts: []string{"ldap://" + s.Addr()}, Principal: "cn=r", Credentials: "secret", UserBase: "ou=p,o=x",
		UserIDAttribute: "mail", UserObjectClass: "person", PoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- client.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	r := container.NewRegistry()
	Register(r, Services{LDAP: client})
	return s, r
}

func TestLDAP(t *testing.T) {
	s, r := ldapPeer(t)
	for _, tc := range []struct{ class, condition, want string }{
		{"HasLDAPAttribute", "description", "a c"},
		{"HasLDAPAttribute", " Description ", "a c"},
		{"HasLDAPAttribute", "mobile", ""},
		{"HasLDAPAttribute", "description:blocked", "a"},
		{"HasLDAPAttribute", "description : blocked ", "a"},
		{"HasLDAPAttribute", "description:Blocked", ""},
		{"HasLDAPAttribute", "description:a: b", "c"},
		{"HasLDAPAttribute", "description:", ""},
		{"HasLDAPAttribute", "memberOf:Staff", "a"},
		{"HasLDAPAttribute", "memberOf:Admins", "c"},
		{"HasLDAPAttribute", "memberOf:CN=Admins,OU=g,O=x", "c"},
		{"HasLDAPAttribute", "memberOf:cn=admins, ou=g,o=x", "c"},
		{"HasLDAPAttribute", "description:blocked?cacheEnabled=false", "a"},
		{"SenderHasLDAPAttribute", "description:x, y", all},
		{"SenderHasLDAPAttribute", "description:blocked", ""},
		{"IsInLDAPGroup", "cn=staff,ou=g,o=x", "c"},
		{"IsInLDAPGroup", "cn=none,ou=g,o=x", ""},
		{"SenderIsInLDAPGroup", "cn=staff,ou=g,o=x", all},
		{"SenderIsInLDAPGroup", "cn=none,ou=g,o=x", ""},
	} {
		t.Run(tc.class+"="+tc.condition, func(t *testing.T) {
			ma, err := r.NewMatcher(tc.class, tc.condition)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ma.Match(t.Context(), newTestMail(""))
			if err != nil || names(got) != tc.want {
				t.Errorf("got %q and %v, want %q", names(got), err, tc.want)
			}
			null := newTestMail("")
			null.Sender = container.Address{}
			if got, err := ma.Match(t.Context(), null); strings.HasPrefix(tc.class, "Sender") && (err != nil || got != nil) {
				t.Errorf("null sender: got %v and %v", got, err)
			}
		})
	}
	s.Close()
	for _, condition := range []string{"HasLDAPAttribute=mail", "SenderHasLDAPAttribute=mail", "IsInLDAPGroup=cn=staff,ou=g,o=x", "SenderIsInLDAPGroup=cn=staff,ou=g,o=x"} {
		class, condition, _ := strings.Cut(condition, "=")
		ma, err := r.NewMatcher(class, condition)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ma.Match(t.Context(), newTestMail("")); err == nil || got != nil {
			t.Errorf("%s with the server down: got %v and %v, want an error", class, got, err)
		}
	}
}

func TestLDAPConditions(t *testing.T) {
	_, r := ldapPeer(t)
	for _, tc := range []struct{ class, condition, want string }{
		{"HasLDAPAttribute", "", "not the name of an attribute"},
		{"HasLDAPAttribute", ":value", "not the name of an attribute"},
		{"HasLDAPAttribute", "mail)(x", "not the name of an attribute"},
		{"HasLDAPAttribute", "mail?cacheSize=0", "cacheSize"},
		{"HasLDAPAttribute", "mail?cacheSize=many", "cacheSize"},
		{"HasLDAPAttribute", "mail?cacheDuration=soon", "cacheDuration"},
		{"HasLDAPAttribute", "mail?cached", "cache:"},
		{"SenderHasLDAPAttribute", "mail?cacheSize=1&cachesize=2", "once"},
		{"HasLDAPAttribute", "mail?&unknown=1& CacheSize=5&cacheduration=1 hour", ""},
		{"IsInLDAPGroup", "", "not the name of an entry"},
		{"SenderIsInLDAPGroup", "staff", "not the name of an entry"},
	} {
		if _, err := r.NewMatcher(tc.class, tc.condition); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s=%s: got %v, want %q", tc.class, tc.condition, err, tc.want)
		}
	}
	none := container.NewRegistry()
	Register(none, Services{})
	for _, class := range []string{"HasLDAPAttribute", "SenderHasLDAPAttribute", "IsInLDAPGroup", "SenderIsInLDAPGroup"} {
		if _, err := none.NewMatcher(class, "cn=x"); err == nil || !strings.Contains(err.Error(), "usersrepository.xml") {
			t.Errorf("%s without settings: got %v", class, err)
		}
	}
}

// TestLDAPCache: an answer, yes or no, is remembered; an error is not.
func TestLDAPCache(t *testing.T) {
	s, r := ldapPeer(t)
	ma, err := r.NewMatcher("HasLDAPAttribute", "description:blocked?cacheSize=2&cacheDuration=1 hour")
	if err != nil {
		t.Fatal(err)
	}
	m := newTestMail("")
	m.Recipients = m.Recipients[:2]
	s.Fail(1)
	if _, err := ma.Match(t.Context(), m); err == nil {
		t.Error("no error")
	}
	s.Fail(0)
	for range 3 {
		if got, err := ma.Match(t.Context(), m); err != nil || names(got) != "a" {
			t.Errorf("got %v and %v", got, err)
		}
	}
	if n := len(s.Filters()); n != 3 {
		t.Errorf("%d searches, want 3: one that failed, one each", n)
	}
}

func TestAnswerCache(t *testing.T) {
	start := time.Unix(1e9, 0)
	c := newAnswerCache(2, time.Minute)
	c.put("a", true, start)
	c.put("b", false, start)
	if yes, ok := c.get("a", start); !yes || !ok {
		t.Error("a is gone")
	}
	c.put("c", true, start) // b was asked for the longest time ago
	for key, want := range map[string]string{"a": "true true", "b": "false false", "c": "true true"} {
		yes, ok := c.get(key, start.Add(time.Minute-1))
		if got := fmt.Sprint(yes, ok); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
	if _, ok := c.get("a", start.Add(time.Minute)); ok || len(c.known) != 1 || c.order.Len() != 1 {
		t.Error("a is still known")
	}
	c.put("c", false, start)
	if yes, ok := c.get("c", start); yes || !ok || len(c.known) != 1 {
		t.Error("c was not replaced")
	}
}
