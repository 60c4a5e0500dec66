// Package logctx carries log attributes in a context, so that every line about
// a mail says which mail, processor and mailet it is about without each mailet
// repeating it.
package logctx

import (
	"context"
	"log/slog"
	"slices"
)

type key struct{}

// node is a context, and what With or WithSource added to it.
type node struct {
	context.Context
	attrs  []slog.Attr
	source Source
}

// Value implements context.Context.
func (n *node) Value(k any) any {
	if _, ok := k.(key); ok {
		return n
	}
	return n.Context.Value(k)
}

// Source says its attributes when a line is written, and not before: for
// contexts that are made far more often than anything is logged.
type Source interface{ LogAttrs() []slog.Attr }

// With returns a context whose log lines carry attrs too. An attribute takes the
// place of one with the same key that the context has.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	return &node{Context: ctx, attrs: attrs}
}

// WithSource is With for the attributes that s names when a line is written.
func WithSource(ctx context.Context, s Source) context.Context {
	return &node{Context: ctx, source: s}
}

func of(ctx context.Context) *node {
	n, _ := ctx.Value(key{}).(*node)
	return n
}

// collect appends the attributes of n and those before it, outermost first.
func (n *node) collect(out []slog.Attr) []slog.Attr {
	if n == nil {
		return out
	}
	out = of(n.Context).collect(out)
	own := n.attrs
	if n.source != nil {
		own = n.source.LogAttrs()
	}
	for _, a := range own {
		if i := index(out, a.Key); i >= 0 {
			out[i] = a
		} else {
			out = append(out, a)
		}
	}
	return out
}

func index(list []slog.Attr, key string) int {
	return slices.IndexFunc(list, func(a slog.Attr) bool { return a.Key == key })
}

// Handler returns a handler that adds the attributes of the context to each
// line and passes it to h. What the line says itself goes before the context:
// no key is on it twice.
func Handler(h slog.Handler) slog.Handler { return handler{h} }

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if n := of(ctx); n != nil {
		attrs := n.collect(make([]slog.Attr, 0, 8))
		r.Attrs(func(a slog.Attr) bool {
			if i := index(attrs, a.Key); i >= 0 {
				attrs = slices.Delete(attrs, i, i+1)
			}
			return true
		})
		r = r.Clone()
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
