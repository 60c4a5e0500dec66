package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/logctx"
)

// trace records which mailet saw which recipients, in order.
type trace struct{ lines []string }

// mailetFunc and matcherFunc make a function a mailet or matcher.
type mailetFunc func(*container.Mail, *container.Outbox) error

func (f mailetFunc) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	return f(m, out)
}

type matcherFunc func(*container.Mail) ([]container.Address, error)

func (f matcherFunc) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return f(m)
}

func (tr *trace) see(name string) mailetFunc {
	return func(m *container.Mail, _ *container.Outbox) error {
		var locals []string
		for _, r := range m.Recipients {
			locals = append(locals, r.Local)
		}
		tr.lines = append(tr.lines, fmt.Sprintf("%s:%s", name, strings.Join(locals, ",")))
		return nil
	}
}

func (tr *trace) to(name, state string) mailetFunc {
	see := tr.see(name)
	return func(m *container.Mail, out *container.Outbox) error {
		m.State = state
		return see(m, out)
	}
}

var all = matcherFunc(func(m *container.Mail) ([]container.Address, error) { return m.Recipients, nil })

func rcpts(locals ...string) matcherFunc {
	return func(m *container.Mail) ([]container.Address, error) {
		var out []container.Address
		for _, l := range locals {
			out = append(out, container.Address{Local: l, Domain: "x.test"})
		}
		return out, nil
	}
}

var errBoom = errors.New("boom")

func failingMatch(*container.Mail) ([]container.Address, error) { return nil, errBoom }

func st(mt container.Matcher, ml container.Mailet) step {
	return step{matcher: mt, mailet: ml, matcherName: "M", mailetName: "L",
		onMatch: reaction{state: "error"}, onMailet: reaction{state: "error"}}
}

func (s step) on(match, mailet reaction) step {
	s.onMatch, s.onMailet = match, mailet
	return s
}

