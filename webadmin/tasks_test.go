package webadmin

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"
)

// step is a task that ends when the test says so.
type step struct {
	kind string
	run  func(ctx context.Context) error
}

func (s step) Type() string                  { return s.kind }
func (s step) Run(ctx context.Context) error { return s.run(ctx) }
func (step) Info(time.Time) any              { return nil }
func (step) Params() any                     { return nil }

func (b *bench) submitStep(kind string, run func(context.Context) error) string {
	b.t.Helper()
	id, err := b.tasks.Submit(step{kind, run})
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func TestTaskObject(t *testing.T) {
	b := newBench(t, Config{}, nil)
	gate, running := make(chan struct{}), make(chan struct{})
	id := b.submitStep("a", func(context.Context) error {
		close(running)
		<-gate
		return nil
	})
	const submitted = `"submitDate":"2026-08-22T06:44:35.123+0000"`
	b.want("GET", "/tasks/"+id, "", 200, `{"taskId":"`+id+`","type":"a","status":"waiting","submittedFrom":"mx1","executedOn":null,"cancelledFrom":null,"additionalInformation":null,`+submitted+`}`)
	b.start()
	<-running
	b.want("GET", "/tasks/"+id, "", 200, `{"taskId":"`+id+`","type":"a","status":"inProgress","submittedFrom":"mx1","executedOn":"mx1","cancelledFrom":null,"additionalInformation":null,`+submitted+`,"startedDate":"2026-08-22T06:44:35.123+0000"}`)
	b.want("DELETE", "/tasks/"+id, "", 204, "")
	b.want("GET", "/tasks/"+id, "", 200, `{"taskId":"`+id+`","type":"a","status":"canceledRequested","submittedFrom":"mx1","executedOn":"mx1","cancelledFrom":"mx1","additionalInformation":null,`+submitted+`,"startedDate":"2026-08-22T06:44:35.123+0000","canceledDate":"2026-08-22T06:44:35.123+0000"}`)
	close(gate)
	if got := b.await(id)["status"]; got != "completed" {
		t.Errorf("got %v, want completed: the task ended before it noticed", got)
	}
	failed := b.submitStep("b", func(context.Context) error { return errDisk })
	got := b.await(failed)
	if got["status"] != "failed" || got["failedDate"] != "2026-08-22T06:44:35.123+0000" || got["completedDate"] != nil {
		t.Errorf("failed task: got %v", got)
	}
}

func TestTaskErrors(t *testing.T) {
	b := newBench(t, Config{}, nil)
	const unknown = "3294a976-ce63-491e-bd52-1b6f465ed7a2"
	b.wantError("GET", "/tasks/x", "", 400, "InvalidArgument", "Invalid task id", "Invalid UUID string: x")
	b.wantError("GET", "/tasks/"+unknown, "", 404, "notFound", unknown+" can not be found", "")
	b.wantError("GET", "/tasks/x/await", "", 400, "InvalidArgument", "Invalid task id", "Invalid UUID string: x")
	b.wantError("GET", "/tasks/"+unknown+"/await", "", 404, "ServerError", "The taskId is not found", "")
	b.wantError("DELETE", "/tasks/x", "", 400, "InvalidArgument", "Invalid task id", "Invalid UUID string: x")
	b.want("DELETE", "/tasks/"+unknown, "", 204, "")
	id := b.submitStep("a", nil)
	b.wantError("GET", "/tasks/"+id+"/await?timeout=366days", "", 400, "InvalidArgument", "Invalid timeout", "Timeout should not exceed 365 days")
	b.wantError("GET", "/tasks/"+id+"/await?timeout=soon", "", 400, "InvalidArgument", "Invalid timeout", "*")
	b.wantError("GET", "/tasks/"+id+"/await?timeout=-1", "", 400, "InvalidArgument", "Invalid timeout", "Duration amount should be positive")
	b.wantError("GET", "/tasks/"+id+"/await?timeout=1ms", "", 408, "ServerError", "The timeout has been reached", "")
}

func TestTaskList(t *testing.T) {
	var at atomic.Int64 // hours since now
	b := newBench(t, Config{}, func(d *Deps) {
		d.Now = func() time.Time { return now.Add(time.Duration(at.Load()) * time.Hour) }
	})
	b.want("GET", "/tasks", "", 200, "[]")
	b.start()
	var ids []string
	for i, kind := range []string{"a", "b", "a"} {
		at.Store(int64(i))
		err := error(nil)
		if kind == "b" {
			err = errDisk
		}
		id := b.submitStep(kind, func(context.Context) error { return err })
		b.await(id)
		ids = append(ids, id)
	}
	for _, tc := range []struct {
		query string
		want  []int
	}{
		{"", []int{2, 1, 0}},
		{"?status=completed", []int{2, 0}},
		{"?status=FAILED", []int{1}},
		{"?status=waiting", nil},
		{"?type=a", []int{2, 0}},
		{"?type=A", nil},
		{"?type=a&submittedAfter=2026-08-22T07:00:00Z", []int{2}},
		{"?submittedBefore=2026-08-22T06:44:35.123Z", nil},
		{"?submittedBefore=2026-08-22T10:00:00%2B02:00", []int{1, 0}},
		{"?startedAfter=2026-08-22T07:00:00Z", []int{2, 1}},
		{"?completedAfter=2026-08-22T00:00:00Z", []int{2, 0}},
		{"?completedBefore=2026-08-22T07:00:00Z", []int{0}},
		{"?failedBefore=2026-08-23T00:00:00Z", []int{1}},
		{"?failedAfter=2026-08-22T00:00:00Z&failedBefore=2026-08-22T01:00:00Z", nil},
		{"?offset=1", []int{1, 0}},
		{"?offset=1&limit=1", []int{1}},
		{"?offset=9", nil},
		{"?limit=0", nil},
	} {
		w := b.do("GET", "/tasks"+tc.query, "")
		var got []struct{ TaskID string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got == nil {
			t.Fatalf("%s: %s", tc.query, w.Body)
		}
		if len(got) != len(tc.want) {
			t.Errorf("%s: got %d tasks, want %d", tc.query, len(got), len(tc.want))
			continue
		}
		for i, n := range tc.want {
			if got[i].TaskID != ids[n] {
				t.Errorf("%s: task %d is not number %d", tc.query, i, n)
			}
		}
	}
	for _, q := range []string{"status=unknown", "submittedAfter=yesterday", "limit=x", "limit=-1", "offset=-1", "failedBefore=2026-08-22"} {
		b.wantError("GET", "/tasks?"+q, "", 400, "InvalidArgument", "Invalid status query parameter", "*")
	}
}
