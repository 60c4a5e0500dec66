package webadmin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

const temporaryMails = "/mailRepositories/var%2Fmail%2Ferror%2Fremote-delivery%2Ftemporary/mails"

// TestPublishedCalls replays the two calls of James's page about the errors of
// remote delivery, as they are published.
func TestPublishedCalls(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	for i := range 3 {
		b.put(temporary, fmt.Sprint("m", i), func(m *container.Mail) { m.State = "remote-delivery-error" })
	}
	const calls = "/mailRepositories/cassandra%3A%2F%2Fvar%2Fmail%2Ferror%2Fremote-delivery%2Ftemporary%2F/mails"
	b.want("GET", calls, "", 200, `["m0","m1","m2"]`)
	got := b.task("PATCH", calls+"?action=reprocess&processor=relay", "")
	wantInfo(t, got, "reprocessing-all", "completed", `{"consume":true,"forRecipient":null,"initialCount":3,"limit":null,"maxRetries":null,"remainingCount":0,"repositoryPath":"var/mail/error/remote-delivery/temporary","targetProcessor":"relay","targetQueue":"spool","timestamp":"2026-08-22T06:44:35.123Z","type":"reprocessing-all"}`)
	b.want("GET", calls, "", 200, "[]")
	for _, q := range b.store.queues["spool"] {
		if n, _ := q.mail.Attributes.Int(container.AttrReprocessing); q.mail.State != "relay" || n != 1 {
			t.Errorf("%s: state %s, %s %d", q.mail.Name, q.mail.State, container.AttrReprocessing, n)
		}
	}
	b.want("GET", "/mailQueues/spool", "", 200, `{"name":"spool","size":3}`)
}

func TestReprocessOneChange(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	b.put(temporary, "m1", func(m *container.Mail) {
		m.Set(container.AttrReprocessing, int32(4))
		m.Set(container.AttrRecordedRcpts, []container.Value{"x"})
		m.Set("kept", "yes")
	})
	b.put(temporary, "m2", nil)
	b.store.enqueue("outgoing", b.put("file://elsewhere", "other", nil), 0)
	b.task("PATCH", temporaryMails+"/m1?action=reprocess&queue=outgoing", "")
	if len(b.store.changes) != 1 {
		t.Fatalf("got %d changes, want 1", len(b.store.changes))
	}
	c := b.store.changes[0]
	if c.From == nil || *c.From != (repository.Ref{URL: repo(temporary), Key: "m1"}) || len(c.Entries) != 1 {
		t.Fatalf("got %+v", c)
	}
	e := c.Entries[0]
	_, recorded := e.Mail.Attributes[container.AttrRecordedRcpts]
	if e.Queue != "outgoing" || e.Destination != "domain.com" || e.Delay != 0 || e.Mail.Name != "m1" || e.Mail.State != "error" ||
		e.Mail.Attributes[container.AttrReprocessing] != int32(5) || recorded || e.Mail.Attributes["kept"] != "yes" {
		t.Errorf("got %+v %+v", e, e.Mail)
	}
	got := b.task("PATCH", temporaryMails+"/m2?action=reprocess&consume=no&processor=p&forRecipient=r1@domain.com&limit=0&maxRetries=1", "")
	wantInfo(t, got, "reprocessing-one", "completed", `{"consume":false,"forRecipient":"r1@domain.com","mailKey":"m2","repositoryPath":"var/mail/error/remote-delivery/temporary","targetProcessor":"p","targetQueue":"spool","timestamp":"2026-08-22T06:44:35.123Z","type":"reprocessing-one"}`)
	if c := b.store.changes[1]; c.From != nil {
		t.Errorf("consume=no: got From %v", c.From)
	}
	b.want("GET", temporaryMails, "", 200, `["m2"]`)
}

func TestReprocessFilters(t *testing.T) {
	for _, tc := range []struct {
		query       string
		queued      string
		remaining   int
		limit, most string
	}{
		{"", "m0 m1 m2 m3", 0, "null", "null"},
		{"&limit=0", "m0 m1 m2 m3", 0, "null", "null"},
		{"&limit=2", "m0 m1", 2, "2", "null"},
		{"&maxRetries=2", "m0 m1", 0, "null", "2"},
		{"&maxRetries=0", "", 0, "null", "0"},
		{"&forRecipient=ODD@domain.com", "m1 m3", 0, "null", "null"},
		{"&forRecipient=odd@domain.com&limit=1", "m1", 2, "1", "null"},
		{"&forRecipient=odd@domain.com&maxRetries=3", "m1", 0, "null", "3"},
	} {
		t.Run(tc.query, func(t *testing.T) {
			b := newBench(t, Config{}, nil)
			b.start()
			for i := range 4 {
				b.put(temporary, fmt.Sprint("m", i), func(m *container.Mail) {
					m.Set(container.AttrReprocessing, int32(i))
					if i%2 == 1 {
						m.Recipients = append(m.Recipients, container.MustAddress("odd@domain.com"))
					}
				})
			}
			got := b.task("PATCH", temporaryMails+"?action=reprocess"+tc.query, "")
			if s := strings.Join(b.names("spool"), " "); s != tc.queued || got["status"] != "completed" {
				t.Errorf("queued %q, status %v, want %q", s, got["status"], tc.queued)
			}
			info, _ := json.Marshal(got["additionalInformation"])
			for _, part := range []string{fmt.Sprintf(`"remainingCount":%d,`, tc.remaining), `"limit":` + tc.limit + ",", `"maxRetries":` + tc.most + ","} {
				if !strings.Contains(string(info), part) {
					t.Errorf("%s is missing in %s", part, info)
				}
			}
		})
	}
}