func newEngine(procs map[string][]step) *Engine {
	e := &Engine{processors: map[string]*processor{}, log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for state, steps := range procs {
		e.processors[state] = &processor{state: state, steps: steps}
	}
	return e
}

func mail(locals ...string) *container.Mail {
	var to []container.Address
	for _, l := range locals {
		to = append(to, container.Address{Local: l, Domain: "x.test"})
	}
	return container.NewMail(container.MustAddress("s@x.test"), to, container.NewMessage(nil, nil))
}

func TestRouting(t *testing.T) {
	tr := &trace{}
	boom := mailetFunc(func(*container.Mail, *container.Outbox) error { return errBoom })
	panics := mailetFunc(func(*container.Mail, *container.Outbox) error { panic("ouch") })
	ghost := tr.to("null", container.StateGhost)
	sendThenFail := mailetFunc(func(m *container.Mail, out *container.Outbox) error {
		out.Send(m.Clone())
		return errBoom
	})
	errorProc := []step{st(all, tr.see("error"))}
	for _, tc := range []struct {
		name  string
		procs map[string][]step
		want  string
		err   error
	}{
		{name: "all recipients, end of processor",
			procs: map[string][]step{"root": {st(all, tr.see("a")), st(all, tr.see("b"))}}, want: "a:u,v,w b:u,v,w"},
		{name: "partial match: the copy comes first, the rest follows, never merged",
			procs: map[string][]step{"root": {st(rcpts("v"), tr.see("a")), st(all, tr.see("b"))}}, want: "a:v b:v b:u,w"},
		{name: "addresses the mail does not have are not added",
			procs: map[string][]step{"root": {st(rcpts("v", "stranger"), tr.see("a"))}}, want: "a:v"},
		{name: "only strangers: no match",
			procs: map[string][]step{"root": {st(rcpts("stranger"), tr.see("a")), st(all, tr.see("b"))}}, want: "b:u,v,w"},
		{name: "another processor is run to its end before the next step",
			procs: map[string][]step{"root": {st(rcpts("u"), tr.to("a", "two")), st(all, tr.see("b"))}, "two": {st(all, tr.see("c")), st(all, tr.see("d"))}},
			want:  "a:u c:u d:u b:v,w"},
		{name: "depth first, matched copy first",
			procs: map[string][]step{"root": {st(rcpts("u"), tr.see("a")), st(all, tr.to("b", "two"))}, "two": {st(all, tr.see("c"))}},
			want:  "a:u b:u b:v,w c:u c:v,w"},
		{name: "ghost ends",
			procs: map[string][]step{"root": {st(rcpts("u", "v"), ghost), st(all, tr.see("b"))}}, want: "null:u,v b:w"},
		{name: "to itself changes nothing",
			procs: map[string][]step{"root": {st(all, tr.to("a", "root")), st(all, tr.see("b"))}}, want: "a:u,v,w b:u,v,w"},
		{name: "unknown state goes to error",
			procs: map[string][]step{"root": {st(all, tr.to("a", "nowhere"))}, "error": errorProc}, want: "a:u,v,w error:u,v,w"},
		{name: "mailet error goes to error",
			procs: map[string][]step{"root": {st(rcpts("u"), boom), st(all, tr.see("b"))}, "error": errorProc}, want: "error:u b:v,w"},
		{name: "mailet panic goes to error",
			procs: map[string][]step{"root": {st(all, panics)}, "error": errorProc}, want: "error:u,v,w"},
		{name: "an error within error goes on there",
			procs: map[string][]step{"root": {st(all, boom)}, "error": {st(all, boom), st(all, tr.see("error"))}}, want: "error:u,v,w"},
		{name: "mailet error ignored",
			procs: map[string][]step{"root": {st(all, boom).on(reaction{}, reaction{action: ignore}), st(all, tr.see("b"))}}, want: "b:u,v,w"},
		{name: "mailet error propagated",
			procs: map[string][]step{"root": {st(all, boom).on(reaction{}, reaction{action: propagate})}}, err: errBoom},
		{name: "mailet error to a processor of its own",
			procs: map[string][]step{"root": {st(all, boom).on(reaction{}, reaction{state: "Mine"})}, "Mine": {st(all, tr.see("mine"))}}, want: "mine:u,v,w"},
		{name: "what a failing mailet sent is dropped",
			procs: map[string][]step{"root": {st(all, sendThenFail)}, "error": errorProc}, want: "error:u,v,w"},
		{name: "matcher error goes to error, mailet not run",
			procs: map[string][]step{"root": {st(matcherFunc(failingMatch), tr.see("a"))}, "error": errorProc}, want: "error:u,v,w"},
		{name: "matcher error as no match",
			procs: map[string][]step{"root": {st(matcherFunc(failingMatch), tr.see("a")).on(reaction{action: noMatch}, reaction{}), st(all, tr.see("b"))}}, want: "b:u,v,w"},
		{name: "matcher error as match",
			procs: map[string][]step{"root": {st(matcherFunc(failingMatch), tr.see("a")).on(reaction{action: matchAll}, reaction{})}}, want: "a:u,v,w"},
		{name: "matcher error propagated",
			procs: map[string][]step{"root": {st(matcherFunc(failingMatch), tr.see("a")).on(reaction{action: propagate}, reaction{})}}, err: errBoom},
		{name: "inverted",
			procs: map[string][]step{"root": {st(inverted{rcpts("u")}, tr.see("a"))}}, want: "a:v,w"},
		{name: "inverted nothing is everybody",
			procs: map[string][]step{"root": {st(inverted{rcpts()}, tr.see("a"))}}, want: "a:u,v,w"},
		{name: "inverted everybody is nobody",
			procs: map[string][]step{"root": {st(inverted{all}, tr.see("a"))}}},
		{name: "no recipients left is a ghost",
			procs: map[string][]step{"root": {st(all, mailetFunc(func(m *container.Mail, _ *container.Outbox) error { m.Recipients = nil; return nil })), st(all, tr.see("b"))}}},
		{name: "a cycle ends in error",
			procs: map[string][]step{"root": {st(all, quietTo("two"))}, "two": {st(all, quietTo("root"))}, "error": errorProc}, want: "error:u,v,w"},
		{name: "a cycle through error ends the run",
			procs: map[string][]step{"root": {st(all, quietTo("error"))}, "error": {st(all, quietTo("root"))}}, err: ErrLoop},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr.lines = nil
			if tc.procs["error"] == nil {
				tc.procs["error"] = []step{st(all, tr.see("unexpected error"))}
			}
			var out container.Outbox
			err := newEngine(tc.procs).Run(t.Context(), mail("u", "v", "w"), &out)
			if !errors.Is(err, tc.err) {
				t.Fatalf("Run: got error %v, want %v", err, tc.err)
			}
			if got := strings.Join(tr.lines, " "); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if out.Len() != 0 {
				t.Errorf("outbox has %d entries, want none", out.Len())
			}
		})
	}
}

