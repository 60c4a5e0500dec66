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
	s     Services
	split bool
}

func newMailetContainer(p *conf.Params, s Services) any {
	return &MailetContainerHandler{s: s, split: p.Bool("splitExecution", false)}
}

// DeliverMessage implements DeliverMessageHook.
func (h *MailetContainerHandler) DeliverMessage(ctx context.Context, s *Session, m *container.Mail) []Decision {
	results := map[string]error{} // by recipient
	var entries []container.Entry
	switch {
	case s.Tx.Delay > 0:
		entries = []container.Entry{{Mail: m, Queue: container.SpoolQueue, Delay: s.Tx.Delay}}
	case h.split:
		entries = h.each(ctx, m, results)
	default:
		out, err := h.process(ctx, m)
		for _, r := range s.Tx.Recipients {
			results[r.Address.Key()] = err
		}
		entries = out
	}
	var failed error
	if len(entries) > 0 {
		if failed = h.s.Queue.Commit(ctx, repository.Change{Entries: entries}); failed != nil {
			h.s.Log.ErrorContext(ctx, "what came of a mail is not stored", "err", failed)
		}
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

// process runs one mail and returns what shall come of it. A panic is an error of
// this run: with splitExecution others have gone well.
func (h *MailetContainerHandler) process(ctx context.Context, m *container.Mail) (entries []container.Entry, err error) {
	var out container.Outbox
	name := m.Name
	defer func() {
		if p := recover(); p != nil {
			h.s.Log.ErrorContext(ctx, "mail not processed", "name", name, "panic", p, "stack", string(debug.Stack()))
			entries, err = nil, fmt.Errorf("process mail: panic: %v", p)
		}
	}()
	if err := h.s.Process(ctx, m, &out); err != nil {
		h.s.Log.ErrorContext(ctx, "mail not processed", "name", name, "err", err)
		return nil, fmt.Errorf("process mail: %w", err)
	}
	return out.Entries(), nil
}

// each runs a copy for each recipient; results gets what failed.
func (h *MailetContainerHandler) each(ctx context.Context, m *container.Mail, results map[string]error) []container.Entry {
	var all []container.Entry
	for i, rcpt := range m.Recipients {
		if _, done := results[rcpt.Key()]; done {
			continue
		}
		copied := m.Clone()
		copied.Name += "-" + strconv.Itoa(i+1)
		copied.Recipients = []container.Address{rcpt}
		entries, err := h.process(ctx, copied)
		results[rcpt.Key()] = err
		all = append(all, entries...)
	}
	return all
}