// A mail that comes back to the repository during the run is not taken again.
func TestReprocessEnds(t *testing.T) {
	b := newBench(t, Config{}, nil)
	for i := range 5 {
		b.put(temporary, fmt.Sprint("m", i), nil)
	}
	b.store.onCommit = func(c repository.Change) {
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		b.store.store(repo(temporary), c.Entries[0].Mail.Clone())
	}
	b.start()
	if got := b.task("PATCH", temporaryMails+"?action=reprocess", ""); got["status"] != "completed" {
		t.Errorf("got %v", got)
	}
	if got := b.names("spool"); len(got) != 5 {
		t.Errorf("got %v, want five", got)
	}
	b.want("GET", temporaryMails, "", 200, `["m0","m1","m2","m3","m4"]`)
}

func TestReprocessPartly(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	for i := range 3 {
		b.put(temporary, fmt.Sprint("m", i), nil)
	}
	b.store.broken["m1"] = true
	got := b.task("PATCH", temporaryMails+"?action=reprocess", "")
	if got["status"] != "failed" || !slices.Equal(b.names("spool"), []string{"m0", "m2"}) {
		t.Errorf("got %v, queued %v", got["status"], b.names("spool"))
	}
	b.want("GET", temporaryMails, "", 200, `["m1"]`)
	if !strings.Contains(b.log.String(), `msg="mail not reprocessed" mail=m1`) {
		t.Error("the mail that failed is not in the log")
	}
}

func TestReprocessCancelled(t *testing.T) {
	b := newBench(t, Config{}, nil)
	for i := range 5 {
		b.put(temporary, fmt.Sprint("m", i), nil)
	}
	w := b.do("PATCH", temporaryMails+"?action=reprocess", "")
	id := strings.TrimPrefix(w.Header().Get("Location"), "/tasks/")
	b.store.onCommit = func(repository.Change) { b.do("DELETE", "/tasks/"+id, "") }
	b.start()
	if got := b.await(id); got["status"] != "canceled" {
		t.Errorf("got %v", got["status"])
	}
	if n := len(b.names("spool")); n != 1 {
		t.Errorf("%d mails were queued after the task was cancelled, want 1", n)
	}
	b.want("GET", temporaryMails, "", 200, `["m1","m2","m3","m4"]`)
}

func TestReprocessErrors(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.start()
	b.put(temporary, "m1", nil)
	const compulsory, supported = "'action' query parameter is compulsory. ", "Supported values are [reprocess]"
	for _, p := range []string{temporaryMails, temporaryMails + "/m1", "/mailRepositories/unknown/mails"} {
		b.wantError("PATCH", p, "", 400, "InvalidArgument", generic, compulsory+supported)
		b.wantError("PATCH", p+"?action=", "", 400, "InvalidArgument", generic, "'action' query parameter cannot be empty or blank. "+supported)
		b.wantError("PATCH", p+"?action=invalid", "", 400, "InvalidArgument", generic, "Invalid value supplied for query parameter 'action': invalid. "+supported)
	}
	for _, p := range []string{temporaryMails, temporaryMails + "/m1"} {
		b.wantError("PATCH", p+"?action=reprocess&limit=x", "", 400, "InvalidArgument", "Can not parse limit", "*")
		b.wantError("PATCH", p+"?action=reprocess&limit=-1", "", 400, "InvalidArgument", "limit can not be negative", "")
		b.wantError("PATCH", p+"?action=reprocess&maxRetries=x", "", 400, "InvalidArgument", "Can not parse maxRetries", "*")
		b.wantError("PATCH", p+"?action=reprocess&maxRetries=-1", "", 400, "InvalidArgument", "maxRetries can not be negative", "")
		b.wantError("PATCH", p+"?action=reprocess&forRecipient=x", "", 400, "InvalidArgument", generic, "*")
	}
	for p, text := range map[string]string{
		temporaryMails + "?action=reprocess&queue=nowhere":    "Can not find queue nowhere",
		temporaryMails + "/m1?action=reprocess&queue=nowhere": "Can not find queue nowhere",
		temporaryMails + "/m9?action=reprocess":               "m9 can not be found",
		"/mailRepositories/unknown/mails/m9?action=reprocess": "m9 can not be found",
	} {
		b.log.Reset()
		if got := b.task("PATCH", p, ""); got["status"] != "failed" || !strings.Contains(b.log.String(), text) {
			t.Errorf("%s: got %v, log %s", p, got["status"], b.log)
		}
	}
	b.want("GET", temporaryMails, "", 200, `["m1"]`)
}

// A mail that is still there although the store did not find something of it
// has failed; one that somebody else took has not.
func TestReprocessNotFound(t *testing.T) {
	for _, tc := range []struct {
		name   string
		take   bool
		status string
	}{{"taken by somebody else", true, "completed"}, {"message lost", false, "failed"}} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench(t, Config{}, nil)
			b.put(temporary, "m1", nil)
			b.store.lost = func(ref repository.Ref) {
				if tc.take {
					b.store.drop(ref.URL, ref.Key)
				}
			}
			b.start()
			if got := b.task("PATCH", temporaryMails+"?action=reprocess", ""); got["status"] != tc.status {
				t.Errorf("got %v, want %s", got["status"], tc.status)
			}
		})
	}
}
