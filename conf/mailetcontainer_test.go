package conf

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// container reads the inner XML of a <mailetcontainer>, on line 2.
func readContainer(t *testing.T, xml string) (*MailetContainer, *Report) {
	t.Helper()
	d, r := one(t, "mailetcontainer.xml", "<mailetcontainer enableJmx=\"true\">\n"+xml+"\n</mailetcontainer>")
	return d.MailetContainer(), r
}

// problemsOf returns the lines of r, without the name of the only file.
func problemsOf(r *Report, file string) []string {
	var lines []string
	for _, p := range r.Problems() {
		lines = append(lines, strings.TrimPrefix(p.String(), file+":"))
	}
	return lines
}

func TestMailetContainerContext(t *testing.T) {
	const procs = "<processors/>"
	for _, tc := range []struct {
		name, xml, postmaster, repository string
		threads                           int
		problems                          []string
	}{
		{name: "defaults", xml: procs, postmaster: "postmaster", threads: 100},
		{name: "given", xml: "<context><postmaster>Boss@Here.TEST</postmaster></context><spooler><threads>7</threads><errorRepository>file://var/x/</errorRepository></spooler>" + procs,
			postmaster: "boss@here.test", threads: 7, repository: "file://var/x/"},
		{name: "threads zero", xml: "<spooler><threads>0</threads></spooler>" + procs, postmaster: "postmaster",
			problems: []string{"2:10: warning: <threads> is 0: mails are accepted but never processed"}},
		{name: "threads negative", xml: "<spooler><threads>-1</threads></spooler>" + procs, postmaster: "postmaster", threads: 100,
			problems: []string{"2:10: error: <threads> is -1; want at least 0"}},
		{name: "threads no number", xml: "<spooler><threads>many</threads></spooler>" + procs, postmaster: "postmaster", threads: 100,
			problems: []string{`2:10: error: <threads> is "many", not a whole number`}},
		{name: "unknown", xml: "<spooler><thread>2</thread></spooler><context><hello/></context><spool/><mailetpackages/>" + procs, postmaster: "postmaster", threads: 100, problems: []string{
			`2:10: warning: <thread> is not an element of <spooler>; ignored (did you mean "threads"?)`,
			"2:47: warning: <hello> is not an element of <context>; ignored",
			`2:65: warning: <spool> is not an element of <mailetcontainer>; ignored (did you mean "spooler"?)`,
			"2:73: warning: <mailetpackages> is read by no current James; write full class names, or map them in classes.properties"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, r := readContainer(t, tc.xml)
			if c.Postmaster != tc.postmaster || c.Threads != tc.threads || c.ErrorRepository != tc.repository {
				t.Errorf("got %q, %d, %q", c.Postmaster, c.Threads, c.ErrorRepository)
			}
			if got := problemsOf(r, "mailetcontainer.xml"); !reflect.DeepEqual(got, tc.problems) {
				t.Errorf("got problems\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.problems, "\n"))
			}
		})
	}
}

func TestProcessorProblems(t *testing.T) {
	for _, tc := range []struct {
		name, xml string
		problems  []string
	}{
		{"no state", "<processor/>", []string{`2:13: error: Processor state attribute must be configured: <processor state="...">`}},
		{"name instead of state", `<processor name="root"/>`, []string{
			`2:13: error: Processor state attribute must be configured: <processor state="...">`, `2:13: warning: name= is read by nothing; write state="root"`}},
		{"ghost", `<processor state="ghost"/>`, []string{"2:13: error: Processor state of ghost is reserved for internal use, choose a different one"}},
		{"stray mailet", `<mailet class="Null"/>`, []string{"2:13: warning: <mailet> outside of any <processor> is ignored"}},
		{"unknown element", `<processor state="root"><mailit class="Null"/></processor>`, []string{
			`2:37: warning: <mailit> is not an element of <processor>; ignored (did you mean "mailet"?)`}},
		{"match and notmatch", `<processor state="root"><mailet match="A" notmatch="B" class="Null"/></processor>`, []string{
			`2:37: error: Please configure only match or nomatch per mailet: <mailet> has match="A" and notmatch="B"`}},
		{"no class", `<processor state="root"><mailet match="All"/></processor>`, []string{"2:37: error: <mailet> needs class=: the name of a mailet"}},
		{"matcher attribute", `<processor state="root"><mailet matcher="All" class="Null"/></processor>`, []string{
			`2:37: warning: matcher= is read by nothing, so that this mailet runs for every recipient; write match="All"`}},
		{"exception attributes", `<processor state="root"><mailet onMailetException="ignore" onMatchException="nomatch" class="Null"/></processor>`, []string{
			"2:37: warning: onMailetException= is read by nothing; write it as an element: <onMailetException>ignore</onMailetException>",
			"2:37: warning: onMatchException= is read by nothing; write it as an element: <onMatchException>nomatch</onMatchException>"}},
		{"unknown attribute", `<processor state="root" enablejmx="false"><mailet clas="Null" class="Null"/></processor>`, []string{
			`2:13: warning: enablejmx= is not an attribute of <processor>; ignored (did you mean "enableJmx"?)`,
			`2:55: warning: clas= is not an attribute of <mailet>; ignored (did you mean "class"?)`}},
		{"empty match", `<processor state="root"><mailet match="" class="Null"/><mailet match="=5" class="Null"/></processor>`, []string{
			"2:37: error: Unable to load matcher instance: match= and notmatch= need the name of a matcher",
			"2:68: error: Unable to load matcher instance: match= and notmatch= need the name of a matcher"}},
		{"matchers", `<processor state="root"><matcher name="a"/><matcher match="All"/><matcher name="b" match="X" notmatch="Y"/><matcher name="c" class="All" match="Not"><mailet/><matcher/></matcher></processor>`, []string{
			"2:37: error: Unable to load matcher instance: <matcher> needs match= or notmatch=",
			"2:56: warning: <matcher> without name= cannot be used by any mailet",
			`2:78: error: Please configure only match or nomatch per matcher: <matcher> has match="X" and notmatch="Y"`,
			`2:120: warning: class= is read by nothing; write match="All"`,
			"2:162: warning: <mailet> is not an element of <matcher>; ignored",
			"2:171: error: Unable to load matcher instance: <matcher> needs match= or notmatch="}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, r := readContainer(t, "<processors>"+tc.xml+"</processors>")
			if got := problemsOf(r, "mailetcontainer.xml"); !reflect.DeepEqual(got, tc.problems) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.problems, "\n"))
			}
		})
	}
}

