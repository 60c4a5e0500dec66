package amqp

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/mailets/amqp/amqptest"
)

func publisher(t *testing.T, change func(*Config), brokers ...*amqptest.Broker) *Publisher {
	t.Helper()
	c := Config{Exchange: "events", RoutingKey: "key", Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler)}
	for _, b := range brokers {
		c.URIs = append(c.URIs, "amqp://"+b.Addr())
	}
	if change != nil {
		change(&c)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

func batch(texts ...string) (out [][]byte) {
	for _, s := range texts {
		out = append(out, []byte(s))
	}
	return out
}

func TestPublish(t *testing.T) {
	b := amqptest.New(t)
	p := publisher(t, func(c *Config) { c.URIs[0] = "amqp://ann:p%40ss@" + b.Addr() + "/mail"; c.Kind = "topic" }, b)
	large := strings.Repeat("x", 20000) // several frames
	for range 2 {
		if err := p.Publish(t.Context(), batch("one", "", large)); err != nil {
			t.Fatal(err)
		}
	}
	got := b.Messages(t, 6)
	if len(got) != 6 || got[3] != (amqptest.Message{Exchange: "events", Key: "key", Body: "one"}) || got[4].Body != "" || got[5].Body != large {
		t.Errorf("got %d messages: %.200v", len(got), got)
	}
	opened, login, vhost, exchanges := b.Seen()
	if opened != 1 || login != "\x00ann\x00p@ss" || vhost != "mail" || exchanges["events"] != "topic" {
		t.Errorf("got %d connections, %q at %q, exchanges %v", opened, login, vhost, exchanges)
	}
}

// TestReconnect: what a connection that died had not confirmed is published again.
func TestReconnect(t *testing.T) {
	b := amqptest.New(t)
	p := publisher(t, nil, b)
	for i := range 3 {
		if err := p.Publish(t.Context(), batch(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		b.Disconnect()
	}
	if got := b.Messages(t, 3); len(got) != 3 {
		t.Errorf("got %v", got)
	}
	if opened, _, _, _ := b.Seen(); opened != 3 {
		t.Errorf("%d connections, want 3", opened)
	}
}

func TestTrouble(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer amqptest.Answer
		want   string
	}{
		{"refused", amqptest.Nack, "does not take the message"},
		{"no confirm", amqptest.Silent, "deadline exceeded"},
		{"lost", amqptest.Drop, "publish to exchange events: "},
		{"mute", amqptest.Mute, "deadline exceeded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := amqptest.New(t)
			b.Answer(tc.answer)
			p := publisher(t, func(c *Config) {
				if tc.answer == amqptest.Silent || tc.answer == amqptest.Mute {
					c.Timeout = 200 * time.Millisecond
				}
			}, b)
			if err := p.Publish(t.Context(), batch("a", "b")); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			b.Answer(amqptest.Ack)
			p.now = func() time.Time { return time.Now().Add(time.Hour) }
			if err := p.Publish(t.Context(), batch("c")); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestPause: after a failure the next ones need not wait.
func TestPause(t *testing.T) {
	b := amqptest.New(t)
	b.Close()
	now := time.Now()
	p := publisher(t, nil, b)
	p.now = func() time.Time { return now }
	if err := p.Publish(t.Context(), batch("a")); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
	if err := p.Publish(t.Context(), batch("a")); err == nil || !strings.Contains(err.Error(), "a moment ago") {
		t.Errorf("got %v", err)
	}
	now = now.Add(pause)
	if err := p.Publish(t.Context(), batch("a")); err == nil || strings.Contains(err.Error(), "a moment ago") {
		t.Errorf("got %v", err)
	}
}

func TestFailover(t *testing.T) {
	dead, mute, good := amqptest.New(t), amqptest.New(t), amqptest.New(t)
	dead.Close()
	mute.Answer(amqptest.Mute)
	p := publisher(t, func(c *Config) {
		c.Timeout = 3 * time.Second
		c.URIs[0] = "amqp://ann:secret@" + dead.Addr() + "/mail"
	}, dead, mute, good)
	if err := p.Publish(t.Context(), batch("a")); err != nil {
		t.Fatal(err)
	}
	if _, login, vhost, _ := good.Seen(); login != "\x00ann\x00secret" || vhost != "mail" {
		t.Errorf("got %q at %q, want what the first URI has", login, vhost)
	}
}

// TestExchangeIsOther: an exchange that was declared otherwise is used, with one
// warning.
func TestExchangeIsOther(t *testing.T) {
	b := amqptest.New(t)
	b.Conflict()
	var log bytes.Buffer
	p := publisher(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) }, b)
	for range 2 {
		if err := p.Publish(t.Context(), batch("a")); err != nil {
			t.Fatal(err)
		}
		b.Disconnect()
	}
	if n := strings.Count(log.String(), "other properties"); n != 1 {
		t.Errorf("%d warnings, want one:\n%s", n, log.String())
	}
}

func TestManyAtOnce(t *testing.T) {
	b := amqptest.New(t)
	p := publisher(t, nil, b)
	errs := make(chan error)
	for i := range 20 {
		go func() { errs <- p.Publish(t.Context(), batch(fmt.Sprint(i), fmt.Sprint(i))) }()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	opened, _, _, _ := b.Seen()
	if got := b.Messages(t, 40); len(got) != 40 || opened != 1 {
		t.Errorf("%d messages over %d connections", len(got), opened)
	}
}

func TestEnded(t *testing.T) {
	b := amqptest.New(t)
	p, err := New(Config{URIs: []string{"amqp://" + b.Addr()}, Exchange: "x", Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
	if err := p.Publish(t.Context(), batch("a")); err == nil {
		t.Error("published after the end")
	}
}

func TestNew(t *testing.T) {
	for _, tc := range []struct{ uri, kind, want string }{
		{"amqp://h", "", ""},
		{"amqps://u:p@h:1/v?heartbeat=5", "fanout", ""},
		{"http://h", "", "want a URI"},
		{"amqp:h", "", "want a URI"},
		{"amqp://u:secret@h:x/", "", "want a URI"},
		{"amqp://u:sec%zzret@h", "", "want a URI"},
		{"amqp://u:secret@h?channel_max=x", "", "channel_max"},
		{"amqp://h", "queue", "exchange type"},
	} {
		_, err := New(Config{URIs: []string{tc.uri}, Kind: tc.kind, Exchange: "x"})
		if (err == nil) != (tc.want == "") || err != nil && (!strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s %s: got %v, want %q", tc.uri, tc.kind, err, tc.want)
		}
	}
}
