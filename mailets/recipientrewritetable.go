package mailets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/mime"
)

// RecipientRewriteTable applies the recipient mappings (aliases, groups,
// domains, addresses, regular expressions, errors, forwards) to the recipients.
//
//	<mailet match="All" class="RecipientRewriteTable">
//	  <errorProcessor>rrt-error</errorProcessor>
//	  <rewriteSenderUponForward>true</rewriteSenderUponForward>
//	  <forwardAutoSubmittedEmails>false</forwardAutoSubmittedEmails>
//	  <expandOnAlias>true</expandOnAlias>
//	</mailet>
//
// Parameters:
//
//   - errorProcessor (default error): processor for recipients that have an error
//     mapping or whose rewriting does not come to an end.
//   - rewriteSenderUponForward (default true): a forward is a new submission by
//     the forwarding user: the copy has the user as sender.
//   - forwardAutoSubmittedEmails (default false): forward automatic replies too.
//   - expandOnAlias (default true): when an address becomes several and the
//     sender asked for success reports, report "expanded" once and ask the
//     targets for no success report of their own (RFC 3461 §5.2.7.3).
//
// Targets in local domains take the place of the recipient. Those in other
// domains leave as a copy of the mail, one for each rewritten recipient, that
// starts at root. A mail that has no recipient left ends here.
//
// Differs from James: DSN parameters go along to targets in other domains and
// to the error processor; the mail for the error processor keeps its attributes
// and has the text of the error, also as the outcome of each recipient, and a name
// of its own, so that it is not lost where both are stored by name; ORCPT is
// added where it was missing; NOTIFY loses SUCCESS when an address becomes
// several; a forward with a rewritten sender takes no DSN parameters along, and
// is reported as delivered when that was asked for; a null sender stays null
// when mail is forwarded (RFC 5321 §4.5.5); two recipients that become one do
// not fail. expandOnAlias is new.
type RecipientRewriteTable struct {
	local          *local.Directory
	reports        reporter
	machine        string
	errorProcessor string
	rewriteSender  bool
	forwardAuto    bool
	expand         bool
	types          []local.MappingType // that the first phase follows; nil: all
}

func newRecipientRewriteTable(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		t := &RecipientRewriteTable{
			local:          s.Local,
			reports:        newReporter(s),
			machine:        machineName(s),
			errorProcessor: p.String("errorProcessor", container.StateError),
			rewriteSender:  boolContains(p.String("rewriteSenderUponForward", ""), true),
			forwardAuto:    boolContains(p.String("forwardAutoSubmittedEmails", ""), false),
			expand:         p.Bool("expandOnAlias", true),
		}
		if t.rewriteSender {
			t.types = []local.MappingType{local.MapDomain, local.MapDomainAlias, local.MapGroup, local.MapAlias, local.MapRegex, local.MapError, local.MapAddress}
		}
		return t
	}
}

// boolContains reads a Boolean as James does here: true unless the text has
// "false" or "no", or false unless it has "true" or "yes".
func boolContains(v string, def bool) bool {
	v = strings.ToLower(v)
	if def {
		return !strings.Contains(v, "false") && !strings.Contains(v, "no")
	}
	return strings.Contains(v, "true") || strings.Contains(v, "yes")
}

// ReferredStates returns the error processor.
func (t *RecipientRewriteTable) ReferredStates() []string { return []string{t.errorProcessor} }

// rewriting is one recipient and what became of it.
type rewriting struct {
	rcpt   container.Address
	kept   bool
	local  []container.Address
	remote []container.Address
	failed *container.Outcome
}

// Service rewrites the recipients. Nothing of m changes before all mappings
// were read, so that a failure of the store leaves the mail as it was.
func (t *RecipientRewriteTable) Service(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	plan, changed, err := t.plan(ctx, m.Recipients)
	if err != nil {
		return err
	}
	next := m.Recipients
	var sent []*container.Mail
	var params *dsnParams
	if changed {
		params = readParams(m)
		if next, sent, err = t.apply(m, out, plan, params); err != nil {
			return err
		}
	}
	if t.rewriteSender && t.mayForward(m) {
		left, copies, err := t.forward(ctx, m, out, next)
		if err != nil {
			return err
		}
		changed = changed || len(left) != len(next)
		next, sent = left, append(sent, copies...)
	}
	for _, c := range sent {
		out.Send(c)
	}
	if changed {
		if params == nil {
			params = readParams(m)
		}
		m.Recipients = next
		params.write(m, next)
		if len(next) == 0 {
			m.State = container.StateGhost
		}
	}
	return nil
}

func (t *RecipientRewriteTable) plan(ctx context.Context, rcpts []container.Address) (plan []rewriting, changed bool, err error) {
	for i, rcpt := range rcpts {
		r, err := t.rewrite(ctx, rcpt)
		if err != nil {
			return nil, false, fmt.Errorf("rewrite recipient: %w", err)
		}
		if !r.kept && !changed {
			changed = true
			for _, k := range rcpts[:i] {
				plan = append(plan, rewriting{rcpt: k, kept: true})
			}
		}
		if changed {
			plan = append(plan, r)
		}
	}
	return plan, changed, nil
}

