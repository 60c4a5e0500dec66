package webadmin_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/webadmin"
)

// world is a server over the real store.
type world struct {
	t     testing.TB
	store *sqlite.Store
	web   *webadmin.Server
}

// newWorld returns a running server whose store has a queue.
func newWorld(t testing.TB) *world {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.CreateQueue(t.Context(), "spool"); err != nil {
		t.Fatal(err)
	}
	s, err := webadmin.New(webadmin.Config{Host: "127.0.0.1", CORSOrigin: "*"}, webadmin.Deps{
		Queues: store, Store: store, Repositories: store, Log: log,
		Directory: local.New(local.Config{DefaultDomain: "localhost", VirtualHosting: true, RecursiveMapping: true}, store),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := store.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &world{t, store, s}
}

// fill puts n mails into the repository u.
func (w *world) fill(u repository.URL, n int) {
	w.t.Helper()
	if err := w.store.CreateRepository(w.t.Context(), u); err != nil {
		w.t.Fatal(err)
	}
	results := make(chan error, n)
	for i := range n {
		m := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
			container.ParseMessage([]byte("Subject: x\r\n\r\nbody\r\n")))
		m.Name = fmt.Sprintf("mail-%06d", i)
		w.store.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: m, Repository: u.String()}}}, func(err error) { results <- err })
	}
	for range n {
		if err := <-results; err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) do(method, target, body string) (int, string) {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1"
	rec := httptest.NewRecorder()
	w.web.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

// task sends a request that makes a task and returns the task when it is over.
func (w *world) task(method, target string) map[string]any {
	w.t.Helper()
	_, answer := w.do(method, target, "")
	var id struct{ TaskID string }
	if err := json.Unmarshal([]byte(answer), &id); err != nil {
		w.t.Fatalf("%s: %v", answer, err)
	}
	_, answer = w.do("GET", "/tasks/"+id.TaskID+"/await", "")
	var got map[string]any
	if err := json.Unmarshal([]byte(answer), &got); err != nil || got["status"] != "completed" {
		w.t.Fatalf("%s %s: got %s, %v", method, target, answer, err)
	}
	return got
}

// TestOverSQLite runs the published calls over the real store.
func TestOverSQLite(t *testing.T) {
	mails := 500
	if n, err := strconv.Atoi(os.Getenv("WEBADMIN_TEST_MAILS")); err == nil {
		mails = n // to measure the rate by hand
	}
	w := newWorld(t)
	u, _ := repository.ParseURL("cassandra://var/mail/error/remote-delivery/temporary/")
	w.fill(u, mails)

	const calls = "/mailRepositories/cassandra%3A%2F%2Fvar%2Fmail%2Ferror%2Fremote-delivery%2Ftemporary%2F/mails"
	var keys []string
	if _, body := w.do("GET", calls, ""); json.Unmarshal([]byte(body), &keys) != nil || len(keys) != mails || keys[1] != "mail-000001" {
		t.Fatalf("listing: got %d keys, want %d", len(keys), mails)
	}
	w.task("PATCH", calls+"?action=reprocess&processor=relay&limit=10")
	got := w.task("PATCH", calls+"?action=reprocess&processor=relay")
	if got["additionalInformation"].(map[string]any)["remainingCount"] != 0.0 {
		t.Fatalf("all mails: got %v", got)
	}
	for target, want := range map[string]string{
		strings.TrimSuffix(calls, "/mails"): `{"repository":"var/mail/error/remote-delivery/temporary","path":"var%2Fmail%2Ferror%2Fremote-delivery%2Ftemporary","size":0}`,
		calls:                               "[]",
		"/mailQueues/spool":                 fmt.Sprintf(`{"name":"spool","size":%d}`, mails),
		"/mailQueues":                       `["spool"]`,
		calls + "/mail-000000":              `{"statusCode":404,"type":"notFound","message":"Could not retrieve mail-000000","details":null}`,
		"/mailQueues/x":                     `{"statusCode":404,"type":"notFound","message":"MailQueueName{value=x} can not be found","details":null}`,
		"/mailQueues/spool/mails?limit=1":   `[{"name":"mail-000000","sender":"a@b.test","recipients":["c@d.test"],"nextDelivery":null}]`,
	} {
		if _, body := w.do("GET", target, ""); body != want {
			t.Errorf("%s\ngot  %s\nwant %s", target, body, want)
		}
	}
	if status, body := w.do("POST", "/mail-transfer-service", "From: a@b.test\nTo: c@d.test\n\nhello"); status != 201 {
		t.Errorf("sending: got %d %s", status, body)
	}
	w.task("DELETE", "/mailQueues/spool/mails")
	if _, body := w.do("GET", "/mailQueues/spool", ""); body != `{"name":"spool","size":0}` {
		t.Errorf("after clearing: got %s", body)
	}
}
