package webadmin

import (
	"encoding/json"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/webadmin/task"
)

// TestReviveEachKind: what is stored of a task makes the same task again, with all
// of its filter: one that was lost would remove or move everything.
func TestReviveEachKind(t *testing.T) {
	s := &Server{log: slog.New(slog.DiscardHandler)}
	text, n, yes := "x", 3, true
	rcpt := container.MustAddress("Bob@here.test")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	how := reprocessing{queue: "q", processor: &text, consume: true, limit: 7, maxRetries: &n, rcpt: &rcpt, filter: repository.MailFilter{
		UpdatedBefore: at, UpdatedAfter: at.Add(-time.Hour), Sender: "s", Recipient: "r", RemoteAddr: "1", RemoteHost: "h", State: "error", Attribute: "a=b"}}
	queue := repository.QueueFilter{Sender: new(string), Recipient: &text, Name: &text, Delayed: &yes, Host: "h", State: "s", Attribute: "a",
		EnqueuedBefore: at, EnqueuedAfter: at.Add(-time.Hour)}
	for _, v := range []any{how.filter, queue} { // or a new field would not be seen to be lost
		for i := range reflect.TypeOf(v).NumField() {
			if f := reflect.ValueOf(v).Field(i); f.IsZero() {
				t.Errorf("%T.%s is not tested", v, reflect.TypeOf(v).Field(i).Name)
			}
		}
	}
	where := place{path: "var/mail/error", urls: []repository.URL{{Protocol: "file", Path: "var/mail/error"}, {Protocol: "cassandra", Path: "var/mail/error"}}}
	all := &reprocessAll{reprocessing: how, s: s, place: where, initial: 9, log: s.log, done: []position{{5, 6}}}
	all.visited.Store(4)
	all.passed.Store(2)
	for _, tc := range []struct {
		task task.Task
		once bool
	}{
		{all, false},
		{&reprocessOne{reprocessing: how, s: s, name: "var/mail/error", key: "k"}, false},
		{newClearRepository(nil, where, 9), true},
		{&clearQueue{queue: "q"}, true},
		{&clearQueue{queue: "q", filter: &queue}, true},
		{s.newDeleteUserData("bob", &text), false},
		{s.newRenameUser("bob", "ann", nil), false},
		{&deleteDomainData{domain: "here.test", from: &text, log: s.log}, false},
	} {
		kind := tc.task.Type()
		stored, err := json.Marshal(tc.task.Params())
		if err != nil {
			t.Fatal(err)
		}
		made, err := s.revive(kind, stored)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		again, err := json.Marshal(made.Params())
		if err != nil || string(again) != string(stored) || made.Type() != kind {
			t.Errorf("%s: %s becomes %s %s, %v", kind, stored, made.Type(), again, err)
		}
		if c, ok := made.(*clearQueue); ok && !reflect.DeepEqual(c.filter, tc.task.(*clearQueue).filter) {
			t.Errorf("%s: the filter becomes %+v", kind, c.filter)
		}
		if r, ok := made.(*reprocessAll); ok && (!reflect.DeepEqual(r.filter, how.filter) || !reflect.DeepEqual(r.place, where)) {
			t.Errorf("%s: becomes %+v of %+v", kind, r.filter, r.place)
		}
		if _, once := made.(task.Once); once != tc.once {
			t.Errorf("%s: to be begun once is %t", kind, once)
		}
		for _, bad := range []string{"", "null", "[]", `{"`} {
			if _, err := s.revive(kind, json.RawMessage(bad)); err == nil {
				t.Errorf("%s: made of %q", kind, bad)
			}
		}
	}
	for kind, text := range map[string]string{"delete-mails-from-mail-queue": `{"queue":"q"}`, "clear-mail-queue": `{"queue":"q","filter":{}}`, "x": "{}"} {
		if made, err := s.revive(kind, json.RawMessage(text)); err == nil {
			t.Errorf("%s is made of %s: %+v", kind, text, made)
		}
	}
}
