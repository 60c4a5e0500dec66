package matchers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
)

// mxLookup is what matchers of mail exchangers need of DNS.
type mxLookup interface {
	MX(ctx context.Context, domain string) ([]dns.MX, error)
	Addrs(ctx context.Context, host string) ([]netip.Addr, error)
}

// RecipientHasMXRecord matches the recipients whose domain has exactly some mail
// exchangers. A domain without MX records that has an address counts as its own
// exchanger (RFC 5321 §5.1). When a look-up fails for now, or those for a mail take
// longer than 30 seconds, this is logged and the recipient does not match.
//
//	<mailet match="RecipientHasMXRecord=mx1.example.com,mx2.example.com" class="Null"/>
//
// Condition: one or more host names, separated by commas without blanks. Neither
// case nor order counts.
//
// Differs from James: the final dot of names in DNS does not count, with which
// the class hardly ever matches there; an exchanger listed twice counts once.
type RecipientHasMXRecord struct{ exchangers exchangers }

func newRecipientHasMXRecord(r mxLookup, log *slog.Logger) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		e, err := newExchangers(condition, r, log)
		if err != nil {
			return nil, err
		}
		return &RecipientHasMXRecord{e}, nil
	}
}

// mxTime bounds the look-ups for one mail together: whoever sends it chooses the
// domains, and name servers that keep us waiting.
const mxTime = 30 * time.Second

// exchangers is a list of mail exchangers, sorted.
type exchangers struct {
	dns   mxLookup
	log   *slog.Logger
	hosts []string
}

func newExchangers(condition string, r mxLookup, log *slog.Logger) (exchangers, error) {
	e := exchangers{dns: r, log: log}
	for s := range strings.SplitSeq(condition, ",") {
		host, err := container.ParseDomain(s)
		if err != nil {
			return exchangers{}, fmt.Errorf("want host names, separated by commas without blanks: %w", err)
		}
		e.hosts = append(e.hosts, host)
	}
	slices.Sort(e.hosts)
	e.hosts = slices.Compact(e.hosts)
	return e, nil
}

// are reports whether these are the exchangers of domain.
func (e exchangers) are(ctx context.Context, domain string) bool {
	hosts, err := mailServers(ctx, e.dns, domain)
	if err != nil {
		e.log.WarnContext(ctx, "mail exchangers cannot be looked up; taken as no match", "domain", domain, "err", err)
		return false
	}
	slices.Sort(hosts)
	return slices.Equal(slices.Compact(hosts), e.hosts)
}

// mailServers returns the mail exchangers of domain in the order of preference,
// the domain itself when it has an address but no MX record, or none. An error
// means that the answer is not known for now.
func mailServers(ctx context.Context, r mxLookup, domain string) ([]string, error) {
	list, err := r.MX(ctx, domain)
	if errors.Is(err, dns.ErrNotFound) {
		if _, err = r.Addrs(ctx, domain); errors.Is(err, dns.ErrNotFound) {
			return nil, nil
		}
		list = []dns.MX{{Host: domain}}
	}
	if err != nil {
		return nil, err
	}
	hosts := make([]string, 0, len(list))
	for _, mx := range list {
		if mx.Host != "." { // RFC 7505: no mail here
			hosts = append(hosts, strings.ToLower(strings.TrimSuffix(mx.Host, ".")))
		}
	}
	return hosts, nil
}

// Match returns the recipients whose domain has these exchangers. A domain is
// looked up once.
func (r *RecipientHasMXRecord) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	ctx, cancel := context.WithTimeout(ctx, mxTime)
	defer cancel()
	known := map[string]bool{}
	return container.Each(m, func(a container.Address) bool {
		is, ok := known[a.Domain]
		if !ok {
			is = r.exchangers.are(ctx, a.Domain)
			known[a.Domain] = is
		}
		return is
	}), nil
}
