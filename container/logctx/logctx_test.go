package logctx_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/mailetd/mailetd/container/logctx"
)

type source string

func (s source) LogAttrs() []slog.Attr { return []slog.Attr{slog.String("mailet", string(s))} }

func TestNoKeyTwice(t *testing.T) {
	ctx := logctx.With(context.Background(), slog.String("id", "I"), slog.String("mail", "M"))
	for _, tc := range []struct {
		name string
		ctx  context.Context
		args []any
		want string
	}{
		{"no context", context.Background(), []any{"a", 1}, "a=1\n"},
		{"context", ctx, []any{"a", 1}, "a=1 id=I mail=M\n"},
		{"the line goes first", ctx, []any{"mail", "X", "a", 1}, "mail=X a=1 id=I\n"},
		{"the inner context goes first", logctx.With(ctx, slog.String("id", "J"), slog.Int("n", 2)), nil, "id=J mail=M n=2\n"},
		{"source", logctx.WithSource(logctx.WithSource(ctx, source("Outer")), source("Null")), nil, "id=I mail=M mailet=Null\n"},
	} {
		var b bytes.Buffer
		drop := func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey {
				return slog.Attr{}
			}
			return a
		}
		log := slog.New(logctx.Handler(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: drop})))
		log.InfoContext(tc.ctx, "hi", tc.args...)
		if b.String() != tc.want {
			t.Errorf("%s: got %q, want %q", tc.name, b.String(), tc.want)
		}
	}
}

// Two contexts made of one do not write into each other.
func TestSiblings(t *testing.T) {
	base := logctx.With(context.Background(), slog.String("a", "1"))
	one, two := logctx.With(base, slog.String("b", "2")), logctx.With(base, slog.String("b", "3"))
	var b bytes.Buffer
	log := slog.New(logctx.Handler(slog.NewJSONHandler(&b, nil)))
	log.InfoContext(two, "x")
	b.Reset()
	log.InfoContext(one, "x")
	if !bytes.Contains(b.Bytes(), []byte(`"a":"1","b":"2"`)) {
		t.Error(b.String())
	}
}