func TestProcessorDeclarations(t *testing.T) {
	c, r := readContainer(t, `<processors enableJmx="false"><processor state="root">
<mailet match="relay-allowed" class="Null"><onMatchException>matchall</onMatchException><onMailetException>propagate</onMailetException></mailet>
<matcher name="relay-allowed" notmatch="Or"><matcher match="A=b=c"/><matcher name="inner" match="B="/></matcher>
<mailet class="ToProcessor"><processor>x</processor></mailet>
</processor></processors>`)
	if got := problemLines(r); got != "" {
		t.Fatalf("got problems\n%s", got)
	}
	p := c.Processors[0]
	pos := func(line, col int) Pos { return Pos{"mailetcontainer.xml", line, col} }
	want := []MatcherDecl{{Pos: pos(4, 1), Name: "relay-allowed", Text: "Or", Class: "Or", Not: true, Children: []MatcherDecl{
		{Pos: pos(4, 45), Text: "A=b=c", Class: "A", Condition: "b=c", HasCondition: true},
		{Pos: pos(4, 69), Name: "inner", Text: "B=", Class: "B", HasCondition: true}}}}
	if !reflect.DeepEqual(p.Matchers, want) {
		t.Errorf("got  %+v\nwant %+v", p.Matchers, want)
	}
	first, second := p.Mailets[0], p.Mailets[1]
	if first.OnMatchException != "matchall" || first.OnMailetException != "propagate" || first.Match.Text != "relay-allowed" {
		t.Errorf("got %+v", first)
	}
	if second.Match.Class != "All" || second.Match.Text != "All" || second.Pos != pos(5, 1) {
		t.Errorf("got %+v", second)
	}
	if got := second.Params(r).Required("processor"); got != "x" {
		t.Errorf("got parameter %q, want x", got)
	}
}

