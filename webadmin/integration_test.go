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
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/webadmin"
)

// TestOverSQLite runs the published calls over the real store.
func TestOverSQLite(t *testing.T) {
	mails := 500
	if n, err := strconv.Atoi(os.Getenv("WEBADMIN_TEST_MAILS")); err == nil {
		mails = n // to measure the rate by hand
	}
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(context.Background())
	ctx := t.Context()
	if err := store.CreateQueue(ctx, "spool"); err != nil {
		t.Fatal(err)
	}
	u, _ := repository.ParseURL("cassandra://var/mail/error/remote-delivery/temporary/")
	if err := store.CreateRepository(ctx, u); err != nil {
		t.Fatal(err)
	}
	results := make(chan error, mails)
	for i := range mails {
		m := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
			container.ParseMessage([]byte("Subject: x\r\n\r\nbody\r\n")))
		m.Name = fmt.Sprintf("mail-%06d", i)
		store.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: m, Repository: u.String()}}}, func(err error) { results <- err })
	}
	for range mails {
		if err := <-results; err != nil {
			t.Fatal(err)
		}
	}

	s, err := webadmin.New(webadmin.Config{Host: "127.0.0.1", Port: 0, CORSOrigin: "*"}, webadmin.Deps{Queues: store, Store: store, Repositories: store, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	runCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(runCtx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	do := func(method, target, body string) (int, string) {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		r.Host = "127.0.0.1"
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	await := func(answer string) map[string]any {
		t.Helper()
		var id struct{ TaskID string }
		if err := json.Unmarshal([]byte(answer), &id); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		_, answer = do("GET", "/tasks/"+id.TaskID+"/await", "")
		var got map[string]any
		if err := json.Unmarshal([]byte(answer), &got); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
		return got
	}

	const calls = "/mailRepositories/cassandra%3A%2F%2Fvar%2Fmail%2Ferror%2Fremote-delivery%2Ftemporary%2F/mails"
	var keys []string
	if _, body := do("GET", calls, ""); json.Unmarshal([]byte(body), &keys) != nil || len(keys) != mails || keys[1] != "mail-000001" {
		t.Fatalf("listing: got %d keys, want %d", len(keys), mails)
	}
	_, body := do("PATCH", calls+"?action=reprocess&processor=relay&limit=10", "")
	if got := await(body); got["status"] != "completed" {
		t.Fatalf("ten mails: got %v", got)
	}
	_, body = do("PATCH", calls+"?action=reprocess&processor=relay", "")
	got := await(body)
	if got["status"] != "completed" || got["additionalInformation"].(map[string]any)["remainingCount"] != 0.0 {
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
		if _, body := do("GET", target, ""); body != want {
			t.Errorf("%s\ngot  %s\nwant %s", target, body, want)
		}
	}
	if status, body := do("POST", "/mail-transfer-service", "From: a@b.test\nTo: c@d.test\n\nhello"); status != 201 {
		t.Errorf("sending: got %d %s", status, body)
	}
	_, body = do("DELETE", "/mailQueues/spool/mails", "")
	if got := await(body); got["status"] != "completed" {
		t.Errorf("clearing: got %v", got)
	}
	if _, body := do("GET", "/mailQueues/spool", ""); body != `{"name":"spool","size":0}` {
		t.Errorf("after clearing: got %s", body)
	}
}
