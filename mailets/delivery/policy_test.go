package delivery

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func testMail(rcpts ...string) *container.Mail {
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r+"@example.com"))
	}
	m := container.NewMail(container.MustAddress("sender@example.org"), list, container.ParseMessage([]byte("A: b\r\n\r\nHi\r\n")))
	m.Name, m.State = "Mail1", "hand-over"
	return m
}

func testPolicy(change func(*Config)) *Policy {
	c := Config{Name: "Test", ID: "test", Retries: 2, Slots: 1, Limit: time.Hour, Consume: true, OnFailure: "error",
		Delay: func(n int) time.Duration { return time.Duration(n) * time.Minute }, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	return New(c)
}

// byName delivers to d…, puts off t…, refuses f… and does nothing with others.
func byName(_ context.Context, rcpts []container.Address) []container.Outcome {
	out := make([]container.Outcome, len(rcpts))
	for i, r := range rcpts {
		switch r.Local[0] {
		case 'd':
			out[i] = container.Outcome{Result: container.Delivered, Enhanced: "2.0.0", Text: "ok"}
		case 't':
			out[i] = container.Outcome{Result: container.Deferred, Enhanced: "4.2.1", Code: 450, Text: "later"}
		case 'f':
			out[i] = container.Outcome{Result: container.Failed, Enhanced: "5.1.1", Code: 550, Text: "nobody"}
		}
	}
	return out
}

// entries describes an outbox: state, queue, delay and recipients.
func entries(out *container.Outbox) string {
	var parts []string
	for _, e := range out.Entries() {
		var names []string
		for _, r := range e.Mail.Recipients {
			names = append(names, r.Local)
		}
		parts = append(parts, fmt.Sprintf("%s %s %s+%s", e.Queue, e.Mail.State, strings.Join(names, ","), e.Delay))
	}
	return strings.Join(parts, "; ")
}

func TestRun(t *testing.T) {
	for _, tc := range []struct {
		name   string
		rcpts  string
		tries  int
		change func(*Config)
		state  string
		stay   int
		sent   string
	}{
		{name: "delivered", rcpts: "d1 d2", state: "ghost", stay: 2},
		{name: "passed on", rcpts: "d1 f1", change: func(c *Config) { c.Consume = false }, state: "hand-over", stay: 1, sent: "spool error f1+0s"},
		{name: "none left", rcpts: "f1", change: func(c *Config) { c.Consume = false }, state: "ghost", sent: "spool error f1+0s"},
		{name: "first retry", rcpts: "t1 d1", state: "ghost", stay: 1, sent: "spool hand-over t1+1m0s"},
		{name: "second retry", rcpts: "t1 t2", tries: 1, state: "ghost", sent: "spool hand-over t1,t2+2m0s"},
		{name: "exhausted", rcpts: "t1 f1 d1", tries: 2, state: "ghost", stay: 1, sent: "spool error f1+0s; spool error t1+0s"},
		{name: "no retries", rcpts: "t1", change: func(c *Config) { c.Retries = 0 }, state: "ghost", sent: "spool error t1+0s"},
		{name: "a processor", rcpts: "t1 f1", tries: 5, change: func(c *Config) { c.OnTemporary, c.OnFailure = "tmp", "perm" },
			state: "ghost", sent: "spool perm f1+0s; spool tmp t1+0s"},
		{name: "no result", rcpts: "x1 d1", tries: 2, state: "ghost", stay: 1, sent: "spool hand-over x1+1s"},
		{name: "twice", rcpts: "d1 D1 t1 T1", state: "ghost", stay: 1, sent: "spool hand-over t1+1m0s"},
		{name: "batches", rcpts: "d1 t1 f1", change: func(c *Config) { c.Batch = 1 }, state: "ghost", stay: 1,
			sent: "spool error f1+0s; spool hand-over t1+1m0s"},
		{name: "nobody", rcpts: "", state: "hand-over"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := testPolicy(tc.change)
			m := testMail(strings.Fields(tc.rcpts)...)
			for range tc.tries {
				p.count(m)
			}
			var out container.Outbox
			p.Run(t.Context(), m, &out, byName)
			if m.State != tc.state || len(m.Recipients) != tc.stay {
				t.Errorf("state %s with %v, want %s with %d", m.State, m.Recipients, tc.state, tc.stay)
			}
			if got := entries(&out); got != tc.sent {
				t.Errorf("sent %q, want %q", got, tc.sent)
			}
			names := map[string]bool{}
			if m.State != container.StateGhost {
				names[m.Name] = true
			}
			for _, e := range out.Entries() {
				if names[e.Mail.Name] {
					t.Errorf("two mails called %s", e.Mail.Name)
				}
				names[e.Mail.Name] = true
			}
		})
	}
}