func quietTo(state string) mailetFunc {
	return func(m *container.Mail, _ *container.Outbox) error {
		m.State = state
		return nil
	}
}

func TestFailureLeavesItsTrace(t *testing.T) {
	var seen *container.Mail
	e := newEngine(map[string][]step{
		"root": {st(all, mailetFunc(func(*container.Mail, *container.Outbox) error { return errBoom }))},
		"error": {st(all, mailetFunc(func(m *container.Mail, _ *container.Outbox) error {
			seen = m.Clone()
			return nil
		}))},
	})
	if err := e.Run(t.Context(), mail("u"), &container.Outbox{}); err != nil {
		t.Fatal(err)
	}
	if want := "Exception calling L: boom"; seen.ErrorMessage != want {
		t.Errorf("error message %q, want %q", seen.ErrorMessage, want)
	}
	if err, _ := seen.Attributes[container.AttrMailetError].(error); !errors.Is(err, errBoom) {
		t.Errorf("attribute %s is %v, want the error", container.AttrMailetError, err)
	}
}

func TestSplitKeepsFragmentsApart(t *testing.T) {
	var frags []*container.Mail
	e := newEngine(map[string][]step{
		"root": {
			st(rcpts("v"), mailetFunc(func(m *container.Mail, _ *container.Outbox) error {
				m.Set("a", "copy")
				m.Message.SetHeader([]byte("X: 1\r\n"))
				return nil
			})),
			st(all, mailetFunc(func(m *container.Mail, _ *container.Outbox) error {
				frags = append(frags, m)
				return nil
			})),
		},
		"error": nil,
	})
	m := mail("u", "v")
	m.Set("a", "original")
	name := m.Name
	if err := e.Run(t.Context(), m, &container.Outbox{}); err != nil {
		t.Fatal(err)
	}
	if len(frags) != 2 {
		t.Fatalf("%d fragments, want 2", len(frags))
	}
	hit, rest := frags[0], frags[1]
	if rest.Name != name || hit.Name == name || hit.ID != rest.ID {
		t.Errorf("names %q and %q, IDs %q and %q", hit.Name, rest.Name, hit.ID, rest.ID)
	}
	if v, _ := rest.Attributes.String("a"); v != "original" {
		t.Errorf("attribute of the rest is %q", v)
	}
	if len(rest.Message.Header()) != 0 {
		t.Errorf("header of the rest is %q", rest.Message.Header())
	}
	if !slices.Equal(container.AddressStrings(hit.Recipients), []string{"v@x.test"}) {
		t.Errorf("copy goes to %v", hit.Recipients)
	}
}

