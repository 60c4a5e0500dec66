package smtphooks

import (
	"context"
	"fmt"
	"runtime/debug"
	"strconv"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// MailetContainerHandler runs mail that comes in over LMTP through the processors
// of mailetcontainer.xml, from root on, while the client waits for the reply: it
// is not put into the spool. It is part of the bundle
// MailetContainerCmdHandlerLoader; written out, with a parameter, it takes the
// place of that one.
//
//	<handler class="org.apache.james.lmtpserver.MailetContainerHandler">
//	  <splitExecution>true</splitExecution>
//	</handler>
//
// The client reads one reply for each recipient: "250 2.6.0 Message received
// <{address}>" when everything that came of the run is on disk, in mailboxes,
// queues and repositories; "451 4.0.0 Temporary error deliver message <{address}>"
// when an error left the processors (onMailetException propagate) or the store
// failed. An error that the processor error has dealt with is a 250. Message
// hooks of the chain come first: what they refuse is refused for all
// recipients, and SendMailHandler among them puts the mail into the spool
// instead.
//
// When the client sends a message again after 451, the mail has the name that it
// had, and LocalDelivery stores it only where it is not stored yet; unless the
// server was started anew meanwhile.
//
// Parameters:
//
//   - splitExecution (default false): whether each recipient gets a copy and a
//     run of his own, so that the replies can differ. What came of those that
//     went well is stored in one transaction.
//
// Differs from James: hooks that refuse are obeyed; with splitExecution the
// Received field is written and the size limited all the same; a mail that
// FUTURERELEASE holds goes to the spool.
type MailetContainerHandler struct {
	s      Services
	split  bool
	failed halfDone[runName]
}

func newMailetContainer(p *conf.Params, s Services) any {
	return &MailetContainerHandler{s: s, split: p.Bool("splitExecution", false)}
}

// DeliverMessage implements DeliverMessageHook.
func (h *MailetContainerHandler) DeliverMessage(ctx context.Context, s *Session, m *container.Mail) []Decision {
	var runs []run
	var entries []container.Entry
	switch {
	case s.Tx.Delay > 0:
		entries = []container.Entry{{Mail: m, Queue: container.SpoolQueue, Delay: s.Tx.Delay}}
	case h.split:
		runs = h.each(ctx, m)
	default:
		runs = []run{h.process(ctx, m)}
	}
	for _, r := range runs {
		entries = append(entries, r.entries...)
	}
	var failed error
	if len(entries) > 0 {
		if failed = h.s.Queue.Commit(ctx, repository.Change{Entries: entries}); failed != nil {
			h.s.Log.ErrorContext(ctx, "what came of a mail is not stored", "err", failed)
		}
	}
	results := map[string]error{} // by recipient
	for _, r := range runs {
		for _, rcpt := range r.mail.Recipients {
			results[rcpt.Key()] = r.err
		}
		h.remember(ctx, r.mail, failed != nil || r.err != nil)
	}
	out := make([]Decision, len(s.Tx.Recipients))
	for i, r := range s.Tx.Recipients {
		out[i] = received(r.Address)
		if failed != nil || results[r.Address.Key()] != nil {
			out[i] = Defer(451, "4.0.0", "Temporary error deliver message "+r.Address.Pretty())
		}
	}
	return out
}

// run is what came of one mail.
type run struct {
	mail    *container.Mail // as it was before
	entries []container.Entry
	err     error
}

// runName is what a mail is known by to those who may have seen it.
type runName struct{ id, name string }

// process runs one mail. A panic is an error of this run: with splitExecution
// others have gone well.
func (h *MailetContainerHandler) process(ctx context.Context, m *container.Mail) (r run) {
	h.recall(ctx, m)
	r.mail = m.Clone()
	defer func() {
		if p := recover(); p != nil {
			h.s.Log.ErrorContext(ctx, "mail not processed", "name", r.mail.Name, "panic", p, "stack", string(debug.Stack()))
			r.entries, r.err = nil, fmt.Errorf("process mail: panic: %v", p)
		}
	}()
	var out container.Outbox
	if err := h.s.Process(ctx, m, &out); err != nil {
		h.s.Log.ErrorContext(ctx, "mail not processed", "name", r.mail.Name, "err", err)
		r.err = fmt.Errorf("process mail: %w", err)
		return r
	}
	r.entries = out.Entries()
	return r
}

// each runs a copy for each recipient.
func (h *MailetContainerHandler) each(ctx context.Context, m *container.Mail) []run {
	var out []run
	done := map[string]bool{}
	for i, rcpt := range m.Recipients {
		if done[rcpt.Key()] {
			continue
		}
		done[rcpt.Key()] = true
		copied := m.Clone()
		copied.Name += "-" + strconv.Itoa(i+1)
		copied.Recipients = []container.Address{rcpt}
		out = append(out, h.process(ctx, copied))
	}
	return out
}

// recall gives a mail that failed before, and that the client sends again, the
// name that it had, so that mailboxes that have it do not get it once more.
func (h *MailetContainerHandler) recall(ctx context.Context, m *container.Mail) {
	if h.failed.empty() {
		return
	}
	key, err := halfKeyOf(m, m.Recipients...)
	if err != nil {
		h.s.Log.WarnContext(ctx, "message cannot be read", "err", err)
		return
	}
	if n, ok := h.failed.of(key); ok {
		m.ID, m.Name, m.Redelivered = n.id, n.name, true
	}
}

// remember notes what a mail that failed was called, or forgets one that did not.
func (h *MailetContainerHandler) remember(ctx context.Context, m *container.Mail, failed bool) {
	if !failed && h.failed.empty() {
		return
	}
	key, err := halfKeyOf(m, m.Recipients...)
	switch {
	case err != nil:
		h.s.Log.WarnContext(ctx, "message cannot be read", "err", err)
	case failed:
		h.failed.note(key, runName{m.ID, m.Name})
	default:
		h.failed.forget(key)
	}
}
