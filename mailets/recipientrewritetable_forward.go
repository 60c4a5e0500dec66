package mailets

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
)

// forward is the second phase: recipients that forward their mail. It returns
// the recipients that stay and the copies that leave.
func (t *RecipientRewriteTable) forward(ctx context.Context, m *container.Mail, out *container.Outbox, rcpts []container.Address) (left []container.Address, sent []*container.Mail, err error) {
	var gone []told
	recorded := m.Attributes.Strings(container.AttrRecordedRcpts)
	asked := m.Attributes.Lookup()
	for i, rcpt := range rcpts {
		targets, err := t.local.Forwards(ctx, rcpt)
		if err != nil {
			return nil, nil, fmt.Errorf("look forwards up: %w", err)
		}
		if len(targets) == 0 || contains(recorded, rcpt) {
			if left != nil {
				left = append(left, rcpt)
			}
			continue
		}
		if left == nil {
			left = append(make([]container.Address, 0, len(rcpts)), rcpts[:i]...)
		}
		copies, stays, err := t.forwardOne(m, rcpt, targets, recorded)
		if err != nil {
			return nil, nil, err
		}
		sent = append(sent, copies...)
		switch {
		case stays:
			left = append(left, rcpt)
		case copies[0].State != t.errorProcessor && mayReport(&asked, rcpt, dsn.Delivered):
			gone = append(gone, success(&asked, rcpt, dsn.Delivered))
		}
	}
	if left == nil {
		return rcpts, nil, nil
	}
	// RFC 3461 §5.2.7.4: who forwards is none of the sender's business.
	return left, sent, t.tell(m, out, dsn.Delivered, t.text(dsn.Delivered), gone)
}

func contains(recorded []string, a container.Address) bool {
	return slices.ContainsFunc(recorded, func(s string) bool { return strings.EqualFold(s, a.String()) })
}

// forwardOne returns the copy for the targets of rcpt that have not forwarded
// this mail themselves, and whether rcpt keeps its own. Without either, the
// forwards go round in a circle, and the copy is one for the error processor.
func (t *RecipientRewriteTable) forwardOne(m *container.Mail, rcpt container.Address, targets []container.Address, recorded []string) (copies []*container.Mail, stays bool, err error) {
	var to []container.Address
	for _, a := range targets {
		switch {
		case a.Equal(rcpt):
			stays = true
		case !contains(recorded, a):
			to = appendNew(to, a)
		}
	}
	if len(to) == 0 && stays {
		return nil, true, nil
	}
	c, err := m.Duplicate()
	if err != nil {
		return nil, false, err
	}
	if len(to) == 0 {
		c.Recipients, c.State = []container.Address{rcpt}, t.errorProcessor
		o := container.Outcome{Result: container.Failed, Text: "Forwards of this address lead back to it", Time: time.Now()}
		c.SetOutcome(rcpt, o)
		c.ErrorMessage = o.Text
		return []*container.Mail{c}, false, nil
	}
	if !m.Sender.IsNull() {
		c.Sender = rcpt
	}
	c.Recipients = to
	c.Set(container.AttrForwarded, true)
	rec := make([]container.Value, 0, len(recorded)+1)
	for _, s := range append(slices.Clip(recorded), rcpt.String()) {
		rec = append(rec, s)
	}
	c.Set(container.AttrRecordedRcpts, rec)
	for _, name := range []string{container.AttrDSNNotify, container.AttrDSNOrcpt, container.AttrDSNOrcptType, container.AttrDSNEnvID, container.AttrDSNRet} {
		delete(c.Attributes, name)
	}
	return []*container.Mail{c}, stays, nil
}

// dsnParams are the DSN parameters of recipients while these change. Keys are
// Address.Key.
type dsnParams struct {
	notify, orcpt, kind map[string]string
	known               map[string]bool // recipients there are, or were
}

// readParams takes the parameters from the attributes. Nothing is copied until
// something moves.
func readParams(m *container.Mail) *dsnParams {
	p := &dsnParams{notify: map[string]string{}, orcpt: map[string]string{}, kind: map[string]string{}, known: map[string]bool{}}
	for _, a := range m.Recipients {
		p.known[a.Key()] = true
	}
	for name, to := range p.all() {
		all, _ := m.Attributes.Map(name)
		for k, v := range all {
			if s, ok := v.(string); ok {
				to[strings.ToLower(k)] = s
			}
		}
	}
	return p
}

func (p *dsnParams) all() map[string]map[string]string {
	return map[string]map[string]string{container.AttrDSNNotify: p.notify, container.AttrDSNOrcpt: p.orcpt, container.AttrDSNOrcptType: p.kind}
}

// move gives the parameters of rcpt to targets (RFC 3461 §5.2.7). To one, or
// when expansion is off, as they are; to several without SUCCESS, which leaves
// NEVER rather than nothing: nothing would ask for failures.
func (p *dsnParams) move(rcpt container.Address, targets []container.Address, expand bool) {
	notify, asked := p.notify[rcpt.Key()]
	if asked && expand && len(targets) > 1 {
		notify = without(notify, "SUCCESS")
	}
	orcpt, ok := p.orcpt[rcpt.Key()]
	kind := p.kind[rcpt.Key()]
	if !ok {
		orcpt = dsn.EncodeXtext(rcpt.Path())
		if !rcpt.IsASCII() {
			orcpt, kind = dsn.EncodeUnitext(rcpt.Path(), true), "utf-8"
		}
	}
	for _, a := range targets {
		k := a.Key()
		if a.Equal(rcpt) {
			if asked {
				p.notify[k] = notify
			}
			continue
		}
		if p.known[k] {
			p.merge(k, notify, asked)
			continue
		}
		p.known[k] = true
		if asked {
			p.notify[k] = notify
		}
		p.orcpt[k] = orcpt
		if kind != "" {
			p.kind[k] = kind
		}
	}
}

// merge: two recipients became one, and what either asked for is due. No NOTIFY
// stands for failures.
func (p *dsnParams) merge(k, notify string, asked bool) {
	mine, ok := p.notify[k]
	switch {
	case !ok:
	case asked:
		p.notify[k] = union(mine, notify)
	default:
		p.notify[k] = union(mine, "FAILURE")
	}
}

func without(notify, keyword string) string {
	var left []string
	for k := range strings.SplitSeq(notify, ",") {
		if k = strings.TrimSpace(k); k != "" && !strings.EqualFold(k, keyword) {
			left = append(left, k)
		}
	}
	if len(left) == 0 {
		return "NEVER"
	}
	return strings.Join(left, ",")
}

// union of two NOTIFY values; NEVER counts for nothing beside a keyword.
func union(a, b string) string {
	var out []string
	for k := range strings.SplitSeq(a+","+b, ",") {
		k = strings.ToUpper(strings.TrimSpace(k))
		if k != "" && k != "NEVER" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return "NEVER"
	}
	return strings.Join(out, ",")
}

// write sets the attributes of m to the parameters of rcpts.
func (p *dsnParams) write(m *container.Mail, rcpts []container.Address) {
	for name, from := range p.all() {
		to := map[string]container.Value{}
		for _, a := range rcpts {
			if v, ok := from[a.Key()]; ok {
				to[a.String()] = v
			}
		}
		if len(to) > 0 {
			m.Set(name, to)
		} else {
			delete(m.Attributes, name)
		}
	}
}
