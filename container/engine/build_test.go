package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// testRegistry has a few classes: the mailets Go (refers to <to>), Strict and
// Inert, the matchers All, To=local and the composite Or.
func testRegistry(tr *trace) *container.Registry {
	r := container.NewRegistry()
	r.Mailet("Go", func(p *conf.Params) container.Mailet {
		return &goTo{tr: tr, name: p.String("name", "go"), to: p.String("to", "")}
	})
	r.Mailet("Inert", func(*conf.Params) container.Mailet { return inert{} })
	r.Mailet(container.MailetPackage+"RemoveMimeHeader", func(p *conf.Params) container.Mailet {
		p.List("name")
		return &goTo{tr: tr, name: "remove"}
	})
	r.Matcher(container.MatcherPackage+"All", func(string) (container.Matcher, error) { return all, nil })
	r.Matcher("To", func(c string) (container.Matcher, error) {
		if c == "" {
			return nil, fmt.Errorf("want a local part")
		}
		return rcpts(c), nil
	})
	r.Mailet("Panics", func(*conf.Params) container.Mailet { panic("ouch") })
	r.Matcher("Panics", func(string) (container.Matcher, error) { panic("ouch") })
	r.Mailet("Works", func(p *conf.Params) container.Mailet { return &worker{name: p.String("name", "")} })
	r.Matcher("Or", func(string) (container.Matcher, error) { return &or{}, nil })
	return r
}

type ctx = context.Context

type goTo struct {
	tr       *trace
	name, to string
}

func (g *goTo) ReferredStates() []string { return []string{g.to} }

func (g *goTo) Service(_ ctx, m *container.Mail, out *container.Outbox) error {
	if g.to != "" {
		return g.tr.to(g.name, g.to)(m, out)
	}
	return g.tr.see(g.name)(m, out)
}

type inert struct{ mailetFunc }

func (inert) InertReason() string { return "for a reason" }

type or struct{ children []container.Matcher }

func (o *or) Add(c container.Matcher) { o.children = append(o.children, c) }

