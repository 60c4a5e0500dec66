package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
)

// Limits of one run.
const (
	maxDepth   = 50     // processors a mail may pass through, one from within the other
	maxEntries = 10_000 // processors that all fragments of a mail may enter
)

// ErrLoop is returned when not even the processor error ends a mail.
var ErrLoop = errors.New("processors hand the mail to each other without end")

// Engine is a set of processors. It does not change after Build and is safe for
// concurrent use.
type Engine struct {
	processors map[string]*processor
	log        *slog.Logger
}

type processor struct {
	state string
	steps []step
	mails prometheus.Counter // that came in; nil counts nothing
}

// step is one <mailet> element.
type step struct {
	matcher     container.Matcher
	mailet      container.Mailet
	matcherName string
	mailetName  string
	onMatch     reaction
	onMailet    reaction
	seconds     prometheus.Observer // that the mailet took; nil: nobody asks
	failures    prometheus.Counter  // nil counts nothing
}

// reaction is what to do about an error: go to a processor, or one of the
// special words.
type reaction struct {
	action action
	state  string
}

type action int

const (
	toState action = iota
	propagate
	ignore
	noMatch
	matchAll
)

// frame is a processor at work on some mails, between two steps.
type frame struct {
	proc  *processor
	next  int // step to run next
	depth int
	mails []*container.Mail
}

// run is one call of Run.
type run struct {
	*Engine
	out     *container.Outbox
	stack   []frame
	entries int
	before  []container.Address // recipients before the mailet at work
}

