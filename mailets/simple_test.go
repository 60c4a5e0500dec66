package mailets

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/repository"
)

// testServices are services for tests: local domain example.com with the users
// bob and alice, everything else empty.
func testServices(t testing.TB) Services {
	d, _ := localtest.Directory(t, []string{"example.com"}, "bob@example.com", "alice@example.com")
	return Services{
		Hostname: "mx.example.com", DefaultDomain: "example.com", Postmaster: container.MustAddress("bob@example.com"),
		MailDir: t.TempDir(), Local: d, DNS: struct{ dns.Resolver }{}, Queues: struct{ repository.Queues }{},
		ReadFile: testFile,
	}
}

func testRegistry(t testing.TB) *container.Registry {
	r := container.NewRegistry()
	Register(r, testServices(t))
	return r
}

// load makes the mailet of a snippet and returns the problems of its parameters.
func load(t testing.TB, r *container.Registry, class, params string) (container.Mailet, []string) {
	t.Helper()
	var rep conf.Report
	p := conf.ParseParams(fmt.Sprintf(`<mailet match="All" class="%s">%s</mailet>`, class, params), &rep)
	m, err := r.NewMailet(class, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	var problems []string
	for _, pr := range rep.Problems() {
		problems = append(problems, pr.String())
	}
	return m, problems
}

func mustLoad(t testing.TB, r *container.Registry, class, params string) container.Mailet {
	t.Helper()
	m, problems := load(t, r, class, params)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return m
}

const testHeader = "Received: from a\r\n by b\r\nBcc: x@example.com\r\nSubject: hello\r\nX-Foo: 1\r\nx-foo: 2\r\n"

func testMail(rcpts ...string) *container.Mail {
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r))
	}
	return container.NewMail(container.MustAddress("sender@example.org"), list,
		container.NewMessage([]byte(testHeader), container.BytesBody("Hi there.\r\n")))
}

