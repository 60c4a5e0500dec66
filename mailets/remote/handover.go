package remote

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// handover turns what an attempt brought into what becomes of the mail: nothing
// or onSuccess for delivered recipients, the bounce processor for refused ones,
// the queue again for the others. One transaction applies all of it.
type handover struct {
	in      *Instance
	a       *attempt
	mail    *container.Mail
	dest    string // destination of the queue item
	out     container.Outbox
	now     time.Time
	tries   int  // attempts, counting this one
	planned int  // of them, those that the plan has
	pieces  int  // mails made so far
	split   bool // there will be more than one
}

// reasons groups recipients that share a reply.
type reasons struct {
	outcome container.Outcome
	rcpts   []int
}

// entries returns what becomes of the mail of an attempt.
func (a *attempt) entries(dest string) []container.Entry {
	m := a.env.mail
	h := &handover{in: a.in, a: a, mail: m, dest: dest, now: time.Now(), tries: retryCount(m) + 1}
	h.planned = max(1, h.tries-extraRetries(m))
	h.giveBack()
	var delivered, waiting []int
	var failed, deferred []reasons
	for i := range a.rcpts {
		r := &a.rcpts[i]
		r.outcome.Attempt = h.tries
		switch {
		case !r.known:
			waiting = append(waiting, i)
		case r.outcome.Result == container.Failed:
			failed = addReason(failed, i, r.outcome)
		case r.outcome.Result == container.Deferred:
			deferred = addReason(deferred, i, r.outcome)
		default:
			delivered = append(delivered, i)
		}
	}
	if a.interrupted {
		waiting, deferred = append(waiting, members(deferred)...), nil
	}
	exhausted := len(deferred) > 0 && h.planned > a.in.cfg.Plan.Retries
	h.split = h.count(delivered, failed, deferred, waiting, exhausted) > 1
	if len(waiting) > 0 {
		h.keep(waiting)
	}
	if len(deferred) > 0 && !exhausted {
		h.retry(members(deferred))
	}
	if len(delivered) > 0 && a.in.cfg.OnSuccess != "" {
		h.succeed(delivered)
	}
	h.reportRelayed(delivered)
	for _, g := range failed {
		h.bounce(g, true)
	}
	if exhausted {
		for _, g := range deferred {
			h.bounce(h.exhaust(g), false)
		}
	}
	return h.out.Entries()
}

// addReason adds a recipient to the group with its reply, or begins one.
func addReason(list []reasons, i int, o container.Outcome) []reasons {
	for n := range list {
		if g := &list[n]; g.outcome.Code == o.Code && g.outcome.Enhanced == o.Enhanced && g.outcome.Text == o.Text {
			g.rcpts = append(g.rcpts, i)
			return list
		}
	}
	return append(list, reasons{o, []int{i}})
}

func members(list []reasons) []int {
	var out []int
	for _, g := range list {
		out = append(out, g.rcpts...)
	}
	return out
}

// count returns how many mails will come of this one.
func (h *handover) count(delivered []int, failed, deferred []reasons, waiting []int, exhausted bool) int {
	n := len(failed)
	if len(delivered) > 0 && h.in.cfg.OnSuccess != "" {
		n++
	}
	if len(waiting) > 0 {
		n++
	}
	if exhausted {
		n += len(deferred)
	} else if len(deferred) > 0 {
		n++
	}
	return n
}

// piece returns a mail for some of the recipients, with their outcomes. The
// first piece keeps the name: it is the one that goes back to the queue, if any.
// The others get names of their own, because a repository replaces a mail of the
// same name.
func (h *handover) piece(rcpts []int) *container.Mail {
	c := h.mail.Clone()
	if h.split && h.pieces > 0 {
		c.Name = h.pieceName()
	}
	h.pieces++
	c.Recipients = nil
	delete(c.Attributes, container.AttrOutcomes)
	for _, i := range rcpts {
		r := &h.a.rcpts[i]
		c.Recipients = append(c.Recipients, r.addr)
		if r.known {
			c.SetOutcome(r.addr, r.outcome)
		}
	}
	return c
}

// pieceName derives a name. It depends on the attempt, so that what is refused
// in one attempt and in a later one do not get the same.
func (h *handover) pieceName() string {
	tmp := container.Mail{ID: h.mail.ID, Name: h.mail.Name, State: fmt.Sprintf("%s#%d.%d", h.mail.State, h.tries, h.pieces)}
	name, err := tmp.DeriveName()
	if err != nil {
		return container.NewName()
	}
	return name
}

// keep puts recipients without result back as they were: the server stops.
func (h *handover) keep(rcpts []int) {
	h.out.Enqueue(h.in.cfg.Queue, h.dest, h.piece(rcpts), 0)
}

// retry puts recipients back to be tried again after the delay of the plan.
func (h *handover) retry(rcpts []int) {
	c := h.piece(rcpts)
	c.State = container.StateError // marks a retry, as in James
	c.LastUpdated = h.now
	c.Set(container.AttrRetryCount, int32(h.tries))
	c.Set(container.AttrPermanentError, false)
	if h.in.cfg.UsePriority {
		c.Set(container.AttrPriority, int32(-9))
	}
	h.reportDelayed(c)
	h.out.Enqueue(h.in.cfg.Queue, h.dest, c, h.wait(c))
}

// succeed hands delivered recipients to the onSuccess processor.
func (h *handover) succeed(rcpts []int) {
	c := h.piece(rcpts)
	c.State = h.in.cfg.OnSuccess
	for _, name := range []string{container.AttrDeliveryError, container.AttrDeliveryErrorCode, container.AttrPermanentError} {
		delete(c.Attributes, name)
	}
	h.out.Send(c)
}

// exhaust makes failures of recipients that were put off too often. They keep
// the last reply.
func (h *handover) exhaust(g reasons) reasons {
	o := &g.outcome
	if o.Code == 0 && (o.Enhanced == "" || o.Enhanced == "4.4.3") {
		o.Enhanced = "4.4.7" // delivery time expired
	}
	for _, i := range g.rcpts {
		r := &h.a.rcpts[i].outcome
		r.Result, r.Enhanced = container.Failed, o.Enhanced
	}
	return g
}

// bounce hands failed recipients to the bounce processor, or tells the sender.
func (h *handover) bounce(g reasons, permanent bool) {
	if h.in.cfg.BounceProcessor == "" {
		h.textBounce(g)
		return
	}
	c := h.piece(g.rcpts)
	c.State = h.in.cfg.BounceProcessor
	c.Set(container.AttrPermanentError, permanent)
	c.Set(container.AttrDeliveryError, deliveryError(g.outcome))
	delete(c.Attributes, container.AttrDeliveryErrorCode)
	if g.outcome.Code != 0 {
		c.Set(container.AttrDeliveryErrorCode, int32(g.outcome.Code))
	}
	h.out.Send(c)
}

// deliveryError returns the reply as the attribute delivery-error has it: codes
// first, the lines of the text apart.
func deliveryError(o container.Outcome) string {
	lines := strings.Split(o.Text, "\n")
	o.Text = lines[0]
	lines[0] = strings.TrimSpace(o.Reply())
	return strings.Join(lines, "\n")
}
