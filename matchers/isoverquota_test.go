package matchers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// limits is a store of quotas, and mailboxes with three messages of 300 octets.
type limits struct {
	m        map[local.QuotaOwner]local.QuotaLimits
	err      error
	measured []string
}

func (l *limits) Quotas(_ context.Context, owners []local.QuotaOwner) ([]local.QuotaLimits, error) {
	out := make([]local.QuotaLimits, len(owners))
	for i, o := range owners {
		out[i] = l.m[o]
	}
	return out, l.err
}

func (l *limits) SetQuota(context.Context, local.QuotaOwner, local.QuotaLimits) error { return l.err }

func (l *limits) Use(_ context.Context, user, domain string) (local.MailboxUse, error) {
	l.measured = append(l.measured, user+" of "+domain)
	return local.MailboxUse{Count: 3, Size: 300}, l.err
}

func TestIsOverQuota(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	owner := func(scope local.QuotaScope, name string) local.QuotaOwner {
		return local.QuotaOwner{Scope: scope, Name: name}
	}
	all, dom, bob := owner(local.QuotaGlobal, ""), owner(local.QuotaDomain, "here.test"), owner(local.QuotaUser, "bob@here.test")
	dir, _ := localtest.Directory(t, []string{"here.test"}, "bob@here.test")
	for _, tc := range []struct {
		name string
		m    map[local.QuotaOwner]local.QuotaLimits
		want string
	}{
		{"none", nil, "[]"},
		{"count reached", map[local.QuotaOwner]local.QuotaLimits{all: {Count: n(3)}}, "[Bob@here.test x@far.test]"},
		{"count not reached", map[local.QuotaOwner]local.QuotaLimits{all: {Count: n(4)}}, "[]"},
		{"size reached", map[local.QuotaOwner]local.QuotaLimits{dom: {Size: n(399)}}, "[Bob@here.test]"},
		{"size not reached", map[local.QuotaOwner]local.QuotaLimits{dom: {Size: n(400)}}, "[]"},
		{"the user's counts", map[local.QuotaOwner]local.QuotaLimits{dom: {Size: n(0)}, bob: {Size: n(400)}}, "[]"},
		{"unlimited", map[local.QuotaOwner]local.QuotaLimits{all: {Size: n(0)}, bob: {Size: n(-1)}}, "[x@far.test]"},
		{"each limit for itself", map[local.QuotaOwner]local.QuotaLimits{dom: {Count: n(1)}, bob: {Size: n(1000)}}, "[Bob@here.test]"},
		{"nothing at all", map[local.QuotaOwner]local.QuotaLimits{bob: {Size: n(0)}}, "[Bob@here.test]"},
	} {
		l := &limits{m: tc.m}
		ma, err := newIsOverQuota(local.NewQuotas(l, dir, l))("")
		if err != nil {
			t.Fatal(err)
		}
		m := container.NewMail(container.MustAddress("a@far.test"), []container.Address{container.MustAddress("Bob@here.test"), container.MustAddress("x@far.test")},
			container.ParseMessage([]byte("Subject: x\r\n\r\n"+strings.Repeat("x", 86))))
		if m.Message.Size() != 100 {
			t.Fatal(m.Message.Size())
		}
		got, err := ma.Match(t.Context(), m)
		if err != nil || fmt.Sprint(got) != tc.want {
			t.Errorf("%s: got %v, %v, want %s", tc.name, got, err, tc.want)
		}
		if tc.m == nil && len(l.measured) > 0 {
			t.Errorf("without a limit mailboxes are measured: %v", l.measured)
		}
		l.err = errors.New("disk gone")
		if _, err := ma.Match(t.Context(), m); !errors.Is(err, l.err) {
			t.Errorf("%s: a store that fails: got %v", tc.name, err)
		}
	}
}
