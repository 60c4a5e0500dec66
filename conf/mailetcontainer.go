package conf

import (
	"slices"
	"strings"

	"github.com/beevik/etree"
)

// MailetContainer is mailetcontainer.xml, checked for form. Class names,
// conditions and names of processors are not looked up.
type MailetContainer struct {
	Pos             Pos
	Postmaster      string // lower case, perhaps without domain
	PostmasterPos   Pos
	Threads         int    // mails processed at the same time; 0: mails are only accepted
	ErrorRepository string // URL, "" means var/mail/error of the default protocol
	ErrorPos        Pos
	CheckBcc        bool        // james.mailet.container.check.enabled: transport should remove Bcc
	Processors      []Processor // in the order of the file
}

// Processor is one <processor>. State is empty when the configuration has none,
// which is in the report.
type Processor struct {
	State    string
	Pos      Pos
	Matchers []MatcherDecl // the named ones, wherever they stand
	Mailets  []MailetDecl
}

// MatcherDecl is one <matcher>, or what match= of a mailet says.
type MatcherDecl struct {
	Pos  Pos
	Name string // under which mailets of the processor find it, may be empty
	// Text is all of match= or notmatch=. As a whole it may be the name of a
	// named matcher; only when it is not it is Class=Condition.
	Text         string
	Class        string
	Condition    string
	HasCondition bool // there is a =
	Not          bool // notmatch=
	Children     []MatcherDecl
}

// MailetDecl is one <mailet>.
type MailetDecl struct {
	Pos   Pos
	Class string
	Match MatcherDecl // All when the configuration names none
	// What to do when the matcher or the mailet fails: the name of a processor
	// or a special word; empty when not given.
	OnMatchException, OnMailetException string

	Elem *etree.Element
	File *File
}

// Params returns the init parameters; problems go to r.
func (d MailetDecl) Params(r *Report) *Params { return NewParams(d.File, d.Elem, d.Class, r) }

// defaultThreads is James's number of spooler threads.
const defaultThreads = 100

// MailetContainer reads mailetcontainer.xml. It is nil when the file cannot be
// read, which is in the report. A file without <processors> gets those of the
// built-in one, as James does it.
//
// Source: JamesMailSpooler, AbstractStateCompositeProcessor, MailetProcessorImpl.
func (d *Dir) MailetContainer() *MailetContainer {
	f := d.XML("mailetcontainer.xml")
	if f.Root == nil {
		return nil
	}
	c := readMailetContainer(f, d.report)
	c.CheckBcc = d.JVM().CheckMailetContainer
	if len(c.Processors) == 0 && !hasProcessors(f.Root) {
		d.report.Warnf(c.Pos, "there is no <processors>; the built-in ones are used")
		data, err := builtin.ReadFile(f.Name)
		if err != nil {
			d.report.Errorf(c.Pos, "%v", err)
			return c
		}
		c.Processors = readMailetContainer(ParseXML("built-in "+f.Name, data, d.report), d.report).Processors
	}
	return c
}

// hasProcessors reports whether processors were meant to be in the file, so
// that an unreadable one is not answered with the built-in ones.
func hasProcessors(root *etree.Element) bool {
	return root.Tag == "processors" || root.Tag == "processor" || root.SelectElement("processors") != nil
}

func readMailetContainer(f *File, r *Report) *MailetContainer {
	in := section{f, f.Root, r}
	c := &MailetContainer{Pos: f.Pos(f.Root)}
	if f.Root.Tag == "processors" || f.Root.Tag == "processor" {
		r.Errorf(c.Pos, "<%s> must stand within <mailetcontainer>: this is a piece of a configuration, not a whole one", f.Root.Tag)
	} else {
		in.root("mailetcontainer")
		in.packages()
	}
	ctx, spool := in.section("context"), in.section("spooler")
	ctx.known("postmaster")
	spool.known("threads", "errorRepository")
	c.Postmaster, c.PostmasterPos = strings.ToLower(ctx.str("postmaster", "postmaster")), ctx.pos("postmaster")
	c.Threads = spool.integer("threads", defaultThreads, 0)
	if c.Threads == 0 {
		r.Warnf(spool.pos("threads"), "<threads> is 0: mails are accepted but never processed")
	}
	c.ErrorRepository, c.ErrorPos = spool.str("errorRepository", ""), spool.pos("errorRepository")
	procs := in.section("processors")
	procs.attributes("enableJmx")
	for _, e := range procs.elements() {
		if e.Tag != "processor" {
			r.Warnf(f.Pos(e), "<%s> outside of any <processor> is ignored", e.Tag)
			continue
		}
		c.Processors = append(c.Processors, section{f, e, r}.processor())
	}
	return c
}

