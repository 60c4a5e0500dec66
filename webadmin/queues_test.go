package webadmin

import (
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func queueBench(t *testing.T) *bench {
	b := newBench(t, Config{}, nil)
	for _, q := range []struct {
		name, sender, rcpt string
		delay              time.Duration
	}{
		{"q1", "a@x.org", "r@y.org", 0}, {"q2", "", "s@y.org", time.Hour}, {"q3", "b@x.org", "r@y.org", time.Hour}, {"q4", "a@x.org", "t@y.org", 0},
	} {
		m := container.NewMail(container.Address{}, []container.Address{container.MustAddress(q.rcpt)}, container.Message{})
		if q.sender != "" {
			m.Sender = container.MustAddress(q.sender)
		}
		m.Name = q.name
		b.store.enqueue("outgoing", m, q.delay)
	}
	return b
}

func TestQueues(t *testing.T) {
	b := queueBench(t)
	const (
		q1 = `{"name":"q1","sender":"a@x.org","recipients":["r@y.org"],"nextDelivery":null}`
		q2 = `{"name":"q2","sender":null,"recipients":["s@y.org"],"nextDelivery":"2026-08-22T07:44:35.123Z"}`
		q3 = `{"name":"q3","sender":"b@x.org","recipients":["r@y.org"],"nextDelivery":"2026-08-22T07:44:35.123Z"}`
		q4 = `{"name":"q4","sender":"a@x.org","recipients":["t@y.org"],"nextDelivery":null}`
	)
	b.want("GET", "/mailQueues", "", 200, `["spool","outgoing"]`)
	b.want("GET", "/mailQueues/outgoing", "", 200, `{"name":"outgoing","size":4}`)
	for query, want := range map[string]string{
		"": q1 + "," + q2 + "," + q3 + "," + q4, "?limit=2": q1 + "," + q2, "?delayed=true": q2 + "," + q3, "?delayed=TRUE&limit=1": q2,
		"?delayed=false&limit=2": q1 + "," + q4, "?delayed=maybe": q1 + "," + q4, "?limit=99": q1 + "," + q2 + "," + q3 + "," + q4,
	} {
		b.want("GET", "/mailQueues/outgoing/mails"+query, "", 200, "["+want+"]")
	}
	b.want("GET", "/mailQueues/spool/mails", "", 200, "[]")
	b.wantError("GET", "/mailQueues/outgoing/mails?limit=x", "", 400, "InvalidArgument", "Can not parse limit", "*")
	b.wantError("GET", "/mailQueues/outgoing/mails?limit=0", "", 400, "InvalidArgument", "limit can not be equal to zero", "")
	b.wantError("GET", "/mailQueues/outgoing/mails?limit=-1", "", 400, "InvalidArgument", "limit can not be negative", "")
	const missing = "MailQueueName{value=unknown} can not be found"
	for _, r := range [][3]string{
		{"GET", "", ""}, {"GET", "/mails", ""}, {"DELETE", "/mails", ""}, {"DELETE", "/mails?sender=x&name=y", ""},
		{"PATCH", "/mails?delayed=true", `{"delayed":false}`}, {"PATCH", "?delayed=true", `{"delayed":false}`},
	} {
		b.wantError(r[0], "/mailQueues/unknown"+r[1], r[2], 404, "notFound", missing, "")
	}
	b.store.fail = errDisk
	b.wantError("GET", "/mailQueues/spool/mails", "", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "disk full")
}

func TestDeleteFromQueue(t *testing.T) {
	for _, tc := range []struct{ query, kind, left, info string }{
		{"", "clear-mail-queue", "", `{"initialCount":4,"mailQueueName":"outgoing","remainingCount":0,"timestamp":"2026-08-22T06:44:35.123Z","type":"clear-mail-queue"}`},
		{"?sender=a@X.org", "delete-mails-from-mail-queue", "q2 q3", `{"initialCount":4,"mailQueueName":"outgoing","name":null,"recipient":null,"remainingCount":2,"sender":"a@x.org","timestamp":"2026-08-22T06:44:35.123Z","type":"delete-mails-from-mail-queue"}`},
		{"?sender=%3C%3E", "delete-mails-from-mail-queue", "q1 q3 q4", `{"initialCount":4,"mailQueueName":"outgoing","name":null,"recipient":null,"remainingCount":3,"sender":"<>","timestamp":"2026-08-22T06:44:35.123Z","type":"delete-mails-from-mail-queue"}`},
		{"?recipient=r@y.org", "delete-mails-from-mail-queue", "q2 q4", `{"initialCount":4,"mailQueueName":"outgoing","name":null,"recipient":"r@y.org","remainingCount":2,"sender":null,"timestamp":"2026-08-22T06:44:35.123Z","type":"delete-mails-from-mail-queue"}`},
		{"?name=q;3", "delete-mails-from-mail-queue", "q1 q2 q3 q4", `{"initialCount":4,"mailQueueName":"outgoing","name":"q;3","recipient":null,"remainingCount":4,"sender":null,"timestamp":"2026-08-22T06:44:35.123Z","type":"delete-mails-from-mail-queue"}`},
		{"?name=q3", "delete-mails-from-mail-queue", "q1 q2 q4", `{"initialCount":4,"mailQueueName":"outgoing","name":"q3","recipient":null,"remainingCount":3,"sender":null,"timestamp":"2026-08-22T06:44:35.123Z","type":"delete-mails-from-mail-queue"}`},
	} {
		t.Run(tc.query, func(t *testing.T) {
			b := queueBench(t)
			w := b.do("DELETE", "/mailQueues/outgoing/mails"+tc.query, "")
			id := w.Header().Get("Location")[len("/tasks/"):]
			if s, err := b.tasks.Get(id); err != nil || s.Info != nil {
				t.Errorf("before the start: got %v, %v, want no information", s.Info, err)
			}
			b.start()
			wantInfo(t, b.await(id), tc.kind, "completed", tc.info)
			left := ""
			for i, n := range b.names("outgoing") {
				if i > 0 {
					left += " "
				}
				left += n
			}
			if left != tc.left {
				t.Errorf("left %q, want %q", left, tc.left)
			}
		})
	}
	b := queueBench(t)
	const only = "You should provide only one of the query parameters 'sender', 'name', 'recipient' for deleting mails by condition or no parameter for deleting all mails in the mail queue."
	for _, q := range []string{"sender=a@b.c&name=x", "sender=a@b.c&recipient=a@b.c", "name=x&recipient=a@b.c", "sender=a@b.c&name=x&recipient=a@b.c"} {
		b.wantError("DELETE", "/mailQueues/outgoing/mails?"+q, "", 400, "InvalidArgument", only, "")
	}
	b.wantError("DELETE", "/mailQueues/outgoing/mails?sender=x", "", 400, "InvalidArgument", "'sender' should be a mail address (i.e. sender@james.org)", "*")
	// A filter that cannot be read must not count as none: that would clear the queue.
	b.wantError("DELETE", "/mailQueues/outgoing/mails?sender=a%ZZ@x.org", "", 400, "InvalidArgument", "Invalid arguments supplied in the user request", "*")
	b.wantError("DELETE", "/mailQueues/outgoing/mails?sender=a;b", "", 400, "InvalidArgument", "'sender' should be a mail address (i.e. sender@james.org)", "*")
	b.wantError("DELETE", "/mailQueues/outgoing/mails?recipient=", "", 400, "InvalidArgument", "'recipient' should be a mail address (i.e. recipient@james.org)", "*")
}

func TestFlush(t *testing.T) {
	for _, path := range []string{"/mailQueues/outgoing/mails", "/mailQueues/outgoing"} {
		for _, body := range []string{`{"delayed":false}`, `{"delayed":"false"}`} {
			b := queueBench(t)
			b.want("PATCH", path+"?delayed=true", body, 204, "")
			b.want("GET", "/mailQueues/outgoing/mails?delayed=true", "", 200, "[]")
		}
	}
	b := queueBench(t)
	const path = "/mailQueues/unknown/mails"
	for _, q := range []string{"", "?delayed=false", "?delayed=x"} {
		b.wantError("PATCH", path+q, "{", 400, "InvalidArgument", "This request requires delayed param to be set to true", "")
	}
	for _, body := range []string{"", "{}", `{"delayed":true}`, `{"delayed":null}`, "[]", "3"} {
		b.wantError("PATCH", path+"?delayed=true", body, 400, "InvalidArgument", "This request requires payload to contain delayed attribute set to false", "")
	}
	b.wantError("PATCH", path+"?delayed=true", "{", 400, "InvalidArgument", "Invalid JSON document: unexpected end of JSON input", "*")
}

// TestFiltersBeyondJames: what has no counterpart in James can be combined.
func TestFiltersBeyondJames(t *testing.T) {
	b := newBench(t, Config{}, nil)
	for _, q := range []string{"enqueuedBefore=x", "enqueuedAfter=1x", "sender=@"} {
		for _, method := range []string{"GET", "DELETE"} {
			if w := b.do(method, "/mailQueues/spool/mails?"+q, ""); w.Code != 400 {
				t.Errorf("%s %s: got %d %s", method, q, w.Code, w.Body)
			}
		}
	}
	b.put(errorRepo, "a", func(m *container.Mail) { m.State = "relay" })
	b.put(errorRepo, "b", func(m *container.Mail) { m.Set("virus", "yes") })
	b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?state=relay", "", 200, `["a"]`)
	b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?attribute=virus=yes", "", 200, `["b"]`)
	b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails?attribute=virus&state=relay", "", 200, `[]`)
	b.start()
	b.task("PATCH", "/mailRepositories/var%2Fmail%2Ferror/mails?action=reprocess&attribute=virus", "")
	b.want("GET", "/mailRepositories/var%2Fmail%2Ferror/mails", "", 200, `["a"]`)
}
