package matchers

import (
	"context"
	"fmt"

	"github.com/mailetd/mailetd/container"
)

// localDomains is what HostIsLocal needs of the local data.
type localDomains interface {
	IsLocalDomain(ctx context.Context, domain string) (bool, error)
}

// HostIsLocal matches the recipients whose domain is in the domain list,
// whether they have an account or not.
//
//	<mailet match="HostIsLocal" class="ToProcessor">
//	  <processor>local-address-error</processor>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type HostIsLocal struct{ local localDomains }

func newHostIsLocal(l localDomains) container.MatcherFactory {
	return func(string) (container.Matcher, error) { return &HostIsLocal{l}, nil }
}

// Match returns the recipients in local domains; an error when the domain list
// cannot be read. A domain is looked up once in a row.
func (h *HostIsLocal) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	var out []container.Address
	var last string
	var is bool
	for i, rcpt := range m.Recipients {
		if i == 0 || rcpt.Domain != last {
			var err error
			if is, err = h.local.IsLocalDomain(ctx, rcpt.Domain); err != nil {
				return nil, fmt.Errorf("look up domain %s: %w", rcpt.Domain, err)
			}
			last = rcpt.Domain
		}
		if is {
			out = append(out, rcpt)
		}
	}
	return out, nil
}
