package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// ValidRcptHandler refuses recipients in local domains that are neither a user
// nor rewritten by the recipient rewrite table.
//
//	<handler class="org.apache.james.smtpserver.fastfail.ValidRcptHandler">
//	  <enableRecipientRewriteTable>true</enableRecipientRewriteTable>
//	  <recipientRewriteTableCheck>mappingExists</recipientRewriteTableCheck>
//	  <acceptPostmaster>true</acceptPostmaster>
//	</handler>
//
// The replies are "550 5.1.1 Unknown user: {address}" and, when the users or
// the table cannot be read, "451 4.0.0 Unexpected error for {address}".
// Recipients in foreign domains are left to other hooks.
//
// Parameters:
//
//   - enableRecipientRewriteTable (default true): whether the rewrite table is
//     asked at all.
//   - recipientRewriteTableCheck (default mappingExists): what the table must
//     say. mappingExists: there is any mapping, an error mapping or a loop
//     included. anyMappingValid: one of the targets is a user here.
//     allMappingsValid: there are targets, and all of them are users here.
//   - acceptPostmaster (default false): whether postmaster and abuse are taken in
//     local domains although nobody has these names, as RFC 5321 §4.5.1 and RFC
//     2142 demand. The processors have to do something with such mail.
//   - subAddressing (default false): whether user+folder@domain is valid when
//     user@domain is an account, for the mailet SubAddressing. A name that is only
//     in the rewrite table has no folders, and the mail would bounce.
//
// Differs from James: acceptPostmaster and subAddressing are new.
type ValidRcptHandler struct {
	s          Services
	rewrites   bool
	check      string
	postmaster bool
	plus       bool // sub-addresses
}

// Values of recipientRewriteTableCheck.
var tableChecks = []string{"mappingExists", "anyMappingValid", "allMappingsValid"}

func newValidRcpt(p *conf.Params, s Services) any {
	h := &ValidRcptHandler{s: s, rewrites: p.Bool("enableRecipientRewriteTable", true)}
	v := p.String("recipientRewriteTableCheck", tableChecks[0])
	i := slices.IndexFunc(tableChecks, func(c string) bool { return strings.EqualFold(c, v) })
	if i < 0 {
		p.Fail("recipientRewriteTableCheck", fmt.Errorf("%q is not one of %s", v, strings.Join(tableChecks, ", ")))
		i = 0
	}
	h.check = tableChecks[i]
	h.postmaster = p.Bool("acceptPostmaster", false)
	h.plus = p.Bool("subAddressing", false)
	return h
}

// Rcpt implements RcptHook.
func (h *ValidRcptHandler) Rcpt(ctx context.Context, _ *Session, rcpt Recipient) Decision {
	valid, err := h.valid(ctx, rcpt.Address)
	if plain, ok := withoutFolder(rcpt.Address); err == nil && !valid && h.plus && ok {
		valid, err = h.s.Local.UserExists(ctx, plain) // the domain is local, or all would be valid
	}
	switch {
	case err != nil:
		h.s.Log.ErrorContext(ctx, "recipient not checked", "to", rcpt.Address.String(), "err", err)
		return Defer(451, "4.0.0", "Unexpected error for "+rcpt.Address.String())
	case !valid:
		return Refuse(550, "5.1.1", "Unknown user: "+rcpt.Address.String())
	}
	return Decision{}
}

// withoutFolder returns user@domain for user+folder@domain (RFC 5233).
func withoutFolder(a container.Address) (plain container.Address, ok bool) {
	user, _, ok := strings.Cut(a.Local, "+")
	return container.Address{Local: user, Domain: a.Domain}, ok && user != "" && !strings.HasPrefix(user, `"`)
}

func (h *ValidRcptHandler) valid(ctx context.Context, a container.Address) (bool, error) {
	if isLocal, err := h.s.Local.IsLocalDomain(ctx, a.Domain); err != nil || !isLocal {
		return true, err
	}
	if h.postmaster && isPostmaster(a) {
		return true, nil
	}
	if exists, err := h.s.Local.UserExists(ctx, a); err != nil || exists || !h.rewrites {
		return exists, err
	}
	targets, err := h.s.Local.Resolve(ctx, a)
	if err != nil {
		var mapped *local.MappingError
		if errors.Is(err, local.ErrTooManyMappings) {
			return h.check == "mappingExists", nil
		}
		if errors.As(err, &mapped) {
			// An error mapping says that the address exists, and that it takes no
			// mail: the processors send the text of the mapping.
			return h.check == "mappingExists", nil
		}
		return false, err
	}
	if h.check == "mappingExists" {
		return len(targets) > 0, nil
	}
	return h.targetsValid(ctx, targets)
}

// targetsValid reports whether any target, or all of them, are users here.
func (h *ValidRcptHandler) targetsValid(ctx context.Context, targets []local.Mapping) (bool, error) {
	all := h.check == "allMappingsValid"
	for _, t := range targets {
		ok, err := h.targetValid(ctx, t)
		if err != nil {
			return false, err
		}
		if ok != all {
			return ok, nil
		}
	}
	return all && len(targets) > 0, nil
}

func (h *ValidRcptHandler) targetValid(ctx context.Context, t local.Mapping) (bool, error) {
	if t.Type == local.MapError {
		return false, nil
	}
	a, err := container.ParseAddress(t.Target)
	if err != nil {
		return false, nil
	}
	if isLocal, err := h.s.Local.IsLocalDomain(ctx, a.Domain); err != nil || !isLocal {
		return false, err
	}
	return h.s.Local.UserExists(ctx, a)
}