func (o *or) Match(ctx ctx, m *container.Mail) ([]container.Address, error) {
	var out []container.Address
	for _, c := range o.children {
		found, err := c.Match(ctx, m)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

func build(t *testing.T, tr *trace, xml string) (*Pipeline, []string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mailetcontainer.xml"), []byte(xml), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &conf.Report{}
	c := conf.Open(dir, conf.Options{}, r).MailetContainer()
	p := Build(c, testRegistry(tr), slog.New(slog.NewTextHandler(io.Discard, nil)), r)
	var lines []string
	for _, problem := range r.Problems() {
		lines = append(lines, problem.String())
	}
	return p, lines
}

const frame1 = "<mailetcontainer><processors>\n<processor state=\"error\"/>\n%s\n</processors></mailetcontainer>"

func TestBuildProblems(t *testing.T) {
	for _, tc := range []struct{ name, xml, want string }{
		{"nothing wrong", `<processor state="root"><mailet match="All" class="Go"/></processor>`, ""},
		{"no root", `<processor state="other"/>`, "mailetcontainer.xml:1:1: error: You need to configure a Processor with name root"},
		{"unknown mailet", `<processor state="root"><mailet class="Goo"/></processor>`, `3:25: error: Can not load mailet Goo: no mailet class Goo (did you mean "Go"?)`},
		{"unknown matcher", `<processor state="root"><mailet match="Tu=x" class="Go"/></processor>`, `3:25: error: Can not load matcher Tu=x: no matcher class Tu (did you mean "To"?)`},
		{"bad condition", `<processor state="root"><mailet match="To" class="Go"/></processor>`, "3:25: error: Can not load matcher To: To=: want a local part"},
		{"unknown parameter", `<processor state="root"><mailet class="Go"><nam>x</nam></mailet></processor>`, `warning: <nam> is not a parameter of Go; ignored (did you mean "name"?)`},
		{"undefined processor", `<processor state="root"><mailet class="Go"><to>rot</to></mailet></processor>`,
			`3:25: error: Your configurations specifies the following undefined processors: [rot] (named by Go) (did you mean "root"?)`},
		{"undefined in onMailetException", `<processor state="root"><mailet class="Go"><onMailetException>nowhere</onMailetException></mailet></processor>`,
			"undefined processors: [nowhere] (named by <onMailetException>)"},
		{"special words in any case", `<processor state="root"><mailet class="Go"><onMailetException>Ignore</onMailetException><onMatchException>noMatch</onMatchException></mailet></processor>`, ""},
		{"mailet that panics", `<processor state="root"><mailet class="Panics"/></processor>`, "3:25: error: Can not load mailet Panics: panic: ouch"},
		{"matcher that panics", `<processor state="root"><mailet match="Panics=1" class="Go"/></processor>`, "3:25: error: Can not load matcher Panics=1: panic: ouch"},
		{"inert", `<processor state="root"><mailet class="Inert"/></processor>`, "warning: Inert has no effect here: for a reason"},
		{"same matcher name twice", `<processor state="root"><matcher name="x" match="All"/><matcher name="x" match="All"/></processor>`,
			"error: CompositeMatcher with name x is already defined in processor root"},
		{"children of a matcher that takes none", `<processor state="root"><matcher name="x" match="All"><matcher match="All"/></matcher></processor>`,
			"warning: the matchers within All are ignored"},
		{"transport without bcc", `<processor state="root"/><processor state="transport"/>`, "warning: Missing org.apache.james.transport.mailets.RemoveMimeHeader"},
		{"transport with bcc", `<processor state="root"/><processor state="transport"><mailet match="All" class="RemoveMimeHeader"><name>x, Bcc</name></mailet></processor>`, ""},
		{"processor twice", `<processor state="root"/><processor state="root"/>`, "warning: processor \"root\" is also defined at mailetcontainer.xml:3:1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, lines := build(t, &trace{}, fmt.Sprintf(frame1, tc.xml))
			got := strings.Join(lines, "\n")
			if (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestNamedAndCompositeMatchers(t *testing.T) {
	tr := &trace{}
	p, lines := build(t, tr, fmt.Sprintf(frame1, `<processor state="root">
  <mailet match="two" class="Go"><name>a</name><to>next</to></mailet>
  <mailet notmatch="To=w" class="Go"><name>never</name></mailet>
  <mailet match="All" class="Go"><name>rest</name></mailet>
  <matcher name="one" match="To=u"/>
  <matcher name="two" match="Or"><matcher match="one"/><matcher match="Or"><matcher match="To=v"/></matcher></matcher>
</processor>
<processor state="next"><mailet class="Go"><name>b</name></mailet></processor>`))
	if len(lines) > 0 {
		t.Fatal(lines)
	}
	if err := p.Engine.Run(t.Context(), mail("u", "v", "w"), &container.Outbox{}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(tr.lines, " "), "a:u,v b:u,v rest:w"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// worker is a mailet with work of its own.
type worker struct {
	mailetFunc
	name string
}

func (*worker) Run(context.Context) error { return nil }

// When a processor is defined twice the last one counts: nothing of the first
// runs, or two workers would empty one queue.
func TestReplacedProcessorDoesNotRun(t *testing.T) {
	p, _ := build(t, &trace{}, fmt.Sprintf(frame1, `<processor state="root"><mailet class="Works"><name>a</name></mailet><mailet class="Go"><to>nowhere</to></mailet></processor>
<processor state="other"><mailet class="Works"><name>b</name></mailet></processor>
<processor state="root"><mailet class="Works"><name>c</name></mailet></processor>`))
	var names []string
	for _, r := range p.Runners {
		names = append(names, r.(*worker).name)
	}
	if got := strings.Join(names, " "); got != "b c" {
		t.Errorf("runners %s, want b c", got)
	}
}
