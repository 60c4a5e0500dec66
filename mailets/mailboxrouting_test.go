package mailets

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/repository"
)

func TestMailboxRoutingParameters(t *testing.T) {
	const hours = "<workDayStart>08:00</workDayStart><workDayEnd>18:00</workDayEnd>"
	for _, tc := range []struct{ class, params, want string }{
		{"DeconnectionRight", hours, "error: <zoneId> is required"},
		{"DeconnectionRight", "<zoneId>Mars/Olympus</zoneId>" + hours, "error: <zoneId>: "},
		{"DeconnectionRight", "<zoneId>Local</zoneId>" + hours, "error: <zoneId>: "},
		{"DeconnectionRight", "<zoneId>UTC</zoneId><workDayStart>08:00</workDayStart>", "error: <workDayEnd> is required"},
		{"DeconnectionRight", "<zoneId>UTC</zoneId><workDayStart>8 am</workDayStart><workDayEnd>18:00</workDayEnd>", "error: <workDayStart>: "},
		{"DeconnectionRight", "<zoneId>UTC</zoneId><workDayStart>08:00</workDayStart><workDayEnd>25:00</workDayEnd>", "error: <workDayEnd>: "},
		{"DeconnectionRight", "<zoneId>UTC</zoneId><workDayStart>08:00</workDayStart><workDayEnd>08:00</workDayEnd>", "error: <workDayEnd>: the end"},
		{"ToSenderDomainRepository", "", "error: <urlPrefix> is required"},
		{"ToSenderDomainRepository", "<urlPrefix>var/mail</urlPrefix>", "error: <urlPrefix>: "},
		{"ToSenderDomainRepository", "<urlPrefix>var/mail</urlPrefix><allowRepositoryCreation>false</allowRepositoryCreation>", "error: <urlPrefix>: "},
		{"ToSenderDomainRepository", "<urlPrefix>file://a</urlPrefix><allowRepositoryCreation>x</allowRepositoryCreation>", "warning: <allowRepositoryCreation> is"},
		{"ToSenderFolder", "<folder>..</folder>", "error: <folder>: "},
		{"ToSenderFolder", "<maildir>/srv/mail</maildir>", "error: <maildir>: "},
		{"ToSenderFolder", "<consume>x</consume>", "warning: <consume> is"},
		{"SubAddressing", "<maildir>%x</maildir>", "error: <maildir>: "},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestDeconnectionRight(t *testing.T) {
	for _, tc := range []struct{ zone, now, wait string }{
		{"Europe/Paris", "2026-08-21T07:59:59Z", "0s"},   // Friday 09:59:59
		{"Europe/Paris", "2026-08-21T05:59:59.5Z", "1s"}, // 07:59:59.5
		{"Europe/Paris", "2026-08-21T06:00:00Z", "0s"},   // 08:00
		{"Europe/Paris", "2026-08-21T16:00:00Z", "0s"},   // 18:00
		{"Europe/Paris", "2026-08-21T16:00:00.001Z", "62h0m0s"},
		{"Europe/Paris", "2026-08-22T10:00:00Z", "44h0m0s"}, // Saturday noon
		{"Europe/Paris", "2026-08-23T10:00:00Z", "20h0m0s"}, // Sunday noon
		{"Europe/Paris", "2026-08-24T17:00:00Z", "13h0m0s"}, // Monday 19:00
		{"Europe/Paris", "2026-03-27T18:00:00Z", "60h0m0s"}, // Friday 19:00; the clock goes forward on Sunday
		{"Europe/Paris", "2026-10-23T17:00:00Z", "62h0m0s"}, // Friday 19:00; the clock goes back
		{"+02:00", "2026-08-24T05:00:00Z", "1h0m0s"},
		{"UTC+2", "2026-08-24T05:00:00Z", "1h0m0s"},
		{"GMT-0330", "2026-08-24T11:00:00Z", "30m0s"},
		{"Z", "2026-08-24T07:00:00Z", "1h0m0s"},
		{"UTC", "2026-08-24T07:00:00Z", "1h0m0s"},
	} {
		d := mustLoad(t, testRegistry(t), "DeconnectionRight", "<zoneId>"+tc.zone+"</zoneId><workDayStart>08:00</workDayStart><workDayEnd>18:00:00</workDayEnd>").(*DeconnectionRight)
		now, err := time.Parse(time.RFC3339Nano, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		d.now = func() time.Time { return now }
		m := testMail("bob@example.com")
		m.State = "transport"
		out := serve(t, d, m)
		if tc.wait == "0s" {
			if out.Len() != 0 || m.State != "transport" {
				t.Errorf("%s %s: held back", tc.zone, tc.now)
			}
			continue
		}
		if out.Len() != 1 || m.State != container.StateGhost {
			t.Errorf("%s %s: not held back, state %s", tc.zone, tc.now, m.State)
			continue
		}
		e := out.Entries()[0]
		if e.Delay.String() != tc.wait || e.Queue != container.SpoolQueue || e.Mail.State != container.StateRoot || e.Mail.Name != m.Name {
			t.Errorf("%s %s: got %s, want %s", tc.zone, tc.now, e.Delay, tc.wait)
		}
	}
}

// knownRepositories is a store that only knows which repositories there are.
type knownRepositories struct {
	repository.Queues
	urls map[string]bool
	err  error
}

func (k knownRepositories) Keys(_ context.Context, u repository.URL, _ repository.MailFilter, _, _ int) ([]string, error) {
	if k.err == nil && !k.urls[u.String()] {
		return nil, repository.ErrNotFound
	}
	return nil, k.err
}

func TestToSenderDomainRepository(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, tc := range []struct {
		params, sender string
		storeErr       error
		want, state    string // want "" for nothing, "error"
	}{
		{"", "a@b.test", nil, "cassandra://var/s/b.test", "ghost"},
		{"", "", nil, "cassandra://var/s", "ghost"},
		{"<passThrough>true</passThrough>", "a@[IPv6:::1]", nil, "cassandra://var/s/::1", "root"},
		{"<allowRepositoryCreation>false</allowRepositoryCreation>", "a@known.test", nil, "cassandra://var/s/known.test", "ghost"},
		{"<allowRepositoryCreation>false</allowRepositoryCreation>", "a@b.test", nil, "error", "root"},
		{"<allowRepositoryCreation>false</allowRepositoryCreation>", "a@b.test", broken, "error", "root"},
		{"<allowRepositoryCreation>false</allowRepositoryCreation><passThrough>true</passThrough>", "a@b.test", nil, "", "root"},
	} {
		s := testServices(t)
		s.Queues = knownRepositories{urls: map[string]bool{"cassandra://var/s/known.test": true}, err: tc.storeErr}
		r := container.NewRegistry()
		Register(r, s)
		ma := mustLoad(t, r, "ToSenderDomainRepository", "<urlPrefix>cassandra://var/s/</urlPrefix>"+tc.params)
		m, out := testMail("bob@example.com"), &container.Outbox{}
		if m.Sender = (container.Address{}); tc.sender != "" {
			m.Sender = container.MustAddress(tc.sender)
		}
		err := ma.Service(t.Context(), m, out)
		got := ""
		if out.Len() == 1 {
			got = out.Entries()[0].Repository
		}
		if err != nil {
			got = "error"
		}
		if got != tc.want || m.State != tc.state || tc.storeErr != nil && !errors.Is(err, tc.storeErr) {
			t.Errorf("%s %s: got %q, %v, state %s", tc.params, tc.sender, got, err, m.State)
		}
	}
	m := testMail("bob@example.com")
	ma := mustLoad(t, testRegistry(t), "ToSenderDomainRepository", "<urlPrefix>file://a</urlPrefix><allowRepositoryCreation>false</allowRepositoryCreation>")
	if err := ma.Service(t.Context(), m, &container.Outbox{}); err == nil {
		t.Error("a store that cannot tell: no error")
	}
}

func TestToSenderFolder(t *testing.T) {
	for _, tc := range []struct{ sender, params, dir, state string }{
		{"Bob@example.com", "", "example.com/bob/.Sent", "root"},
		{"bob@example.com", "<folder>A/B</folder><consume>true</consume>", "example.com/bob/.A.B", "ghost"},
		{"mallory@example.com", "<consume>true</consume>", "", "root"},
		{"x@example.org", "", "", "root"},
		{"", "<consume>true</consume>", "", "root"},
	} {
		s := testServices(t)
		r := container.NewRegistry()
		Register(r, s)
		ma := mustLoad(t, r, "ToSenderFolder", tc.params)
		m := testMail("alice@example.com")
		m.Set("DeliveryPaths_bob@example.com", []container.Value{"Other"})
		if m.Sender = (container.Address{}); tc.sender != "" {
			m.Sender = container.MustAddress(tc.sender)
		}
		for range 2 { // the second time nothing is added
			if out := serve(t, ma, m); out.Len() != 0 || m.State != tc.state || len(m.Recipients) != 1 || len(m.Attributes) != 1 {
				t.Errorf("%s: %d sent, %+v", tc.sender, out.Len(), m)
			}
		}
		var files []string
		_ = filepath.WalkDir(s.MailDir, func(path string, d os.DirEntry, _ error) error {
			if d.Type().IsRegular() && d.Name() != "maildirfolder" {
				files = append(files, path)
			}
			return nil
		})
		if tc.dir == "" && len(files) > 0 || tc.dir != "" && (len(files) != 1 || !strings.HasPrefix(files[0], filepath.Join(s.MailDir, tc.dir, "new"))) {
			t.Errorf("%s %s: stored %v", tc.sender, tc.params, files)
		}
	}
	s := testServices(t)
	again := container.NewRegistry()
	Register(again, s)
	ma := mustLoad(t, again, "ToSenderFolder", "")
	m := testMail("alice@example.com")
	m.Sender = container.MustAddress("bob@example.com")
	serve(t, ma, m)
	sent := filepath.Join(s.MailDir, "example.com/bob/.Sent")
	files, err := filepath.Glob(filepath.Join(sent, "new", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Rename(files[0], filepath.Join(sent, "cur", filepath.Base(files[0])+":2,S")); err != nil { // it was read
		t.Fatal(err)
	}
	m.Set(container.AttrErrorCount, int32(1)) // and the mail runs again
	serve(t, ma, m)
	if files, _ = filepath.Glob(filepath.Join(sent, "new", "*")); len(files) != 0 {
		t.Errorf("stored twice: %v", files)
	}
	s = testServices(t)
	d, storage := localtest.Directory(t, []string{"example.com"}, "bob@example.com")
	s.Local = d
	r := container.NewRegistry()
	Register(r, s)
	broken := errors.New("disk on fire")
	storage.FailWith(broken)
	m = testMail("alice@example.com")
	m.Sender = container.MustAddress("bob@example.com")
	if err := mustLoad(t, r, "ToSenderFolder", "<consume>true</consume>").Service(t.Context(), m, &container.Outbox{}); !errors.Is(err, broken) || m.State != "root" {
		t.Errorf("got %v, state %s", err, m.State)
	}
}

func TestSubAddressing(t *testing.T) {
	s := testServices(t)
	s.Local, _ = localtest.Directory(t, []string{"example.com"}, "bob@example.com", "alice@example.com", "alice+x@example.com")
	for _, dir := range []string{"example.com/bob/.Lists.Go", "example.com/bob/.lists", "example.com/alice/.Lists"} {
		if err := os.MkdirAll(filepath.Join(s.MailDir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := container.NewRegistry()
	Register(r, s)
	ma := mustLoad(t, r, "SubAddressing", "")
	list := func(names ...string) []container.Value {
		var out []container.Value
		for _, n := range names {
			out = append(out, n)
		}
		return out
	}
	const bob = "DeliveryPaths_bob@example.com"
	for _, tc := range []struct {
		in, want string
		paths    container.Attributes
	}{
		{"bob+lists@example.com", "bob@example.com", container.Attributes{bob: list("lists")}},
		{"Bob+LISTS@example.com", "Bob@example.com", container.Attributes{bob: list("lists")}},
		{"bob+lists.go@example.com", "bob@example.com", container.Attributes{bob: list("Lists/Go")}},
		{"bob+Lists%2FGo@example.com", "bob@example.com", container.Attributes{bob: list("Lists/Go")}},
		{"bob+nothing@example.com", "bob@example.com", container.Attributes{}},
		{"bob+inbox@example.com", "bob@example.com", container.Attributes{}},
		{"bob+@example.com", "bob@example.com", container.Attributes{}},
		{"bob+%2e%2e@example.com", "bob@example.com", container.Attributes{}},
		{"bob+%00@example.com", "bob@example.com", container.Attributes{}},
		{"bob+%zz@example.com", "bob@example.com", container.Attributes{}},
		{"bob@example.com bob+lists@example.com", "bob@example.com", container.Attributes{bob: list("INBOX", "lists")}},
		{"bob+lists@example.com bob+nothing@example.com", "bob@example.com", container.Attributes{bob: list("lists", "INBOX")}},
		{"bob+lists@example.com bob+lists.go@example.com", "bob@example.com", container.Attributes{bob: list("lists", "Lists/Go")}},
		{"alice+lists@example.com bob@example.com", "alice@example.com bob@example.com", container.Attributes{"DeliveryPaths_alice@example.com": list("Lists")}},
		{"alice+x@example.com", "alice+x@example.com", nil},
		{"carl+lists@example.com", "carl+lists@example.com", nil},
		{"bob+lists@example.org", "bob+lists@example.org", nil},
		{`"bob+lists"@example.com`, `"bob+lists"@example.com`, nil},
		{"bob@example.com", "bob@example.com", nil},
	} {
		m := testMail(strings.Fields(tc.in)...)
		serve(t, ma, m)
		got := m.Attributes.Clone()
		delete(got, container.AttrDSNOrcpt)
		if rcpts := strings.Join(container.AddressStrings(m.Recipients), " "); rcpts != tc.want || !reflect.DeepEqual(got, tc.paths) {
			t.Errorf("%s: got %s, %v; want %s, %v", tc.in, rcpts, got, tc.want, tc.paths)
		}
	}
	earlier := testMail("bob@example.com", "bob+lists@example.com")
	earlier.Set(bob, list("Spam"))
	serve(t, ma, earlier)
	if got := earlier.Attributes.Strings(bob); !slices.Equal(got, []string{"Spam", "lists"}) {
		t.Errorf("after another directive: %v", got)
	}
	m := testMail("bob+lists@example.com")
	m.Set(container.AttrDSNNotify, map[string]container.Value{"bob+lists@example.com": "NEVER"})
	m.AddRecipientHeader(m.Recipients[0], "X-A", "1")
	serve(t, ma, m)
	notify, _ := m.Attributes.RecipientString(container.AttrDSNNotify, m.Recipients[0])
	orcpt, _ := m.Attributes.RecipientString(container.AttrDSNOrcpt, m.Recipients[0])
	if notify != "NEVER" || orcpt != "bob+2Blists@example.com" || len(m.RecipientHeaders["bob@example.com"]) != 1 || len(m.RecipientHeaders) != 1 {
		t.Errorf("got %v, %v", m.Attributes, m.RecipientHeaders)
	}
}
