package webadmin

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// limits is a store of quotas; every mailbox has five messages of 50 octets.
type limits struct {
	m   map[local.QuotaOwner]local.QuotaLimits
	err error
}

func (l *limits) Quotas(_ context.Context, owners []local.QuotaOwner) ([]local.QuotaLimits, error) {
	out := make([]local.QuotaLimits, len(owners))
	for i, o := range owners {
		out[i] = l.m[o]
	}
	return out, l.err
}

func (l *limits) SetQuota(_ context.Context, o local.QuotaOwner, v local.QuotaLimits) error {
	l.m[o] = v
	return l.err
}

func (l *limits) Use(context.Context, string, string) (local.MailboxUse, error) {
	return local.MailboxUse{Count: 5, Size: 50}, l.err
}

func withQuotas(l *limits) func(*Deps) {
	l.m = map[local.QuotaOwner]local.QuotaLimits{}
	return func(d *Deps) { d.Quotas = local.NewQuotas(l, d.Directory.(*local.Directory), l) }
}

func TestQuotas(t *testing.T) {
	l := &limits{}
	b := newBench(t, Config{}, withQuotas(l))
	for _, path := range []string{"/quota", "/quota/domains/b.com", "/quota/users/bob@b.com"} {
		for _, name := range []string{"/count", "/size"} {
			b.want("GET", path+name, "", 204, "")
			b.want("PUT", path+name, "35", 204, "")
			b.want("GET", path+name, "", 200, "35")
			b.want("PUT", path+name, "-1", 204, "")
			b.want("GET", path+name, "", 200, "-1")
			b.wantError("PUT", path+name, "-2", 400, "InvalidArgument", badQuota, "")
			b.wantError("PUT", path+name, "much", 400, "InvalidArgument", badQuota, "*")
			b.want("DELETE", path+name, "", 204, "")
			b.want("DELETE", path+name, "", 204, "")
			b.want("GET", path+name, "", 204, "")
		}
		b.wantError("PUT", path, `{"count":-5}`, 400, "InvalidArgument", badQuota, "")
		b.wantError("PUT", path, `{"count":`, 400, "InvalidArgument", "JSON payload of the request is not valid", "*")
	}
	b.want("GET", "/quota", "", 200, `{"count":null,"size":null}`)
	b.want("PUT", "/quota", `{"count":10,"size":200}`, 204, "")
	b.want("PUT", "/quota/domains/B.com", `{"size":100}`, 204, "")
	b.want("GET", "/quota", "", 200, `{"count":10,"size":200}`)
	b.want("GET", "/quota/domains/b.com", "", 200,
		`{"global":{"count":10,"size":200},"domain":{"count":null,"size":100},"computed":{"count":10,"size":100}}`)
	b.want("PUT", "/quota/users/Bob@b.com", `{"count":-1}`, 204, "")
	const bob = `{"global":{"count":10,"size":200},"domain":{"count":null,"size":100},"user":{"count":-1,"size":null},"computed":{"count":-1,"size":100},` +
		`"occupation":{"size":50,"count":5,"ratio":{"size":0.5,"count":0,"max":0.5}}}`
	b.want("GET", "/quota/users/bob@b.com", "", 200, bob)
	b.want("GET", "/quota/users/bob@b.com/size", "", 200, "100")
	b.want("PUT", "/quota/users/alice@b.com", `{"size":0}`, 204, "")
	b.want("GET", "/quota/users?maxOccupationRatio=0.5&domain=b.com", "", 200, `[{"username":"bob@b.com","detail":`+bob+`}]`)
	b.want("GET", "/quota/users?limit=1&offset=1", "", 200, `[{"username":"bob@b.com","detail":`+bob+`}]`)
	b.want("GET", "/quota/users?minOccupationRatio=51", "", 200, "[]")
	b.want("GET", "/quota/users?domain=other.com", "", 200, "[]")
}

func TestQuotaErrors(t *testing.T) {
	l := &limits{}
	b := newBench(t, Config{}, withQuotas(l))
	b.wantError("GET", "/quota/users/nobody@b.com", "", 404, "notFound", "User not found", "")
	b.wantError("PUT", "/quota/users/nobody@b.com/size", "1", 404, "notFound", "User not found", "")
	b.wantError("GET", "/quota/domains/far.com", "", 404, "notFound", "Domain not found", "")
	b.wantError("DELETE", "/quota/domains/far.com/count", "", 404, "notFound", "Domain not found", "")
	b.wantError("GET", "/quota/domains/a@b.com", "", 400, "InvalidArgument", "Invalid arguments supplied in the user request", "*")
	b.wantError("GET", "/quota/users?minOccupationRatio=x", "", 400, "InvalidArgument", "Can not parse minOccupationRatio", `For input string: "x"`)
	b.wantError("GET", "/quota/users?maxOccupationRatio=-0.5", "", 400, "InvalidArgument", "maxOccupationRatio can not be negative", "")
	b.wantError("GET", "/quota/users?limit=0", "", 400, "InvalidArgument", "limit can not be equal to zero", "")
	l.err = errDisk
	for _, path := range []string{"/quota", "/quota/size", "/quota/domains/b.com", "/quota/users/bob@b.com"} {
		b.wantError("GET", path, "", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "*")
	}

	plain := local.New(local.Config{DefaultDomain: "b.com", StaticDomains: []string{"b.com"}}, &localtest.Storage{})
	l = &limits{}
	b = newBench(t, Config{}, func(d *Deps) { d.Directory = plain; withQuotas(l)(d) })
	b.wantError("GET", "/quota/domains/b.com", "", 405, "WrongState",
		"Domain Quota configuration not supported when virtual hosting is desactivated. Please use global quota configuration instead", "")
}

// slowLimits are limits that let others in between.
type slowLimits struct {
	mu   sync.Mutex
	read chan struct{} // told of each read
	limits
}

func (l *slowLimits) Quotas(ctx context.Context, owners []local.QuotaOwner) ([]local.QuotaLimits, error) {
	l.mu.Lock()
	out, err := l.limits.Quotas(ctx, owners)
	l.mu.Unlock()
	select {
	case l.read <- struct{}{}:
		for range 10000 {
			runtime.Gosched()
		}
	default:
	}
	return out, err
}

func (l *slowLimits) SetQuota(ctx context.Context, o local.QuotaOwner, v local.QuotaLimits) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limits.SetQuota(ctx, o, v)
}

// A change of one limit does not take back what was set of both meanwhile.
func TestQuotaChangedAtOnce(t *testing.T) {
	l := &slowLimits{limits: limits{m: map[local.QuotaOwner]local.QuotaLimits{}}}
	b := newBench(t, Config{}, func(d *Deps) { d.Quotas = local.NewQuotas(l, d.Directory.(*local.Directory), l) })
	for range 20 {
		b.want("PUT", "/quota", `{"count":1,"size":1}`, 204, "")
		l.read = make(chan struct{}, 1)
		var wg sync.WaitGroup
		wg.Go(func() { b.want("PUT", "/quota/count", "9", 204, "") })
		<-l.read
		b.want("PUT", "/quota", `{"count":7,"size":7}`, 204, "")
		wg.Wait()
		l.read = nil
		b.want("GET", "/quota/size", "", 200, "7")
		if t.Failed() {
			return
		}
	}
}
