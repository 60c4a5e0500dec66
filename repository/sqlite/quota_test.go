package sqlite

import (
	"context"
	"reflect"
	"testing"

	"github.com/mailetd/mailetd/container/local"
)

func TestQuotas(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	n := func(v int64) *int64 { return &v }
	all := local.QuotaOwner{Scope: local.QuotaGlobal}
	dom := local.QuotaOwner{Scope: local.QuotaDomain, Name: "here.test"}
	bob := local.QuotaOwner{Scope: local.QuotaUser, Name: `"b'o\"b"@here.test`}
	must(t, s.SetQuota(ctx, all, local.QuotaLimits{Count: n(5)}))
	must(t, s.SetQuota(ctx, dom, local.QuotaLimits{Count: n(7), Size: n(-1)}))
	must(t, s.SetQuota(ctx, all, local.QuotaLimits{Size: n(6)}))
	must(t, s.SetQuota(ctx, bob, local.QuotaLimits{Size: n(0)}))
	must(t, s.SetQuota(ctx, dom, local.QuotaLimits{}))
	must(t, s.SetQuota(ctx, dom, local.QuotaLimits{}))
	must(t, s.Close(ctx))

	s = openTest(t, dir)
	got, err := s.Quotas(ctx, []local.QuotaOwner{bob, dom, all})
	if want := []local.QuotaLimits{{Size: n(0)}, {}, {Size: n(6)}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
