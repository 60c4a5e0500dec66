package webadmin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// TestPublishedManual replays testdata/manual.txt against a server over the real
// store. At the end every operation of openapi.json has been called, and has
// answered what it is there for.
func TestPublishedManual(t *testing.T) {
	text, err := os.ReadFile("testdata/manual.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := newReplay(t)
	setting, requests, _ := strings.Cut(string(text), "\n# ---- ")
	for line := range strings.Lines(setting) {
		if f := strings.Fields(line); len(f) > 1 && f[0] != "#" {
			m.prepare(f)
		}
	}
	for _, paragraph := range strings.Split(requests, "\n\n") {
		if lines := strings.Split(strings.TrimSpace(paragraph), "\n"); strings.HasPrefix(lines[0], "curl ") {
			m.request(lines[0], lines[1:])
		}
	}
	doc, err := described()
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if !m.called[operation(method, path)] {
				t.Errorf("nothing in testdata/manual.txt succeeds with %s %s", method, path)
			}
		}
	}
}

// replay is a server over the real store, and what its answers were.
type replay struct {
	*bench
	store  *sqlite.Store
	texts  map[string]string // by the name they have in the script
	called map[string]bool
}

func newReplay(t *testing.T) *replay {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	dir := newDirectory(store)
	s, err := New(Config{Host: "127.0.0.1", CORSOrigin: "*", Metrics: true}, fullDeps(store, dir))
	if err != nil {
		t.Fatal(err)
	}
	m := &replay{bench: &bench{Server: s, t: t, dir: dir}, store: store, texts: map[string]string{}, called: map[string]bool{}}
	if err := s.Restore(); err != nil {
		t.Fatal(err)
	}
	m.start()
	return m
}

func newDirectory(store *sqlite.Store) *local.Directory {
	return local.New(local.Config{DefaultDomain: "localhost", VirtualHosting: true, RecursiveMapping: true}, store)
}

// fullDeps are those of a server that offers everything over a store.
func fullDeps(store *sqlite.Store, dir *local.Directory) Deps {
	set := metrics.New()
	set.Counter("outgoingMails_total", "As the published manual has it.")
	return Deps{
		Queues: store, Store: store, Repositories: store, Tasks: store, Directory: dir,
		DropLists: local.NewDropLists(store), DLP: local.NewDLP(store, nil), Quotas: local.NewQuotas(store, dir, &limits{}),
		Sieve: store, Vacations: store, ForgetUser: store.ForgetUser, ErrorRepository: repo(errorRepo), Metrics: set,
		Certificates: &fakeCertificates{n: 1}, Connections: someConnections(), Hostname: "mx1", Log: slog.New(slog.DiscardHandler),
		Health: []HealthCheck{{LifecycleHealth, func(context.Context) (HealthStatus, string) { return Healthy, "" }}},
	}
}

// prepare does what one line in front of the requests says.
func (m *replay) prepare(f []string) {
	m.t.Helper()
	ctx := m.t.Context()
	var err error
	switch f[0] {
	case "domain":
		err = m.dir.AddDomain(ctx, f[1])
	case "user":
		err = m.dir.AddUser(ctx, f[1], f[2])
	case "queue":
		err = m.store.CreateQueue(ctx, f[1])
	case "repo":
		err = m.store.CreateRepository(ctx, repo(f[1]))
	case "mail":
		err = m.commit(container.Entry{Mail: parkedMail(f[2:]), Repository: repo(f[1]).String()})
	case "delayed":
		err = m.commit(container.Entry{Mail: parkedMail(f[2:]), Queue: f[1], Destination: "x", Delay: time.Hour})
	case "queued":
		err = m.commit(container.Entry{Mail: parkedMail(f[2:]), Queue: f[1], Destination: "x"})
	default:
		err = fmt.Errorf("nobody knows %s", f[0])
	}
	if err != nil {
		m.t.Fatalf("%v: %v", f, err)
	}
}

func (m *replay) commit(e container.Entry) error {
	return m.store.Commit(m.t.Context(), repository.Change{Entries: []container.Entry{e}})
}