func TestMailetContainerFallsBack(t *testing.T) {
	c, r := readContainer(t, "<context/>")
	if len(c.Processors) == 0 || c.Processors[0].State != "root" {
		t.Errorf("got %d processors, want the built-in ones", len(c.Processors))
	}
	if got := problemLines(r); got != "mailetcontainer.xml:1:1: warning: there is no <processors>; the built-in ones are used\n" {
		t.Errorf("got %s", got)
	}
	d, r := one(t, "mailetcontainer.xml", "<processor state=\"root\"/>")
	if c := d.MailetContainer(); len(c.Processors) > 0 || !r.HasErrors() {
		t.Errorf("a piece of a configuration: got %d processors and %v", len(c.Processors), r.Problems())
	}
	d, r = one(t, "mailetcontainer.xml", "<mailetcontainer>")
	if c := d.MailetContainer(); c != nil || !r.HasErrors() {
		t.Errorf("a broken file: got %v and %v", c, r.Problems())
	}
}

// loadAll reads every file there is a shape for.
func loadAll(d *Dir) (*MailetContainer, []SMTPServer) {
	c := d.MailetContainer()
	s := SMTPServers(d.XML("smtpserver.xml"), d.Report())
	Webadmin(d.Properties("webadmin.properties"), d.Report())
	d.DomainList()
	d.UsersRepository()
	d.RecipientRewriteTable()
	d.DNSService()
	d.MailRepositoryStore()
	d.JVM()
	d.Classes()
	d.HealthCheck()
	d.DropLists()
	d.Close()
	return c, s
}

// The built-in configuration has nothing to complain about, and every
// processor it names exists.
func TestBuiltIn(t *testing.T) {
	r := &Report{}
	d := Open("", Options{Env: noEnv}, r)
	c, servers := loadAll(d)
	if got := problemLines(r); got != "" {
		t.Errorf("got problems\n%s", got)
	}
	if len(servers) != 1 || !reflect.DeepEqual(servers[0].Bind, []string{"127.0.0.1:2525"}) {
		t.Errorf("got servers %+v", servers)
	}
	w := Webadmin(d.Properties("webadmin.properties"), r)
	if !w.Enabled || w.Host != "127.0.0.1" || w.Port != 8000 || w.GeneratePassword {
		t.Errorf("got webadmin %+v", w)
	}
	states := map[string]bool{}
	for _, p := range c.Processors {
		states[p.State] = true
	}
	for _, p := range c.Processors {
		for _, m := range p.Mailets {
			params := m.Params(r)
			for _, name := range []string{"processor", "bounceProcessor", "errorProcessor", "onSuccess"} {
				if state, ok := params.Lookup(name); ok && !states[state] {
					t.Errorf("%s: no processor %q", m.Pos, state)
				}
			}
		}
		if last := p.Mailets[len(p.Mailets)-1]; last.Match.Text != "All" {
			t.Errorf("processor %s ends with match=%q: mail may be dropped", p.State, last.Match.Text)
		}
	}
}

// Configurations of the shape of James's products load; the golden files say
// what an operator is told.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("testdata/samples/*/mailetcontainer.xml")
	if err != nil || len(files) != 4 {
		t.Fatalf("got %d samples, want 4 (%v)", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r := &Report{}
			d := Open(dir, Options{Env: noEnv}, r)
			c, servers := loadAll(d)
			if r.HasErrors() || c == nil || len(c.Processors) < 6 || len(servers) != 1 {
				t.Errorf("got %d servers, problems\n%s", len(servers), problemLines(r))
			}
			if len(d.Defaulted()) > 0 {
				t.Errorf("built-in files used: %v", d.Defaulted())
			}
			golden(t, filepath.Join("testdata", "samples-"+filepath.Base(dir)+".problems"), problemLines(r)+"ignored: "+strings.Join(d.Ignored(), " ")+"\n")
		})
	}
}
