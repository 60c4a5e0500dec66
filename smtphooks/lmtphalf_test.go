package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/repository"
)

// team is an address behind which are a, b and c.
type team struct{ Local }

func (team) UserExists(_ context.Context, a container.Address) (bool, error) {
	return len(a.Local) == 1, nil
}

func (team) Resolve(context.Context, container.Address, ...local.MappingType) (out []local.Mapping, err error) {
	for _, name := range []string{"a", "b", "c"} {
		out = append(out, local.Mapping{Type: local.MapAddress, Target: name + "@here.test"})
	}
	return out, nil
}

// troubled are mailboxes, some of which take nothing.
type troubled struct {
	errs  map[string]error
	count map[string]int
}

func (b *troubled) Deliver(_ context.Context, _ *container.Mail, rcpt container.Address) error {
	if err := b.errs[rcpt.Local]; err != nil {
		return err
	}
	b.count[rcpt.Local]++
	return nil
}

// When the client sends a message again because one of several mailboxes was in
// trouble, the others do not get it once more; and trouble with one is no reason to
// pass over those behind it.
func TestHalfDelivered(t *testing.T) {
	soft := errors.New("disk on fire")
	hard := &MailboxError{Enhanced: "5.2.2", Err: errors.New("quota")}
	to, _ := container.ParseAddress("team@here.test")
	message := func(trace, text string) *container.Mail {
		return container.NewMail(container.Address{Local: "x", Domain: "far.test"}, []container.Address{to},
			container.NewMessage([]byte("Received: "+trace+"\r\nSubject: x\r\n"), container.BytesBody(text)))
	}
	type attempt struct {
		errs map[string]error
		text string
		code int
	}
	for name, tc := range map[string]struct {
		attempts []attempt
		want     string
	}{
		"for the moment": {[]attempt{{map[string]error{"b": soft}, "hi", 451}, {map[string]error{"c": soft}, "hi", 250}}, "map[a:1 b:1 c:1]"},
		"twice": {[]attempt{{map[string]error{"b": soft, "c": soft}, "hi", 451}, {map[string]error{"c": soft}, "hi", 451}, {nil, "hi", 250}},
			"map[a:1 b:1 c:1]"},
		"for good":          {[]attempt{{map[string]error{"a": hard}, "hi", 552}, {nil, "hi", 250}}, "map[a:1 b:2 c:2]"},
		"both":              {[]attempt{{map[string]error{"a": hard, "b": soft}, "hi", 451}, {map[string]error{"a": hard}, "hi", 552}}, "map[b:1 c:1]"},
		"another message":   {[]attempt{{map[string]error{"b": soft}, "hi", 451}, {nil, "ho", 250}}, "map[a:2 b:1 c:2]"},
		"sent twice":        {[]attempt{{nil, "hi", 250}, {nil, "hi", 250}}, "map[a:2 b:2 c:2]"},
		"done, then afresh": {[]attempt{{map[string]error{"b": soft}, "hi", 451}, {nil, "hi", 250}, {nil, "hi", 250}}, "map[a:2 b:2 c:2]"},
	} {
		t.Run(name, func(t *testing.T) {
			boxes := &troubled{count: map[string]int{}}
			h := &MailboxDeliverToRecipientHandler{s: Services{Local: team{}, Log: slog.New(slog.DiscardHandler)}, boxes: boxes}
			for i, a := range tc.attempts {
				boxes.errs = a.errs
				d := h.DeliverToRecipient(t.Context(), nil, message(fmt.Sprint("attempt ", i), a.text), to)
				if code, _, text := d.Reply(); code != a.code {
					t.Errorf("attempt %d: %d %s, want %d", i, code, text, a.code)
				}
			}
			if got := fmt.Sprint(boxes.count); got != tc.want {
				t.Errorf("delivered %s, want %s", got, tc.want)
			}
		})
	}
}

func TestHalfDoneIsBounded(t *testing.T) {
	var h halfDone[int]
	for i := range halfMessages + 10 {
		h.note(halfKey{byte(i), byte(i >> 8)}, i)
	}
	if n := len(h.list); n != halfMessages {
		t.Errorf("%d messages are remembered, want %d", n, halfMessages)
	}
	if _, ok := h.of(halfKey{0, 0}); ok {
		t.Error("the oldest is not the one that was forgotten")
	}
	if n, ok := h.of(halfKey{20, 0}); !ok || n != 20 {
		t.Errorf("got %d, %t", n, ok)
	}
	h.forget(halfKey{20, 0})
	if _, ok := h.of(halfKey{20, 0}); ok {
		t.Error("it is not forgotten")
	}
}

// failing is a spool that takes nothing while it has an error.
type failing struct {
	Queue
	err error
}

func (q *failing) Commit(context.Context, repository.Change) error { return q.err }

// A message that was processed in vain and comes again is the same mail for those
// who have seen it: LocalDelivery gives its files the same names, and looks whether
// they are there.
func TestRunAgain(t *testing.T) {
	bad := errors.New("disk on fire")
	a, _ := container.ParseAddress("a@here.test")
	b, _ := container.ParseAddress("b@here.test")
	for name, tc := range map[string]struct {
		split   bool
		process map[string]error // of the first run, by recipient
		commit  error
		again   map[string]bool // by recipient: the second run is one of the same mail
	}{
		"mailet fails":        {false, map[string]error{"b": bad}, nil, map[string]bool{"a": true, "b": true}},
		"store fails":         {false, nil, bad, map[string]bool{"a": true, "b": true}},
		"all went well":       {false, nil, nil, map[string]bool{"a": false, "b": false}},
		"mailet fails once":   {true, map[string]error{"b": bad}, nil, map[string]bool{"a": false, "b": true}},
		"store fails for all": {true, nil, bad, map[string]bool{"a": true, "b": true}},
	} {
		t.Run(name, func(t *testing.T) {
			queue := &failing{err: tc.commit}
			type id struct{ id, name string }
			var runs []map[string]id
			errs := tc.process
			redelivered := map[string]bool{}
			process := func(_ context.Context, m *container.Mail, out *container.Outbox) error {
				var err error
				for _, r := range m.Recipients {
					runs[len(runs)-1][r.Local] = id{m.ID, m.Name}
					redelivered[r.Local] = m.Redelivered
					err = errors.Join(err, errs[r.Local])
				}
				m.Message.SetHeader([]byte("Subject: changed\r\n"))
				out.Send(m)
				m.Recipients, m.Name = nil, "changed"
				return err
			}
			h := &MailetContainerHandler{s: Services{Queue: queue, Process: process, Log: slog.New(slog.DiscardHandler)}, split: tc.split}
			for i := range 2 {
				runs = append(runs, map[string]id{})
				rcpts := []container.Address{a, b}
				m := container.NewMail(a, rcpts, container.NewMessage([]byte(fmt.Sprintf("Received: %d\r\nSubject: x\r\n", i)), container.BytesBody("hi")))
				h.DeliverMessage(t.Context(), &Session{Tx: &Transaction{Recipients: []Recipient{{Address: a}, {Address: b}}}}, m)
				errs, queue.err = nil, nil
			}
			for who, want := range tc.again {
				if got := runs[0][who] == runs[1][who]; got != want || redelivered[who] != want {
					t.Errorf("%s: %v and then %v, redelivered %t; want the same %t", who, runs[0][who], runs[1][who], redelivered[who], want)
				}
			}
		})
	}
}