// packages warns about what stands in <mailetcontainer>.
func (s section) packages() {
	for _, c := range s.elements() {
		switch c.Tag {
		case "context", "spooler", "processors":
		case "mailetpackages", "matcherpackages":
			s.r.Warnf(s.f.Pos(c), "<%s> is read by no current James; write full class names, or map them in classes.properties", c.Tag)
		default:
			s.r.Warnf(s.f.Pos(c), "<%s> is not an element of <mailetcontainer>; ignored%s", c.Tag, Suggest(c.Tag, []string{"context", "spooler", "processors"}))
		}
	}
}

func (s section) processor() Processor {
	p := Processor{State: s.attr("state"), Pos: s.f.Pos(s.e)}
	s.attributes("state", "enableJmx")
	switch {
	case p.State == "":
		s.r.Errorf(p.Pos, "Processor state attribute must be configured: <processor state=\"...\">")
	case p.State == "ghost":
		s.r.Errorf(p.Pos, "Processor state of ghost is reserved for internal use, choose a different one")
	}
	for _, e := range s.elements() {
		c := section{s.f, e, s.r}
		switch e.Tag {
		case "matcher":
			if m, ok := c.matcher(); ok {
				p.Matchers = append(p.Matchers, m)
				if m.Name == "" {
					s.r.Warnf(m.Pos, "<matcher> without name= cannot be used by any mailet")
				}
			}
		case "mailet":
			if m, ok := c.mailet(); ok {
				p.Mailets = append(p.Mailets, m)
			}
		default:
			s.r.Warnf(s.f.Pos(e), "<%s> is not an element of <processor>; ignored%s", e.Tag, Suggest(e.Tag, []string{"mailet", "matcher"}))
		}
	}
	return p
}

// condition reads match= and notmatch=. Nothing is trimmed, as in James.
func (s section) condition() (m MatcherDecl, given, ok bool) {
	m.Pos = s.f.Pos(s.e)
	match, notmatch := s.e.SelectAttr("match"), s.e.SelectAttr("notmatch")
	switch {
	case match != nil && notmatch != nil:
		s.r.Errorf(m.Pos, "Please configure only match or nomatch per %s: <%[1]s> has match=%q and notmatch=%q", s.e.Tag, match.Value, notmatch.Value)
		return m, true, false
	case match != nil:
		m.Text = match.Value
	case notmatch != nil:
		m.Text, m.Not = notmatch.Value, true
	default:
		return m, false, true
	}
	m.Class, m.Condition, m.HasCondition = strings.Cut(m.Text, "=")
	if m.Class == "" {
		s.r.Errorf(m.Pos, "Unable to load matcher instance: match= and notmatch= need the name of a matcher")
		return m, true, false
	}
	return m, true, true
}

func (s section) matcher() (MatcherDecl, bool) {
	s.attributes("name", "match", "notmatch")
	m, given, ok := s.condition()
	m.Name = s.attr("name")
	if !given {
		s.r.Errorf(m.Pos, "Unable to load matcher instance: <matcher> needs match= or notmatch=")
		return m, false
	}
	for _, e := range s.elements() {
		if e.Tag != "matcher" {
			s.r.Warnf(s.f.Pos(e), "<%s> is not an element of <matcher>; ignored", e.Tag)
			continue
		}
		if child, childOK := (section{s.f, e, s.r}).matcher(); childOK {
			m.Children = append(m.Children, child)
		}
	}
	return m, ok
}

func (s section) mailet() (MailetDecl, bool) {
	s.attributes("class", "match", "notmatch")
	d := MailetDecl{Pos: s.f.Pos(s.e), Class: s.attr("class"), Elem: s.e, File: s.f}
	m, given, ok := s.condition()
	if !given {
		m.Text, m.Class = "All", "All"
	}
	d.Match = m
	d.OnMatchException = s.str("onMatchException", "")
	d.OnMailetException = s.str("onMailetException", "")
	if d.Class == "" {
		s.r.Errorf(d.Pos, "<mailet> needs class=: the name of a mailet")
		return d, false
	}
	return d, ok
}

// attributes warns about attributes that nothing reads. Some look as if they
// did something, in James's own documentation too.
func (s section) attributes(known ...string) {
	if s.e == nil {
		return
	}
	pos, tag := s.f.Pos(s.e), s.e.Tag
	for _, a := range s.e.Attr {
		switch {
		case slices.Contains(known, a.Key):
		case tag == "mailet" && a.Key == "matcher":
			s.r.Warnf(pos, "matcher= is read by nothing, so that this mailet runs for every recipient; write match=%q", a.Value)
		case tag == "mailet" && (a.Key == "onMailetException" || a.Key == "onMatchException"):
			s.r.Warnf(pos, "%s= is read by nothing; write it as an element: <%[1]s>%s</%[1]s>", a.Key, a.Value)
		case tag == "processor" && a.Key == "name":
			s.r.Warnf(pos, "name= is read by nothing; write state=%q", a.Value)
		case tag == "matcher" && a.Key == "class":
			s.r.Warnf(pos, "class= is read by nothing; write match=%q", a.Value)
		default:
			s.r.Warnf(pos, "%s= is not an attribute of <%s>; ignored%s", a.Key, tag, Suggest(a.Key, known))
		}
	}
}
