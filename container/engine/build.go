package engine

import (
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Pipeline is what Build makes of a configuration: the engine, and the parts of
// its mailets that the server has to know about.
type Pipeline struct {
	Engine  *Engine
	Runners []container.Runner // work of their own, to be started after all is found good
	States  []string           // names of the processors, in the order of the file
}

// builder makes one Pipeline.
type builder struct {
	reg      *container.Registry
	report   *conf.Report
	out      *Pipeline
	log      *slog.Logger
	states   map[string]conf.Pos
	current  string // state of the processor that is being made
	runners  []runner
	referred []reference

	checkBccOn bool
}

// runner is a mailet with work of its own, and its processor.
type runner struct {
	container.Runner
	in string
}

// reference is a processor that a mailet names.
type reference struct {
	in    string // processor of the mailet
	state string
	pos   conf.Pos
	by    string
	lax   bool // James does not look: a warning is enough
}

// Build makes the processors of c from the classes of reg. Every problem goes
// to r, and the result is usable only when none of them is an error.
//
// The checks and texts are those of James's start-up (processing.md 3.1 in the
// references names them): root and error must exist, every processor that a
// mailet names too, and transport should remove Bcc.
func Build(c *conf.MailetContainer, reg *container.Registry, log *slog.Logger, r *conf.Report) *Pipeline {
	b := &builder{reg: reg, report: r, log: log, states: map[string]conf.Pos{}, checkBccOn: c.CheckBcc,
		out: &Pipeline{Engine: &Engine{processors: map[string]*processor{}, log: log}}}
	for _, p := range c.Processors {
		b.processor(p)
	}
	b.checkStates(c)
	for _, r := range b.runners {
		b.out.Runners = append(b.out.Runners, r.Runner)
	}
	return b.out
}

func (b *builder) processor(c conf.Processor) {
	if c.State == "" {
		return // reported by conf
	}
	if first, ok := b.states[c.State]; ok {
		b.report.Warnf(c.Pos, "processor %q is also defined at %s; this one, the last, is used", c.State, first)
		b.forget(c.State)
	} else {
		b.out.States = append(b.out.States, c.State)
	}
	b.states[c.State], b.current = c.Pos, c.State
	named := map[string]container.Matcher{}
	for _, m := range c.Matchers {
		b.matcher(m, c.State, named)
	}
	p := &processor{state: c.State}
	for _, m := range c.Mailets {
		p.steps = append(p.steps, b.step(m, named))
	}
	b.out.Engine.processors[c.State] = p
	if c.State == "transport" && b.checkBccOn {
		b.checkBcc(c)
	}
}

// forget drops what was collected of a processor that another one replaces.
func (b *builder) forget(state string) {
	b.runners = slices.DeleteFunc(b.runners, func(r runner) bool { return r.in == state })
	b.referred = slices.DeleteFunc(b.referred, func(r reference) bool { return r.in == state })
}

// matcher makes a matcher and its children, and enters named ones into named.
// Nil means that it could not be made and that the reason is in the report.
func (b *builder) matcher(d conf.MatcherDecl, state string, named map[string]container.Matcher) container.Matcher {
	m, reference := named[d.Text]
	if !reference {
		m = b.newMatcher(d)
	}
	if m != nil && !reference {
		b.children(m, d, state, named)
	}
	if m != nil && d.Not {
		m = inverted{m}
	}
	if d.Name == "" {
		return m
	}
	if _, taken := named[d.Name]; taken {
		b.report.Errorf(d.Pos, "CompositeMatcher with name %s is already defined in processor %s", d.Name, state)
		return m
	}
	if m == nil {
		m = broken{} // so that its users do not complain about an unknown class
	}
	named[d.Name] = m
	return m
}

func (b *builder) children(m container.Matcher, d conf.MatcherDecl, state string, named map[string]container.Matcher) {
	composite, ok := m.(container.Composite)
	if !ok && len(d.Children) > 0 {
		b.report.Warnf(d.Pos, "the matchers within %s are ignored: only And, Or, Not and Xor have any", d.Class)
	}
	for _, child := range d.Children {
		if cm := b.matcher(child, state, named); cm != nil && ok {
			composite.Add(cm)
		}
	}
}

func (b *builder) newMatcher(d conf.MatcherDecl) container.Matcher {
	m, err := guarded(b, d.Text, func() (container.Matcher, error) { return b.reg.NewMatcher(d.Class, d.Condition) })
	if err != nil {
		b.report.Errorf(d.Pos, "Can not load matcher %s: %v", d.Text, err)
		return nil
	}
	b.warnInert(d.Pos, d.Class, m)
	return m
}

func (b *builder) warnInert(pos conf.Pos, class string, v any) {
	if in, ok := v.(container.Inert); ok {
		b.report.Warnf(pos, "%s has no effect here: %s", class, in.InertReason())
	}
}

// broken stands for a matcher that could not be made. It is never run: the
// report has an error.
type broken struct{ container.Matcher }

func (b *builder) step(d conf.MailetDecl, named map[string]container.Matcher) step {
	s := step{matcherName: d.Match.Text, mailetName: d.Class}
	s.matcher = b.matcher(d.Match, "", named)
	p := d.Params(b.report)
	mailet, err := guarded(b, d.Class, func() (container.Mailet, error) { return b.reg.NewMailet(d.Class, p) })
	if err != nil {
		b.report.Errorf(d.Pos, "Can not load mailet %s: %v", d.Class, err)
	} else {
		p.Close()
		s.mailet = mailet
		b.warnInert(d.Pos, d.Class, mailet)
		b.collect(d, mailet)
	}
	s.onMatch = b.reaction(d, "onMatchException", d.OnMatchException, map[string]action{"nomatch": noMatch, "matchall": matchAll, "propagate": propagate})
	s.onMailet = b.reaction(d, "onMailetException", d.OnMailetException, map[string]action{"ignore": ignore, "propagate": propagate})
	return s
}

// guarded calls a factory. One that panics is a mistake in the class, and the
// report says which element it was; the stack is in the log.
func guarded[T any](b *builder, class string, make func() (T, error)) (v T, err error) {
	defer func() {
		if p := (*PanicError)(nil); errors.As(err, &p) {
			b.log.Error("class failed to load", "class", class, "panic", p.Value, "stack", string(p.Stack))
		}
	}()
	defer recovered(&err)
	return make()
}

// collect notes what the server and the checks need to know of a mailet.
func (b *builder) collect(d conf.MailetDecl, m container.Mailet) {
	if run, ok := m.(container.Runner); ok {
		b.runners = append(b.runners, runner{run, b.current})
	}
	if ref, ok := m.(container.StateReferrer); ok {
		for _, state := range ref.ReferredStates() {
			if state != "" {
				b.referred = append(b.referred, reference{b.current, state, d.Pos, d.Class, false})
			}
		}
	}
	if ref, ok := m.(container.StateMentioner); ok {
		for _, state := range ref.MentionedStates() {
			b.referred = append(b.referred, reference{b.current, state, d.Pos, d.Class, true})
		}
	}
}

// reaction reads onMatchException and onMailetException. The special words are
// understood in any case, names of processors exactly (James lower-cases them
// and then does not find them).
func (b *builder) reaction(d conf.MailetDecl, element, value string, words map[string]action) reaction {
	if value == "" {
		return reaction{state: container.StateError}
	}
	if a, ok := words[strings.ToLower(value)]; ok {
		return reaction{action: a}
	}
	b.referred = append(b.referred, reference{b.current, value, d.Pos, "<" + element + ">", false})
	return reaction{state: value}
}

// checkStates checks that all processors are there that must be.
func (b *builder) checkStates(c *conf.MailetContainer) {
	for _, state := range []string{container.StateError, container.StateRoot} {
		if _, ok := b.states[state]; !ok {
			b.report.Errorf(c.Pos, "You need to configure a Processor with name %s", state)
		}
	}
	known := slices.Clone(b.out.States)
	for _, ref := range b.referred {
		if _, ok := b.states[ref.state]; !ok {
			complain := b.report.Errorf
			if ref.lax {
				complain = b.report.Warnf
			}
			complain(ref.pos, "Your configurations specifies the following undefined processors: [%s] (named by %s)%s",
				ref.state, ref.by, conf.Suggest(ref.state, known))
		}
	}
}

// checkBcc warns when Bcc header fields would leave the server. James refuses to
// start; a snippet from its documentation must load here.
func (b *builder) checkBcc(c conf.Processor) {
	for _, m := range c.Mailets {
		name := strings.TrimPrefix(m.Class, container.MailetPackage)
		matcher := strings.TrimPrefix(m.Match.Text, container.MatcherPackage)
		if name != "RemoveMimeHeader" || matcher != "All" {
			continue
		}
		value, _ := m.Params(&conf.Report{}).Lookup("name")
		for _, h := range strings.Split(value, ",") {
			if strings.EqualFold(strings.TrimSpace(h), "bcc") {
				return
			}
		}
	}
	b.report.Warnf(c.Pos, "Missing %sRemoveMimeHeader in mailets configuration (mailetcontainer -> processors -> transport). "+
		"Should be configured to remove Bcc header", container.MailetPackage)
}