// parkedMail returns a mail from its name, sender and recipients.
func parkedMail(f []string) *container.Mail {
	var rcpts []container.Address
	for _, r := range f[2:] {
		rcpts = append(rcpts, container.MustAddress(r))
	}
	m := container.NewMail(container.MustAddress(f[1]), rcpts, container.ParseMessage([]byte("Subject: "+f[0]+"\r\n\r\nbody\r\n")))
	m.Name, m.State, m.LastUpdated = f[0], container.StateError, time.Now()
	m.ErrorMessage = "A small message explaining what happened to that mail..."
	m.RemoteHost, m.RemoteAddr = "host.domain.com", "127.0.0.1"
	m.Set("name1", "value1")
	return m
}

// request sends what a command line says and compares the answer.
func (m *replay) request(line string, want []string) {
	m.t.Helper()
	method, target, body, header := readCurl(m.t, m.fill(line))
	w := m.do(method, target, body, header...)
	status, text, _ := strings.Cut(want[0], " ")
	if fmt.Sprint(w.Code) != status || !m.matches(w.Body.String(), text) {
		m.t.Errorf("%s\ngot  %d %s\nwant %s", line, w.Code, w.Body, want[0])
	}
	for _, field := range want[1:] {
		name, value, _ := strings.Cut(field, ": ")
		if got := w.Header().Get(name); !m.matches(got, value) {
			m.t.Errorf("%s\n%s: got %q, want %q", line, name, got, value)
		}
	}
	r := httptest.NewRequest(method, target, nil)
	if in := m.routes.lookup(m.t, r); in != nil && m.succeeds(in.Route.Operation.OperationID, w.Code) {
		m.called[operation(in.Route.Method, in.Route.Path)] = true
	}
}

// succeeds reports whether a status is what an operation is there for. Of some
// James knows nothing but that they cannot be.
func (m *replay) succeeds(id string, status int) bool {
	if slices.Contains([]string{"putForward", "deleteForward", "putGroup", "deleteGroup"}, id) {
		return status == http.StatusBadRequest
	}
	return status < 300 || strings.Contains(id, "AuthorizedUser") && status == http.StatusMethodNotAllowed
}

var captured = regexp.MustCompile(`<[a-zA-Z]{2,}>`)

// fill puts in what was captured.
func (m *replay) fill(s string) string {
	return captured.ReplaceAllStringFunc(s, func(name string) string {
		if v, ok := m.texts[name]; ok {
			return v
		}
		return name
	})
}

// matches compares an answer with a pattern, and captures what it has no text for
// so far.
func (m *replay) matches(got, pattern string) bool {
	var names []string
	expr := captured.ReplaceAllStringFunc(strings.ReplaceAll(regexp.QuoteMeta(m.fill(pattern)), `\.\.\.`, ".*"), func(name string) string {
		names = append(names, name)
		return `([^"]+)`
	})
	found := regexp.MustCompile("(?s)^" + expr + "$").FindStringSubmatch(got)
	for i, name := range names {
		if found != nil {
			m.texts[name] = found[i+1]
		}
	}
	return found != nil
}

// readCurl reads a command line of curl as far as the manual uses it.
func readCurl(t *testing.T, line string) (method, target, body string, header []string) {
	t.Helper()
	method = http.MethodGet
	words := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(line, -1)[1:]
	for i := 0; i < len(words); i++ {
		next := func() string {
			i++
			return strings.Trim(words[i], "'")
		}
		switch w := words[i]; {
		case w == "-I":
			method = http.MethodHead
		case strings.HasPrefix(w, "-X"):
			method = w[2:]
		case w == "-d", w == "--data-binary":
			body = strings.ReplaceAll(next(), `\r\n`, "\r\n")
		case w == "-H":
			name, value, _ := strings.Cut(next(), ": ")
			header = append(header, name, value)
		default:
			target = strings.TrimPrefix(strings.Trim(w, "'"), "http://ip:8000")
		}
	}
	return method, target, body, header
}