func serve(t testing.TB, ma container.Mailet, m *container.Mail) *container.Outbox {
	t.Helper()
	out := &container.Outbox{}
	if err := ma.Service(t.Context(), m, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBadParameters(t *testing.T) {
	for _, tc := range []struct{ class, params, want string }{
		{"Null", "<x>1</x>", "warning: <x> is not a parameter of Null"},
		{"ToProcessor", "", "error: <processor> is required"},
		{"ToProcessor", "<processor/>", "error: <processor> is required"},
		{"ToProcessor", "<processor>p</processor><debug>maybe</debug>", "warning: <debug> is"},
		{"ToRepository", "", "error: <repositoryPath> is required"},
		{"ToRepository", "<repositoryPath>var/mail</repositoryPath>", "error: <repositoryPath>: "},
		{"ToRepository", "<repositoryPath>file://a</repositoryPath><notice>n</notice>", "warning: <notice> is not a parameter of ToRepository"},
		{"ToRepository", "<repositoryPath>file://a</repositoryPath><passThrough>1</passThrough>", "warning: <passThrough> is"},
		{"RemoveMailAttribute", "", "error: <name> is required"},
		{"RemoveMailAttribute", "<name>,</name>", "error: <name>: the list is empty"},
		{"RemoveMimeHeader", "", "error: <name> is required"},
		{"RemoveMimeHeader", "<name> , </name>", "error: <name>: the list is empty"},
		{"SetMimeHeader", "<value>v</value>", "error: <name> is required"},
		{"SetMimeHeader", "<name>n</name><value> </value>", "error: <value> is required"},
		{"SetMimeHeader", "<name>a b</name><value>v</value>", "cannot be the name of a header field"},
		{"SetMimeHeader", "<name>a:</name><value>v</value>", "cannot be the name of a header field"},
		{"MetricsMailet", "", "error: <metricName> is required"},
		{"MetricsMailet", "<metricName/>", "warning: <metricName> is empty"},
		{"LogMessage", "<maxBody>many</maxBody>", "warning: <maxBody> is"},
		{"LogMessage", "<maxBody>-1</maxBody>", "warning: <maxBody> is"},
		{"LogMessage", "<headers>x</headers>", "warning: <headers> is"},
		{"LogMessage", "<body>x</body>", "warning: <body> is"},
		{"LogMessage", "<passThrough>x</passThrough>", "warning: <passThrough> is"},
		{"LocalDelivery", "<retries>few</retries>", "error: <retries> is"},
		{"LocalDelivery", "<consume>x</consume>", "warning: <consume> is"},
		{"LocalDelivery", "<maildir>/srv/mail</maildir>", "error: <maildir>: "},
		{"LocalDelivery", "<maildir>/srv/%u/../x</maildir>", "error: <maildir>: "},
		{"LocalDelivery", "<maildir>/srv/%x/%u</maildir>", "error: <maildir>: "},
		{"LocalDelivery", "<maildir>/srv/%u/Maildir</maildir>", "warning: <maildir> has no %d"},
		{"ToRecipientFolder", "<folder>a//b</folder>", "error: <folder>: "},
		{"ToRecipientFolder", "<folder>..</folder>", "error: <folder>: "},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
	for _, class := range []string{"JMAPFiltering", "org.apache.james.jmap.mailet.filter.JMAPFiltering"} {
		ma, problems := load(t, testRegistry(t), class, "<whatever>1</whatever><replyMode>x</replyMode>")
		if i, ok := ma.(container.Inert); !ok || i.InertReason() == "" || len(problems) > 0 {
			t.Errorf("%s: got %v; want it inert, with a reason", class, problems)
		}
		m := testMail("bob@example.com")
		want := m.Clone()
		if out := serve(t, ma, m); out.Len() > 0 || !reflect.DeepEqual(m, want) {
			t.Errorf("%s changed the mail", class)
		}
	}
}

func TestNoPostmaster(t *testing.T) {
	s := testServices(t)
	s.Postmaster = container.Address{}
	r := container.NewRegistry()
	Register(r, s)
	if _, problems := load(t, r, "PostmasterAlias", ""); len(problems) != 1 || !strings.Contains(problems[0], "no postmaster") {
		t.Errorf("got %v", problems)
	}
}

func TestRoutes(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct{ class, params, before, state, message string }{
		{"Null", "", "", "ghost", ""},
		{"ToProcessor", "<processor>next</processor>", "old", "next", "old"},
		{"ToProcessor", "<processor>next</processor><notice>550 no</notice>", "", "next", "550 no"},
		{"ToProcessor", "<processor>next</processor><notice>550 no</notice><debug>true</debug>", "old", "next", "old\r\n550 no"},
		{"LogMessage", "", "", "root", ""},
		{"LogMessage", "<passThrough>false</passThrough>", "", "ghost", ""},
		{"AddDeliveredToHeader", "", "", "root", ""},
	} {
		m := testMail("bob@example.com")
		m.ErrorMessage = tc.before
		serve(t, mustLoad(t, r, tc.class, tc.params), m)
		if m.State != tc.state || m.ErrorMessage != tc.message {
			t.Errorf("%s %s: got state %q, message %q", tc.class, tc.params, m.State, m.ErrorMessage)
		}
	}
	ref := mustLoad(t, r, "ToProcessor", "<processor>next</processor>").(container.StateReferrer)
	if got := ref.ReferredStates(); !reflect.DeepEqual(got, []string{"next"}) {
		t.Errorf("referred states are %v", got)
	}
}

func TestToRepository(t *testing.T) {
	var used []string
	s := testServices(t)
	s.UseRepository = func(url string) error {
		used = append(used, url)
		if url == "file://no" {
			return errors.New("no such thing")
		}
		return nil
	}
	r := container.NewRegistry()
	Register(r, s)
	for _, pass := range []string{"true", "false"} {
		m := testMail("bob@example.com")
		m.Set("k", "v")
		out := serve(t, mustLoad(t, r, "ToRepository", "<repositoryPath>cassandra://var/mail/error/</repositoryPath><passThrough>"+pass+"</passThrough>"), m)
		if out.Len() != 1 || out.Entries()[0].Repository != "cassandra://var/mail/error/" {
			t.Fatalf("outbox has %+v", out.Entries())
		}
		stored := out.Entries()[0].Mail
		if want := map[string]string{"true": "root", "false": "ghost"}[pass]; m.State != want {
			t.Errorf("passThrough %s: state is %s", pass, m.State)
		}
		m.Set("k", "changed")
		if v, _ := stored.Attributes.String("k"); stored.Name != m.Name || stored.State != "root" || v != "v" {
			t.Errorf("stored mail is %+v", stored)
		}
	}
	if len(used) != 2 {
		t.Errorf("used %v", used)
	}
	if _, problems := load(t, r, "ToRepository", "<repositoryPath>file://no</repositoryPath>"); len(problems) != 1 || !strings.Contains(problems[0], "no such thing") {
		t.Errorf("got %v", problems)
	}
}

func TestAttributes(t *testing.T) {
	r := testRegistry(t)
	m := testMail("bob@example.com")
	m.Set("a.b", int32(1))
	serve(t, mustLoad(t, r, "SetMailAttribute", "<a.b>x</a.b><c>1</c><c>2</c><e/><onMailetException>ignore</onMailetException><onMatchException>error</onMatchException>"), m)
	if want := (container.Attributes{"a.b": "x", "c": "1,2", "e": ""}); !reflect.DeepEqual(m.Attributes, want) {
		t.Errorf("got %v, want %v", m.Attributes, want)
	}
	serve(t, mustLoad(t, r, "RemoveMailAttribute", "<name>a.b , nothing</name><name>e</name>"), m)
	if want := (container.Attributes{"c": "1,2"}); !reflect.DeepEqual(m.Attributes, want) {
		t.Errorf("got %v, want %v", m.Attributes, want)
	}
	none := testMail()
	serve(t, mustLoad(t, r, "SetMailAttribute", ""), none)
	serve(t, mustLoad(t, r, "RemoveMailAttribute", "<name>x</name>"), none)
	if none.Attributes != nil {
		t.Errorf("got %v, want none", none.Attributes)
	}
}

func TestHeaders(t *testing.T) {
	r := testRegistry(t)
	rest := "Received: from a\r\n by b\r\nSubject: hello\r\n"
	for _, tc := range []struct{ class, params, want string }{
		{"SetMimeHeader", "<name>Subject</name><value>two</value>", "Subject: two\r\n" + testHeader},
		{"SetMimeHeader", "<name>X-A</name><value>grüße</value>", "X-A: =?utf-8?"},
		{"SetMimeHeader", "<name>X-A</name><value>a\nBcc: evil@example.com</value>", "X-A: a Bcc: evil@example.com\r\n" + testHeader},
		{"RemoveMimeHeader", "<name>bcc, x-foo</name>", rest},
		{"RemoveMimeHeader", "<name>bcc</name><name>X-FOO</name>", rest},
		{"RemoveMimeHeader", "<name>nothing</name>", testHeader},
	} {
		m := testMail("bob@example.com")
		before := m.Clone()
		serve(t, mustLoad(t, r, tc.class, tc.params), m)
		if got := string(m.Message.Header()); !strings.HasPrefix(got, tc.want) {
			t.Errorf("%s %s:\ngot  %q\nwant %q", tc.class, tc.params, got, tc.want)
		}
		if string(before.Message.Header()) != testHeader {
			t.Errorf("%s %s changed the header of another mail", tc.class, tc.params)
		}
	}
}

func TestRecipientHeaders(t *testing.T) {
	r := testRegistry(t)
	m := testMail("Bob@example.com", "alice@example.com")
	serve(t, mustLoad(t, r, "AddDeliveredToHeader", ""), m)
	m.AddRecipientHeader(m.Recipients[0], "X-Spam", "no")
	m.AddRecipientHeader(m.Recipients[0], "X-spam", "maybe")
	serve(t, mustLoad(t, r, "RemoveMimeHeader", "<name>x-spam</name>"), m)
	want := map[string][]container.HeaderField{
		"bob@example.com":   {{Name: "Delivered-To", Value: "Bob@example.com"}},
		"alice@example.com": {{Name: "Delivered-To", Value: "alice@example.com"}},
	}
	if !reflect.DeepEqual(m.RecipientHeaders, want) {
		t.Errorf("got %v, want %v", m.RecipientHeaders, want)
	}
}

// counter returns the value of a counter, -1 when there is none.
func counter(t testing.TB, set *metrics.Set, name string) float64 {
	t.Helper()
	families, err := set.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

func TestMetricsMailet(t *testing.T) {
	s := testServices(t)
	s.Metrics = metrics.New()
	r := container.NewRegistry()
	Register(r, s)
	for range 2 { // a configuration loaded again goes on counting
		serve(t, mustLoad(t, r, "MetricsMailet", "<metricName>relay denied!</metricName>"), testMail("bob@example.com", "alice@example.com"))
	}
	if got := counter(t, s.Metrics, "mailetd_mailet_relay_denied__total"); got != 2 {
		t.Errorf("counted %v, want 2", got)
	}
}

func TestPostmasterAlias(t *testing.T) {
	for _, tc := range []struct {
		name, user string
		in, want   string
	}{
		{name: "alias", in: "POSTMASTER@example.com alice@example.com", want: "alice@example.com bob@example.com"},
		{name: "already there", in: "bob@example.com postmaster@example.com", want: "bob@example.com"},
		{name: "two domains", in: "postmaster@example.com postmaster@example.net", want: "bob@example.com"},
		{name: "remote", in: "postmaster@example.org", want: "postmaster@example.org"},
		{name: "own account", user: "postmaster@example.com", in: "postmaster@example.com", want: "postmaster@example.com"},
		{name: "nothing to do", in: "alice@example.com Alice@example.com", want: "alice@example.com Alice@example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := testServices(t)
			s.Local, _ = localtest.Directory(t, []string{"example.com", "example.net"}, "bob@example.com", "alice@example.com", tc.user)
			r := container.NewRegistry()
			Register(r, s)
			m := testMail(strings.Fields(tc.in)...)
			serve(t, mustLoad(t, r, "PostmasterAlias", ""), m)
			if got := strings.Join(container.AddressStrings(m.Recipients), " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestPostmasterAliasMovesRequests(t *testing.T) {
	m := testMail("Postmaster@example.com")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"postmaster@example.com": "NEVER"})
	m.Set(container.AttrDSNOrcpt, map[string]container.Value{"Postmaster@example.com": "old@x", "bob@example.com": "bob@y"})
	m.AddRecipientHeader(m.Recipients[0], "X-A", "1")
	serve(t, mustLoad(t, testRegistry(t), "PostmasterAlias", ""), m)
	want := container.Attributes{
		container.AttrDSNNotify: map[string]container.Value{"bob@example.com": "NEVER"},
		container.AttrDSNOrcpt:  map[string]container.Value{"bob@example.com": "bob@y"},
	}
	if !reflect.DeepEqual(m.Attributes, want) {
		t.Errorf("got %v, want %v", m.Attributes, want)
	}
	if len(m.RecipientHeaders) != 1 || m.RecipientHeaders["bob@example.com"][0].Value != "1" {
		t.Errorf("recipient headers are %v", m.RecipientHeaders)
	}
}

func TestPostmasterAliasStoreBroken(t *testing.T) {
	s := testServices(t)
	d, storage := localtest.Directory(t, []string{"example.com"})
	s.Local = d
	r := container.NewRegistry()
	Register(r, s)
	broken := errors.New("disk on fire")
	storage.FailWith(broken)
	m := testMail("postmaster@example.com")
	err := mustLoad(t, r, "PostmasterAlias", "").Service(t.Context(), m, &container.Outbox{})
	if !errors.Is(err, broken) || m.Recipients[0].Local != "postmaster" {
		t.Errorf("got %v, recipients %v", err, m.Recipients)
	}
}

func TestLogMessage(t *testing.T) {
	for _, tc := range []struct {
		params   string
		has, not []string
	}{
		{"<comment>why</comment>", []string{`"comment":"why"`, `"header":"Received: from a`, `"body":"Hi there.`}, nil},
		{"<headers>false</headers>", []string{"Hi there."}, []string{"Received", "comment"}},
		{"<body>false</body>", []string{"Received"}, []string{"Hi there."}},
		{"<maxBody>2</maxBody>", []string{`"body":"Hi"`}, nil},
	} {
		var buf bytes.Buffer
		s := testServices(t)
		s.Log = slog.New(slog.NewJSONHandler(&buf, nil))
		r := container.NewRegistry()
		Register(r, s)
		serve(t, mustLoad(t, r, "LogMessage", tc.params), testMail("bob@example.com"))
		for _, h := range tc.has {
			if !strings.Contains(buf.String(), h) {
				t.Errorf("%s: %s is not in %s", tc.params, h, buf.String())
			}
		}
		for _, n := range tc.not {
			if strings.Contains(buf.String(), n) {
				t.Errorf("%s: %s is in %s", tc.params, n, buf.String())
			}
		}
	}
}

func TestLogMessageIsBounded(t *testing.T) {
	var buf bytes.Buffer
	s := testServices(t)
	s.Log = slog.New(slog.NewJSONHandler(&buf, nil))
	r := container.NewRegistry()
	Register(r, s)
	m := testMail("bob@example.com")
	m.Message = container.NewMessage([]byte("X: "+strings.Repeat("h", 1<<20)+"\r\n"), container.BytesBody(strings.Repeat("b", 1<<20)))
	serve(t, mustLoad(t, r, "LogMessage", ""), m)
	if buf.Len() > 2*maxLogged+1000 {
		t.Errorf("logged %d octets", buf.Len())
	}
}