// What the processor of failures gets.
func TestFailure(t *testing.T) {
	p := testPolicy(nil)
	m := testMail("t1", "f1", "d1")
	p.count(m)
	p.count(m)
	var out container.Outbox
	var counted int
	p.Count = func(container.Outcome) { counted++ }
	p.Run(t.Context(), m, &out, byName)
	if counted != 3 {
		t.Errorf("counted %d outcomes", counted)
	}
	for i, want := range []struct {
		text, reply string
		code        int
		permanent   bool
	}{
		{"Test: delivery to f1@example.com failed: 550 5.1.1 nobody", "550 5.1.1 nobody", 550, true},
		{"Test: delivery to t1@example.com failed: 450 4.2.1 later", "450 4.2.1 later", 450, false},
	} {
		c := out.Entries()[i].Mail
		reply, _ := c.Attributes.String(container.AttrDeliveryError)
		code, _ := c.Attributes.Int(container.AttrDeliveryErrorCode)
		permanent, ok := c.Attributes.Bool(container.AttrPermanentError)
		o, _ := c.Outcome(c.Recipients[0])
		if c.ErrorMessage != want.text || reply != want.reply || code != want.code || permanent != want.permanent || !ok {
			t.Errorf("got %q, %q, %d, %t", c.ErrorMessage, reply, code, permanent)
		}
		if o.Result != container.Failed || o.Attempt != 3 || o.Time.IsZero() {
			t.Errorf("outcome %+v", o)
		}
		if p.Attempts(c) != 0 {
			t.Error("the counter went along")
		}
	}
	if _, ok := m.Attributes[AttrRetries]; ok {
		t.Error("the counter stays")
	}
	if o, _ := m.Outcome(m.Recipients[0]); o.Result != container.Delivered {
		t.Errorf("outcome %+v", o)
	}
}

// A mail goes round until it is given up, and never twice under one name.
func TestGivenUp(t *testing.T) {
	p := testPolicy(nil)
	m := testMail("t1", "d1")
	for n := 1; ; n++ {
		var out container.Outbox
		p.Run(t.Context(), m, &out, byName)
		m = out.Entries()[0].Mail
		if _, ok := m.Attributes[container.AttrSentByMailet]; ok != (n == 3) {
			t.Errorf("attempt %d: sent by a mailet is %t", n, ok)
		}
		if m.State == "error" {
			if n != 3 {
				t.Errorf("given up after %d attempts, want 3", n)
			}
			return
		}
		if n > 3 {
			t.Fatal("tried again for ever")
		}
	}
}

func TestBusy(t *testing.T) {
	p := testPolicy(nil)
	p.patience = 0
	var inner container.Outbox
	m, second := testMail("d1"), testMail("d2")
	p.count(second)
	p.Run(t.Context(), m, &container.Outbox{}, func(ctx context.Context, rcpts []container.Address) []container.Outcome {
		p.Run(ctx, second, &inner, func(context.Context, []container.Address) []container.Outcome {
			t.Error("delivered without a free place")
			return nil
		})
		return byName(ctx, rcpts)
	})
	if got := entries(&inner); got != "spool hand-over d2+10s" || second.State != container.StateGhost {
		t.Errorf("got %q, state %s", got, second.State)
	}
	if n := p.Attempts(inner.Entries()[0].Mail); n != 1 {
		t.Errorf("counted as attempt: %d", n)
	}
	var out container.Outbox
	if p.Run(t.Context(), testMail("d3"), &out, byName); out.Len() != 0 {
		t.Error("the place was not given back")
	}
}

// A mail with many recipients does not hold up the spool for longer than the
// limit and one batch.
func TestLimit(t *testing.T) {
	p := testPolicy(func(c *Config) { c.Batch, c.Limit = 1, time.Minute })
	now := time.Unix(0, 0)
	p.now = func() time.Time { return now }
	m := testMail("d1", "d2", "d3", "d4")
	p.count(m)
	var out container.Outbox
	p.Run(t.Context(), m, &out, func(ctx context.Context, rcpts []container.Address) []container.Outcome {
		now = now.Add(40 * time.Second)
		return byName(ctx, rcpts)
	})
	if got := entries(&out); got != "spool hand-over d3,d4+1s" || len(m.Recipients) != 2 {
		t.Errorf("got %q, delivered to %v", got, m.Recipients)
	}
	if n := p.Attempts(out.Entries()[0].Mail); n != 1 {
		t.Errorf("counted as attempt: %d", n)
	}
}

// A panic gives back the place.
func TestPanic(t *testing.T) {
	p := testPolicy(nil)
	p.patience = 0
	func() {
		defer func() { _ = recover() }()
		p.Run(t.Context(), testMail("d1"), &container.Outbox{}, func(context.Context, []container.Address) []container.Outcome { panic("x") })
	}()
	var out container.Outbox
	if p.Run(t.Context(), testMail("d1"), &out, byName); out.Len() != 0 {
		t.Error("the place was not given back")
	}
}

// The counter survives the store.
func TestCounterIsStored(t *testing.T) {
	p, other := testPolicy(nil), testPolicy(func(c *Config) { c.ID = "Pipe /bin/x {recipient}" })
	m := testMail("t1")
	p.count(m)
	other.count(m)
	other.count(m)
	b, err := json.Marshal(m.Attributes)
	if err != nil {
		t.Fatal(err)
	}
	m.Attributes = nil
	if err := json.Unmarshal(b, &m.Attributes); err != nil {
		t.Fatal(err)
	}
	if p.Attempts(m) != 1 || other.Attempts(m) != 2 {
		t.Errorf("got %d and %d from %s", p.Attempts(m), other.Attempts(m), b)
	}
}