func (t *RecipientRewriteTable) rewrite(ctx context.Context, rcpt container.Address) (rewriting, error) {
	r := rewriting{rcpt: rcpt}
	ms, err := t.local.Resolve(ctx, rcpt, t.types...)
	var mapErr *local.MappingError
	switch {
	case errors.Is(err, local.ErrTooManyMappings):
		// No status of ours: defaultStatus of the DSNBounce that reports it decides.
		r.failed = &container.Outcome{Result: container.Failed, Text: err.Error()}
		return r, nil
	case errors.As(err, &mapErr):
		r.failed = mappingOutcome(mapErr.Text)
		return r, nil
	case err != nil:
		return r, err
	}
	for _, m := range ms {
		a, err := container.ParseAddress(m.Target)
		if err != nil {
			continue // as James: a target that is no address is dropped
		}
		isLocal, err := t.local.IsLocalDomain(ctx, a.Domain)
		if err != nil {
			return r, err
		}
		if isLocal {
			r.local = appendNew(r.local, a)
		} else {
			r.remote = appendNew(r.remote, a)
		}
	}
	r.kept = len(r.local) == 0 && len(r.remote) == 0
	return r, nil
}

func mappingOutcome(text string) *container.Outcome {
	o := &container.Outcome{Result: container.Failed}
	o.Code, o.Enhanced, o.Text = container.SplitReply(text)
	if o.Enhanced == "" && o.Code == 0 {
		o.Enhanced = "5.1.0"
	}
	return o
}

func appendNew(list []container.Address, a container.Address) []container.Address {
	if container.ContainsAddress(list, a) {
		return list
	}
	return append(list, a)
}

// apply returns the recipients that stay and the mails that leave. params gets
// the DSN parameters of the targets.
func (t *RecipientRewriteTable) apply(m *container.Mail, out *container.Outbox, plan []rewriting, params *dsnParams) (next []container.Address, sent []*container.Mail, err error) {
	var failed []rewriting
	var expanded []told
	asked := m.Attributes.Lookup()
	var stay addressSet
	for _, r := range plan {
		switch {
		case r.kept:
			stay.add(r.rcpt)
			continue
		case r.failed != nil:
			failed = append(failed, r)
			continue
		}
		targets := slices.Concat(r.local, r.remote)
		if len(targets) > 1 && t.expand && mayReport(&asked, r.rcpt, dsn.Expanded) {
			expanded = append(expanded, success(&asked, r.rcpt, dsn.Expanded))
		}
		params.move(r.rcpt, targets, t.expand)
		for _, a := range r.local {
			stay.add(a)
		}
		if len(r.remote) > 0 {
			c, err := m.Duplicate()
			if err != nil {
				return nil, nil, err
			}
			c.Recipients = r.remote
			params.write(c, r.remote)
			sent = append(sent, c)
		}
	}
	if len(failed) > 0 {
		c, err := t.errorMail(m, failed, params)
		if err != nil {
			return nil, nil, err
		}
		sent = append(sent, c)
	}
	return stay.list, sent, t.tell(m, out, dsn.Expanded, t.text(dsn.Expanded), expanded)
}

// tell sends a report about a success.
func (t *RecipientRewriteTable) tell(m *container.Mail, out *container.Outbox, action, text string, list []told) error {
	if len(list) == 0 || !reportable(m) {
		return nil
	}
	n := notice{action: action, prefix: "[" + strings.ToUpper(action) + "]", text: text, attachment: dsn.ReturnHeaders, told: list}
	if err := t.reports.send(m, out, n); err != nil {
		return fmt.Errorf("report %s recipients: %w", action, err)
	}
	return nil
}

// text is the first lines of a report.
func (t *RecipientRewriteTable) text(action string) string {
	return strings.ReplaceAll(dsnTexts[action], "[machine]", t.machine)
}

func success(m recipientStrings, rcpt container.Address, action string) told {
	r := told{Recipient: dsn.Recipient{Final: rcpt, Action: action, Status: "2.0.0"}}
	r.OriginalType, r.Original = originalRecipient(m, rcpt)
	return r
}

// errorMail is one mail for all recipients that failed, under a derived name: in
// an error repository it must not meet the mail it was made of.
func (t *RecipientRewriteTable) errorMail(m *container.Mail, failed []rewriting, params *dsnParams) (*container.Mail, error) {
	c, err := m.Duplicate()
	if err != nil {
		return nil, err
	}
	c.State, c.Recipients = t.errorProcessor, nil
	var texts []string
	for _, r := range failed {
		c.Recipients = append(c.Recipients, r.rcpt)
		o := *r.failed
		o.Time = time.Now()
		c.SetOutcome(r.rcpt, o)
		texts = append(texts, o.Reply())
	}
	c.ErrorMessage = texts[0]
	if len(slices.Compact(slices.Clone(texts))) > 1 {
		for i, r := range failed {
			texts[i] = r.rcpt.Pretty() + ": " + texts[i]
		}
		c.ErrorMessage = strings.Join(texts, "\n")
	}
	params.write(c, c.Recipients)
	return c, nil
}

// mayForward: automatic replies are not forwarded unless configured.
func (t *RecipientRewriteTable) mayForward(m *container.Mail) bool {
	return t.forwardAuto || !slices.ContainsFunc(mime.Values(m.Message.Header(), "Auto-Submitted"), func(v string) bool {
		return hasPrefixFold(v, "auto-replied")
	})
}