// A mailet that gave some recipients to the outbox, or took all away, and then
// fails, must not lose them: the outbox is cut back.
func TestFailingMailetLosesNobody(t *testing.T) {
	tr := &trace{}
	empties := mailetFunc(func(m *container.Mail, _ *container.Outbox) error {
		m.Recipients = slices.DeleteFunc(m.Recipients, func(container.Address) bool { return true })
		return errBoom
	})
	handsOver := mailetFunc(func(m *container.Mail, out *container.Outbox) error {
		c := m.Clone()
		c.Recipients = c.Recipients[:1]
		out.Send(c)
		m.Recipients = m.Recipients[1:]
		return errBoom
	})
	ends := mailetFunc(func(m *container.Mail, out *container.Outbox) error {
		out.Store("file://var/mail/x", m.Clone())
		m.State = container.StateGhost
		return errBoom
	})
	keepsOne := mailetFunc(func(m *container.Mail, _ *container.Outbox) error {
		m.Recipients = m.Recipients[2:] // the others are done with
		return errBoom
	})
	for _, tc := range []struct {
		name   string
		mailet container.Mailet
		on     reaction
		want   string
	}{
		{"emptied, to error", empties, reaction{state: "error"}, "error:u,v,w"},
		{"emptied, ignored", empties, reaction{action: ignore}, "next:u,v,w"},
		{"handed over, to error", handsOver, reaction{state: "error"}, "error:u,v,w"},
		{"handed over, ignored", handsOver, reaction{action: ignore}, "next:u,v,w"},
		{"ended, ignored", ends, reaction{action: ignore}, "next:u,v,w"},
		{"done for some", keepsOne, reaction{state: "error"}, "error:w"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tr.lines = nil
			e := newEngine(map[string][]step{
				"root":  {st(all, tc.mailet).on(reaction{}, tc.on), st(all, tr.see("next"))},
				"error": {st(all, tr.see("error"))},
			})
			var out container.Outbox
			if err := e.Run(t.Context(), mail("u", "v", "w"), &out); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(tr.lines, " "); got != tc.want || out.Len() != 0 {
				t.Errorf("got %s, want %s; outbox %d", got, tc.want, out.Len())
			}
		})
	}
}

// The error message of a mail goes into bounces: a stack trace is for the log.
func TestPanicIsLoggedNotTold(t *testing.T) {
	var message string
	var log bytes.Buffer
	e := newEngine(map[string][]step{
		"root": {st(all, mailetFunc(func(*container.Mail, *container.Outbox) error { panic("ouch") }))},
		"error": {st(all, mailetFunc(func(m *container.Mail, _ *container.Outbox) error {
			message = m.ErrorMessage
			return nil
		}))},
	})
	e.log = slog.New(slog.NewTextHandler(&log, nil))
	if err := e.Run(t.Context(), mail("u"), &container.Outbox{}); err != nil {
		t.Fatal(err)
	}
	if want := "Exception calling L: panic: ouch"; message != want {
		t.Errorf("error message %q, want %q", message, want)
	}
	if !strings.Contains(log.String(), "engine_test.go") {
		t.Errorf("no stack in the log: %s", log.String())
	}
}

// Every line that a matcher or mailet logs says which mail it is about, once.
func TestLogLinesNameTheMail(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(logctx.Handler(slog.NewTextHandler(&log, nil)))
	e := newEngine(map[string][]step{"root": {{
		matcher: ctxMatcher(func(ctx context.Context, m *container.Mail) { logger.InfoContext(ctx, "matcher") }),
		mailet: ctxMailet(func(ctx context.Context, m *container.Mail) {
			logger.InfoContext(ctx, "mailet")
			logger.InfoContext(ctx, "again", "mail", m.Name)
		}),
		matcherName: "To=u", mailetName: "Null",
	}}, "error": nil})
	m := mail("u", "v")
	m.Name = "original"
	if err := e.Run(t.Context(), m, &container.Outbox{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], `msg=matcher mail=original state=root matcher="To=u"`) ||
		!strings.Contains(lines[1], "msg=mailet mail=original!") || !strings.HasSuffix(lines[1], "state=root mailet=Null") ||
		strings.Count(lines[2], "mail=") != 1 {
		t.Errorf("got %q", lines)
	}
}

type ctxMatcher func(context.Context, *container.Mail)

func (f ctxMatcher) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	f(ctx, m)
	return m.Recipients[:1], nil
}

type ctxMailet func(context.Context, *container.Mail)

func (f ctxMailet) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	f(ctx, m)
	return nil
}
