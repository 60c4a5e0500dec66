package webadmin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/repository"
)

// now is the time in all tests.
var now = time.Date(2026, 8, 22, 6, 44, 35, 123e6, time.UTC)

func clock() time.Time { return now }

const (
	temporary = "cassandra://var/mail/error/remote-delivery/temporary"
	errorRepo = "file://var/mail/error"
)

// bench is a server with stores in memory. Its tasks run when a test says so,
// by runTasks, or all the time after start.
type bench struct {
	*Server
	t     *testing.T
	store *memory
	dir   *local.Directory
	log   *bytes.Buffer
}

func newBench(t *testing.T, cfg Config, change func(*Deps)) *bench {
	t.Helper()
	b := &bench{t: t, store: newMemory(clock), log: &bytes.Buffer{}}
	b.dir, _ = localtest.Directory(t, []string{"b.com", "old.tld", "example.org"}, "bob@b.com", "alice@b.com")
	if cfg.CORSOrigin == "" {
		cfg.CORSOrigin = "*"
	}
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	d := Deps{
		Queues: b.store, Store: b.store, Repositories: b.store, Directory: b.dir,
		Hostname: "mx1", Now: clock, Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	if change != nil {
		change(&d)
	}
	var err error
	if b.Server, err = New(cfg, d); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs the tasks until the test ends.
func (b *bench) start() {
	ctx, stop := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.tasks.Run(ctx) }()
	b.t.Cleanup(func() {
		stop()
		<-ended
	})
}

func repo(s string) repository.URL {
	u, err := repository.ParseURL(s)
	if err != nil {
		panic(err)
	}
	return u
}

// put stores a mail in a repository.
func (b *bench) put(where, name string, change func(*container.Mail)) *container.Mail {
	m := container.NewMail(container.MustAddress("sender@domain.com"), []container.Address{container.MustAddress("r1@domain.com")},
		container.ParseMessage([]byte("Subject: test\r\n\r\nbody\r\n")))
	m.Name, m.State, m.LastUpdated = name, "error", now
	if change != nil {
		change(m)
	}
	b.store.store(repo(where), m)
	return m
}

// do sends a request and returns the answer; both have to be as openapi.json says. Header fields are pairs behind the
// body.
func (b *bench) do(method, target, body string, header ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	req.Host = "127.0.0.1:8000"
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, req)
	b.routes.validate(b.t, req, body, w)
	return w
}

// want sends a request and compares status and body.
func (b *bench) want(method, target, body string, status int, answer string) {
	b.t.Helper()
	w := b.do(method, target, body)
	if w.Code != status || w.Body.String() != answer {
		b.t.Errorf("%s %s\ngot  %d %s\nwant %d %s", method, target, w.Code, w.Body, status, answer)
	}
}

// wantError sends a request and compares the structured error. Details are
// compared when they are not "*".
func (b *bench) wantError(method, target, body string, status int, typ, message, details string) {
	b.t.Helper()
	w := b.do(method, target, body)
	var e struct {
		StatusCode    int
		Type, Message string
		Details       *string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		b.t.Errorf("%s %s: %d %q is no JSON: %v", method, target, w.Code, w.Body, err)
		return
	}
	got := ""
	if e.Details != nil {
		got = *e.Details
	}
	if details == "*" {
		got = "*"
	}
	if w.Code != status || e.StatusCode != status || e.Type != typ || e.Message != message || got != details {
		b.t.Errorf("%s %s\ngot  %d %s %q %q\nwant %d %s %q %q", method, target, w.Code, e.Type, e.Message, got, status, typ, message, details)
	}
	if !strings.Contains(w.Body.String(), `"details":`) {
		b.t.Errorf("%s %s: the key details is missing in %s", method, target, w.Body)
	}
}

// task sends a request that makes a task and returns the task when it is over.
func (b *bench) task(method, target, body string) map[string]any {
	b.t.Helper()
	w := b.do(method, target, body)
	var id struct{ TaskID string }
	if err := json.Unmarshal(w.Body.Bytes(), &id); err != nil || w.Code != http.StatusCreated || w.Header().Get("Location") != "/tasks/"+id.TaskID {
		b.t.Fatalf("%s %s: got %d %s %v", method, target, w.Code, w.Body, w.Header())
	}
	return b.await(id.TaskID)
}

func (b *bench) await(id string) map[string]any {
	b.t.Helper()
	w := b.do("GET", "/tasks/"+id+"/await", "")
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		b.t.Fatalf("await: got %d %s", w.Code, w.Body)
	}
	return got
}

// names returns the names of the mails in a queue.
func (b *bench) names(queue string) []string {
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	out := []string{}
	for _, q := range b.store.queues[queue] {
		out = append(out, q.mail.Name)
	}
	return out
}

var errDisk = errors.New("disk full")
