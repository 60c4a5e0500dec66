package mailauth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"blitiri.com.ar/go/spf"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// spfTime bounds one evaluation (RFC 7208 §4.6.4 asks for 20 s at least).
const spfTime = 25 * time.Second

// SPF is the result of a check.
type SPF struct {
	Result string // pass, fail, softfail, neutral, none, temperror, permerror
	Domain string // the domain that was asked: of the sender, else HELO
	Reason string // what decided, for a log or a header
}

// CheckSPF evaluates the SPF policy (RFC 7208 §4) of the sender's domain, or of
// helo for the null sender, for a connection from ip. An address that is none
// is permerror. The error is about ctx.
func CheckSPF(ctx context.Context, r Resolver, ip, helo string, sender container.Address) (SPF, error) {
	helo = strings.ToLower(mime.Clean(helo))
	// The library takes the first @ for the one before the domain.
	identity, domain := strings.ReplaceAll(sender.Local, "@", "_")+"@"+sender.Domain, sender.Domain
	if sender.IsNull() {
		identity, domain = "postmaster@"+helo, helo // §2.4
	}
	out := SPF{Domain: domain}
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		out.Result, out.Reason = string(spf.PermError), "the address of the client is not known"
		return out, nil
	}
	if _, err := netip.ParseAddr(strings.Trim(domain, "[]")); err == nil || !strings.Contains(domain, ".") {
		out.Result, out.Reason = string(spf.None), "no domain to ask" // §4.3
		return out, nil
	}
	bounded, cancel := context.WithTimeout(ctx, spfTime)
	defer cancel()
	result, why := spf.CheckHostWithSender(addr.Unmap().WithZone("").AsSlice(), helo, identity,
		spf.WithContext(bounded), spf.WithResolver(netResolver{r}))
	if ctx.Err() != nil {
		return out, fmt.Errorf("check SPF: %w", ctx.Err())
	}
	if bounded.Err() != nil {
		result, why = spf.TempError, errors.New("it took too long")
	}
	out.Result = string(result)
	if why != nil {
		out.Reason = mime.Clean(why.Error())
	}
	return out, nil
}
