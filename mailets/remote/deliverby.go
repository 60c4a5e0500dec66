package remote

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
)

// deliverBy is by when a mail shall be delivered, and what is to be done when it
// is not (RFC 2852).
type deliverBy struct {
	deadline time.Time // zero: nothing was asked for
	giveBack bool      // mode R: the mail is returned; otherwise the sender is told and it goes on
	trace    bool      // the sender is told of each hop
	final    bool      // what takes the mail delivers it, so that it need not know DELIVERBY
}

// readDeliverBy returns what the attributes of a mail say. A mode that is none
// counts as N.
func readDeliverBy(m *container.Mail) deliverBy {
	t, ok := m.Attributes.Time(container.AttrDeliverBy)
	if !ok {
		return deliverBy{}
	}
	mode, _ := m.Attributes.String(container.AttrDeliverByMode)
	return deliverBy{deadline: t, giveBack: strings.HasPrefix(mode, "R"), trace: strings.HasSuffix(mode, "T")}
}

func (d deliverBy) given() bool { return !d.deadline.IsZero() }

// over reports whether the time has passed. Less than a second cannot be said in
// the command.
func (d deliverBy) over(now time.Time) bool { return d.given() && d.seconds(now) <= 0 }

// seconds returns what is left.
func (d deliverBy) seconds(now time.Time) int64 {
	const most = 999999999 // RFC 2852 §4
	left := d.deadline.Sub(now)
	if left < 0 {
		left -= time.Second - 1 // down, as with positive numbers
	}
	return max(-most, min(int64(left/time.Second), most))
}

// expired returns why a mail must not be delivered any more, nil when it may.
func (d deliverBy) expired(now time.Time) error {
	if !d.giveBack || !d.over(now) {
		return nil
	}
	return &cause{status: "5.4.7", permanent: true, text: "not delivered by " + d.deadline.UTC().Format(time.RFC1123Z) + ", as the sender asked for"}
}

// append adds BY for a host with the given extensions. A mail that is to be
// returned goes only to hosts that will do so, too.
func (d deliverBy) append(b []byte, x *extensions, now time.Time) ([]byte, error) {
	if !d.given() {
		return b, nil
	}
	if err := d.expired(now); err != nil {
		return nil, err
	}
	left, mode := d.seconds(now), "N"
	if d.giveBack {
		mode = "R"
		if !x.deliverBy && !d.final {
			return nil, &cause{status: "5.3.3", permanent: true, next: true, text: "the mail must be delivered in time or returned (DELIVERBY), which the remote host does not offer"}
		}
		if left < x.byMinimum {
			return nil, &cause{status: "5.4.7", permanent: true, next: true,
				text: fmt.Sprintf("the mail must be delivered within %d seconds, and the remote host wants at least %d (DELIVERBY)", left, x.byMinimum)}
		}
	}
	if !x.deliverBy {
		return b, nil
	}
	b = strconv.AppendInt(append(b, " BY="...), left, 10)
	b = append(append(b, ';'), mode...)
	if d.trace {
		b = append(b, 'T')
	}
	return b, nil
}

// attrExtraRetries is how many retries a mail had because its time was over: they
// are none of those that the plan has.
const attrExtraRetries = "deliver-by-retries"

func extraRetries(m *container.Mail) int {
	n, _ := m.Attributes.Int(attrExtraRetries)
	return max(n, 0)
}

// giveBack makes failures of recipients that were put off although the time of
// their mail is over by now.
func (h *handover) giveBack() {
	err := h.a.env.by.expired(h.now)
	if err == nil || h.a.interrupted {
		return
	}
	v := judge(stageRoute, err)
	for i := range h.a.rcpts {
		r := &h.a.rcpts[i]
		if !r.known || r.outcome.Result != container.Deferred {
			continue
		}
		v := v
		if last := r.outcome.Reply(); last != "" {
			v.text += "; the last attempt: " + last
		}
		o := v.outcome()
		o.Time = r.outcome.Time // without the host: it is not what it said (RFC 3464 §2.3.6)
		r.outcome = o
	}
}

// wait returns how long the next retry of c waits: no longer than until something
// has to be done.
func (h *handover) wait(c *container.Mail) time.Duration {
	if h.tries == 1 {
		delete(c.Attributes, attrExtraRetries) // of an earlier life, before a repository
	}
	d, delay := h.a.env.by, h.in.cfg.Plan.Delay(h.planned)
	if left := d.deadline.Sub(h.now); d.given() && left > 0 && left < delay {
		c.Set(attrExtraRetries, int32(h.tries-h.planned+1))
		return left
	}
	return delay
}

// reportRelayed tells the sender of recipients that were handed over, when he
// wants to know of each hop, or when the host does not know DELIVERBY and will
// not keep an eye on the time (RFC 2852 §4).
func (h *handover) reportRelayed(delivered []int) {
	by := h.a.env.by
	if !by.given() {
		return
	}
	c := h.mail.Clone()
	c.Recipients = nil
	for _, i := range delivered {
		r := &h.a.rcpts[i]
		if n, _ := h.a.env.asked.RecipientString(container.AttrDSNNotify, r.addr); h.in.cfg.OnSuccess != "" && strings.Contains(strings.ToUpper(n), "SUCCESS") {
			continue // the processor reports
		}
		if by.trace || !r.knowsBy {
			c.Recipients = append(c.Recipients, r.addr)
			c.SetOutcome(r.addr, r.outcome)
		}
	}
	h.report(c, "relayed")
}

// reportDelayed tells the sender that the time is over, in mode N. What was told
// is noted in c, which goes back to the queue.
func (h *handover) reportDelayed(c *container.Mail) {
	if by := h.a.env.by; by.over(h.now) && !by.giveBack {
		c.Set(container.AttrRetryUntil, h.in.cfg.Plan.until(h.now, h.planned))
		h.report(c, "delayed")
		delete(c.Attributes, container.AttrRetryUntil)
	}
}

// report makes a report about all recipients of m.
func (h *handover) report(m *container.Mail, action string) {
	if h.in.services.Report == nil || len(m.Recipients) == 0 || m.Sender.IsNull() {
		return
	}
	state := m.State
	m.State = fmt.Sprintf("%s#%d.%s", state, h.tries, action) // other reports of the mail have other names
	err := h.in.services.Report(m, action, &h.out)
	m.State = state
	if err != nil {
		h.in.log.Error("report not made", "mail", m.Name, "action", action, "err", err)
	}
}
