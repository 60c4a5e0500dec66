package mailauth

import (
	"context"
	"net"
	"strings"

	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/mailetd/mailetd/container/mime"
)

// DMARC is the result of a check.
type DMARC struct {
	Result string // pass, fail, none, temperror, permerror (RFC 7489 §11.2)
	Domain string // of the author, "" when there is not exactly one
	// Policy is what the domain asks for, for mail that fails: none, quarantine or
	// reject. "" when it has no policy that can be read.
	Policy  string
	Percent int // of failing mail that the policy is for; the rest gets the next milder one
	Reason  string
}

// CheckDMARC compares the author's domain, which stands in From, with what SPF
// and DKIM vouch for, and looks up what its owner asks for (RFC 7489 §6.6). All
// mailboxes of From must be of one domain.
func CheckDMARC(ctx context.Context, r Resolver, header []byte, spf SPF, list []Signature) (DMARC, error) {
	out := DMARC{Percent: 100}
	if out.Domain, out.Reason = author(header); out.Domain == "" {
		out.Result = "permerror"
		return out, nil
	}
	bounded, cancel := context.WithTimeout(ctx, dnsTime)
	defer cancel()
	rec, err := record(bounded, r, out.Domain)
	if ctx.Err() != nil {
		return out, ctx.Err()
	}
	switch {
	case err == dmarc.ErrNoPolicy:
		out.Result = "none"
		return out, nil
	case dmarc.IsTempFail(err) || bounded.Err() != nil:
		out.Result, out.Reason = "temperror", "the policy could not be looked up"
		return out, nil
	case err != nil:
		out.Result, out.Reason = "permerror", strings.TrimPrefix(mime.Clean(err.Error()), "dmarc: ")
		return out, nil
	}
	out.Policy = string(rec.Policy)
	if rec.inherited && rec.SubdomainPolicy != "" {
		out.Policy = string(rec.SubdomainPolicy)
	}
	if rec.Percent != nil {
		out.Percent = *rec.Percent
	}
	out.Result, out.Reason = evaluate(rec.Record, out.Domain, spf, list)
	return out, nil
}

// author returns the domain of From, or "" and the reason why there is none.
func author(header []byte) (domain, reason string) {
	if n := mime.Count(header, "From"); n != 1 {
		return "", "the message has no From, or more than one"
	}
	value, _ := mime.Get(header, "From")
	boxes, ok := mime.ParseAddresses(value)
	if !ok || len(boxes) == 0 {
		return "", "From has no address, or one that cannot be read"
	}
	for _, b := range boxes {
		d := ascii(b.Address.Domain)
		if domain != "" && d != domain {
			return "", "From has addresses of several domains"
		}
		domain = d
	}
	if net.ParseIP(domain) != nil || domain == "" {
		return "", "From has no domain"
	}
	return domain, ""
}

// ascii returns a domain in A-labels and lower case.
func ascii(domain string) string {
	if a, err := idna.Lookup.ToASCII(domain); err == nil {
		return a
	}
	return strings.ToLower(domain)
}

// organization returns the registered domain above domain (RFC 7489 §3.2), or
// domain itself where there is none.
func organization(domain string) string {
	if d, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return d
	}
	return domain
}

type found struct {
	*dmarc.Record
	inherited bool // from the organization
}

// record looks the policy up, of the domain and then of its organization.
func record(ctx context.Context, r Resolver, domain string) (found, error) {
	lookup := &dmarc.LookupOptions{LookupTXT: func(name string) ([]string, error) {
		txts, err := netResolver{r}.LookupTXT(ctx, name)
		return policies(txts), err
	}}
	rec, err := dmarc.LookupWithOptions(domain, lookup)
	if org := organization(domain); err == dmarc.ErrNoPolicy && org != domain {
		rec, err = dmarc.LookupWithOptions(org, lookup)
		return found{rec, true}, err
	}
	return found{rec, false}, err
}

// policies returns the one DMARC record among txts, none when there are several
// (RFC 7489 §6.6.3), without the tags that do not matter here: a mistake in
// where to send reports is no reason to ignore a policy.
func policies(txts []string) []string {
	var out []string
	for _, t := range txts {
		first, rest, _ := strings.Cut(t, ";")
		name, version, _ := strings.Cut(first, "=")
		if strings.TrimSpace(name) != "v" || strings.TrimSpace(version) != "DMARC1" {
			continue
		}
		kept := "v=DMARC1"
		for tag := range strings.SplitSeq(rest, ";") {
			name, value, _ := strings.Cut(tag, "=")
			switch name = strings.ToLower(strings.TrimSpace(name)); name {
			case "p", "sp", "adkim", "aspf", "pct":
				kept += ";" + name + "=" + strings.ToLower(strings.TrimSpace(value))
			}
		}
		out = append(out, kept)
	}
	if len(out) > 1 {
		return nil
	}
	return out
}

// evaluate applies the rules of alignment (RFC 7489 §3.1).
func evaluate(rec *dmarc.Record, domain string, spf SPF, list []Signature) (result, reason string) {
	aligned := func(d string, mode dmarc.AlignmentMode) bool {
		if d = ascii(d); mode == dmarc.AlignmentStrict {
			return d == domain
		}
		return d == domain || organization(d) == organization(domain)
	}
	temporary := spf.Result == "temperror" && aligned(spf.Domain, rec.SPFAlignment)
	if spf.Result == "pass" && aligned(spf.Domain, rec.SPFAlignment) {
		return "pass", ""
	}
	for _, s := range list {
		if !aligned(s.Domain, rec.DKIMAlignment) {
			continue
		}
		if s.Valid() {
			return "pass", ""
		}
		temporary = temporary || s.Temporary
	}
	if temporary {
		return "temperror", "SPF or DKIM could not be checked now"
	}
	return "fail", "neither SPF nor DKIM vouches for the domain of From"
}