// Run processes m, from the processor that m.State names, until every fragment
// of it has ended; what should come of it is in out then. It owns m.
//
// An error means that the mail could not be processed at all (a mailet with
// onMailetException propagate failed, or the processors loop): the caller drops
// out and tries the mail again as it was.
func (e *Engine) Run(ctx context.Context, m *container.Mail, out *container.Outbox) error {
	r := run{Engine: e, out: out}
	if err := r.enter(ctx, m, 0); err != nil {
		return err
	}
	for len(r.stack) > 0 {
		top := &r.stack[len(r.stack)-1]
		if top.next == len(top.proc.steps) || len(top.mails) == 0 {
			r.end(ctx, top)
			r.stack = r.stack[:len(r.stack)-1]
			continue
		}
		s := &top.proc.steps[top.next]
		top.next++
		depth, state := top.depth, top.proc.state
		stay, leave, err := r.serve(ctx, s, state, top.mails)
		if err != nil {
			return fmt.Errorf("processor %s: %w", state, err)
		}
		top.mails = stay
		// The first to leave is processed first: it goes on top of the stack.
		for _, m := range slices.Backward(leave) {
			if err := r.enter(ctx, m, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// enter puts m into the processor of its state.
func (r *run) enter(ctx context.Context, m *container.Mail, depth int) error {
	r.entries++
	if depth == maxDepth || r.entries == maxEntries {
		m.ErrorMessage = fmt.Sprintf("processor loop: mail %s passed through more processors than %d; the last one was %s", m.Name, maxDepth, m.State)
		r.log.ErrorContext(ctx, "processor loop", "mail", m.Name, "state", m.State)
		m.State = container.StateError
	}
	if depth > maxDepth+1 || r.entries > maxEntries+maxDepth {
		return fmt.Errorf("mail %s in state %s: %w", m.Name, m.State, ErrLoop)
	}
	p, ok := r.processors[m.State]
	if !ok {
		m.ErrorMessage = fmt.Sprintf("MailProcessor '%s' could not be found. Processing to 'error' instead", m.State)
		r.log.ErrorContext(ctx, "unknown processor", "mail", m.Name, "state", m.State)
		m.State = container.StateError
		p = r.processors[container.StateError]
	}
	if p.mails != nil {
		p.mails.Inc()
	}
	r.stack = append(r.stack, frame{proc: p, depth: depth, mails: []*container.Mail{m}})
	return nil
}

// end drops what is left after the last step.
func (r *run) end(ctx context.Context, f *frame) {
	for _, m := range f.mails {
		m.State = container.StateGhost
		if f.proc.state != container.StateError {
			r.log.WarnContext(ctx, "Message "+m.Name+" reached the end of this processor, and is automatically deleted. This may indicate a configuration error.",
				"mail", m.Name, "state", f.proc.state)
		}
	}
}

// serve runs one step on mails. It returns those that stay in the processor of
// this state and those that leave it for another.
func (r *run) serve(ctx context.Context, s *step, state string, mails []*container.Mail) (stay, leave []*container.Mail, err error) {
	if len(mails) > 1 {
		stay = make([]*container.Mail, 0, len(mails)+1)
	} else {
		stay = mails[:0:0]
	}
	for _, m := range mails {
		hit, rest, err := r.match(ctx, s, m)
		if err != nil {
			return nil, nil, err
		}
		if hit != nil {
			if err := r.service(ctx, s, hit); err != nil {
				return nil, nil, err
			}
		}
		place := func(part *container.Mail) {
			switch {
			case part == nil || part.State == container.StateGhost:
			case part.State == state:
				stay = append(stay, part)
			default:
				leave = append(leave, part)
			}
		}
		place(hit)
		for _, fork := range r.out.TakeForks() {
			place(fork)
		}
		place(rest)
	}
	return stay, leave, nil
}

// match splits m as the matcher of s says: hit goes to the mailet, rest passes
// by; one of them may be nil. When the matcher fails, the mailet does not run.
func (r *run) match(ctx context.Context, s *step, m *container.Mail) (hit, rest *container.Mail, err error) {
	if len(m.Recipients) == 0 {
		return nil, m, nil
	}
	found, err := safeMatch(ctx, s, m)
	if err != nil {
		switch s.onMatch.action {
		case propagate:
			return nil, nil, fmt.Errorf("matcher %s: %w", s.matcherName, err)
		case noMatch:
			r.log.WarnContext(ctx, "matcher failed; taken as no match", "mail", m.Name, "matcher", s.matcherName, "err", err)
			return nil, m, nil
		case matchAll:
			r.log.WarnContext(ctx, "matcher failed; taken as match", "mail", m.Name, "matcher", s.matcherName, "err", err)
			return m, nil, nil
		}
		r.fail(ctx, m, s.matcherName, s.onMatch.state, err)
		return nil, m, nil
	}
	return split(m, found)
}

// split takes the recipients found out of m into a copy. Addresses that m does
// not have are not added, and duplicates stay together.
func split(m *container.Mail, found []container.Address) (hit, rest *container.Mail, err error) {
	switch {
	case len(found) == 0:
		return nil, m, nil
	case len(found) == len(m.Recipients) && &found[0] == &m.Recipients[0]:
		return m, nil, nil
	}
	set := make(map[string]bool, len(found))
	for _, a := range found {
		set[a.Key()] = true
	}
	var in, out []container.Address
	for _, a := range m.Recipients {
		if set[a.Key()] {
			in = append(in, a)
		} else {
			out = append(out, a)
		}
	}
	switch {
	case len(in) == 0:
		return nil, m, nil
	case len(out) == 0:
		return m, nil, nil
	}
	hit, err = m.Duplicate()
	if err != nil {
		return nil, nil, err
	}
	hit.State, hit.Recipients = m.State, in
	m.Recipients = out
	return hit, m, nil
}

// service lets the mailet of s serve m.
func (r *run) service(ctx context.Context, s *step, m *container.Mail) error {
	if r.log.Enabled(ctx, slog.LevelDebug) {
		r.log.DebugContext(ctx, "entering mailet", "mail", m.Name, "state", m.State, "mailet", s.mailetName, "to", container.AddressStrings(m.Recipients))
	}
	mark, state := r.out.Len(), m.State
	r.before = append(r.before[:0], m.Recipients...)
	err := measured(ctx, s, m, r.out)
	if err != nil {
		r.takeBack(m, mark, state)
		switch s.onMailet.action {
		case propagate:
			return fmt.Errorf("mailet %s: %w", s.mailetName, err)
		case ignore:
			r.log.WarnContext(ctx, "mailet failed; ignored", "mail", m.Name, "state", m.State, "mailet", s.mailetName, "err", err)
		default:
			r.fail(ctx, m, s.mailetName, s.onMailet.state, err)
		}
	}
	if len(m.Recipients) == 0 {
		m.State = container.StateGhost
	}
	return nil
}

// takeBack undoes what a mailet that failed did to the routing of m: what it put
// into the outbox is dropped, so the recipients it put there must come back, and
// those of a mail that it left with none.
func (r *run) takeBack(m *container.Mail, mark int, state string) {
	if forks := r.out.TakeForks(); len(forks) > 0 || r.out.Len() > mark || len(m.Recipients) == 0 {
		m.Recipients = slices.Clone(r.before)
	}
	r.out.Truncate(mark)
	m.State = state
}

// fail sends m to the processor state because name failed with err.
func (r *run) fail(ctx context.Context, m *container.Mail, name, state string, err error) {
	attrs := []any{"mail", m.Name, "state", m.State, "next", state,
		"from", m.Sender.Pretty(), "to", container.AddressStrings(m.Recipients), "err", err}
	if p := (*PanicError)(nil); errors.As(err, &p) {
		attrs = append(attrs, "stack", string(p.Stack))
	}
	r.log.ErrorContext(ctx, "exception calling "+name, attrs...)
	m.State = state
	m.ErrorMessage = fmt.Sprintf("Exception calling %s: %v", name, err)
	m.Set(container.AttrMailetError, err)
}

// PanicError is a panic of a matcher or mailet, caught by the engine.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the panic's value. The stack is for the log alone: the text of an
// error ends up in what senders are told.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Panicked tells a defect of the program from a failure, for classes that cannot
// import this package.
func (*PanicError) Panicked() bool { return true }

func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{v, debug.Stack()}
	}
}

// scope names what is at work in the log.
type scope struct{ mail, state, key, class string }

// LogAttrs implements logctx.Source.
func (s *scope) LogAttrs() []slog.Attr {
	return []slog.Attr{slog.String("mail", s.mail), slog.String("state", s.state), slog.String(s.key, s.class)}
}

func safeMatch(ctx context.Context, s *step, m *container.Mail) (found []container.Address, err error) {
	defer recovered(&err)
	return s.matcher.Match(logctx.WithSource(ctx, &scope{m.Name, m.State, "matcher", s.matcherName}), m)
}

func safeService(ctx context.Context, s *step, m *container.Mail, out *container.Outbox) (err error) {
	defer recovered(&err)
	return s.mailet.Service(logctx.WithSource(ctx, &scope{m.Name, m.State, "mailet", s.mailetName}), m, out)
}

// inverted is notmatch="…".
type inverted struct{ container.Matcher }

// fewAddresses is the length up to which looking through a list beats a map.
const fewAddresses = 8

// Match returns the recipients that the matcher does not.
func (i inverted) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	found, err := i.Matcher.Match(ctx, m)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return m.Recipients, nil
	case len(found) == len(m.Recipients) && &found[0] == &m.Recipients[0]:
		return nil, nil
	case len(found) <= fewAddresses:
		return container.Each(m, func(a container.Address) bool { return !container.ContainsAddress(found, a) }), nil
	}
	set := make(map[string]bool, len(found))
	for _, a := range found {
		set[a.Key()] = true
	}
	return container.Each(m, func(a container.Address) bool { return !set[a.Key()] }), nil
}
