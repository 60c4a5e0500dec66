package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// tableLocal is here.test with the user bob, and mappings by local part.
type tableLocal struct{ Local }

func (tableLocal) IsLocalDomain(_ context.Context, d string) (bool, error) {
	return d == "here.test", nil
}

func (tableLocal) UserExists(_ context.Context, a container.Address) (bool, error) {
	if a.Local == "broken" {
		return false, errors.New("disk on fire")
	}
	return a.Key() == "bob@here.test", nil
}

func (tableLocal) Resolve(_ context.Context, a container.Address, _ ...local.MappingType) ([]local.Mapping, error) {
	bob, far := local.Mapping{Type: local.MapAlias, Target: "bob@here.test"}, local.Mapping{Type: local.MapAddress, Target: "x@far.test"}
	switch a.Local {
	case "good":
		return []local.Mapping{bob}, nil
	case "mixed":
		return []local.Mapping{far, bob}, nil
	case "far":
		return []local.Mapping{far}, nil
	case "error":
		return []local.Mapping{{Type: local.MapError, Target: "550 gone"}, bob}, nil
	case "gone":
		return nil, fmt.Errorf("resolve: %w", &local.MappingError{Text: "gone"})
	case "loop":
		return nil, fmt.Errorf("resolve: %w", local.ErrTooManyMappings)
	case "tablebroken":
		return nil, errors.New("disk on fire")
	}
	return nil, nil
}

func TestValidRcpt(t *testing.T) {
	const ok, no, soft = 0, 550, 451
	for _, tc := range []struct {
		user                  string
		exists, any, all, off int
	}{
		{"bob", ok, ok, ok, ok},
		{"nobody", no, no, no, no},
		{"good", ok, ok, ok, no},
		{"mixed", ok, ok, no, no},
		{"far", ok, no, no, no},
		{"error", ok, ok, no, no},
		{"gone", ok, no, no, no},
		{"loop", ok, no, no, no},
		{"broken", soft, soft, soft, soft},
		{"tablebroken", soft, soft, soft, no},
	} {
		for xml, want := range map[string]int{
			"": tc.exists,
			"<recipientRewriteTableCheck>mappingExists</recipientRewriteTableCheck>":    tc.exists,
			"<recipientRewriteTableCheck>ANYMappingValid</recipientRewriteTableCheck>":  tc.any,
			"<recipientRewriteTableCheck>allMappingsValid</recipientRewriteTableCheck>": tc.all,
			"<enableRecipientRewriteTable>false</enableRecipientRewriteTable>":          tc.off,
		} {
			r := &conf.Report{}
			h := newValidRcpt(conf.ParseParams("<handler>"+xml+"</handler>", r), Services{Local: tableLocal{}, Log: slog.New(slog.DiscardHandler)})
			d := h.(RcptHook).Rcpt(context.Background(), nil, Recipient{Address: container.Address{Local: tc.user, Domain: "here.test"}})
			if d.Code != want || len(r.Problems()) > 0 {
				t.Errorf("%s with %q: got %d, want %d, problems %v", tc.user, xml, d.Code, want, r.Problems())
			}
		}
	}
	h := newValidRcpt(conf.ParseParams("<handler/>", &conf.Report{}), Services{Local: tableLocal{}})
	if d := h.(RcptHook).Rcpt(context.Background(), nil, Recipient{Address: container.MustAddress("x@far.test")}); d.decides() {
		t.Errorf("a foreign recipient: %+v", d)
	}
}

func TestValidRcptSubAddressing(t *testing.T) {
	load := func(xml string) RcptHook {
		return newValidRcpt(conf.ParseParams(xml, &conf.Report{}), Services{Local: tableLocal{}, Log: slog.New(slog.DiscardHandler)}).(RcptHook)
	}
	plain, sub := load("<handler/>"), load("<handler><subAddressing>true</subAddressing><acceptPostmaster>true</acceptPostmaster></handler>")
	for local, want := range map[string]int{"bob+lists": 0, "bob+": 0, "bob+a+b": 0, "nobody+lists": 550, "+lists": 550, `"bob+lists"`: 550, "good+x": 550, "postmaster+x": 550, "broken+x": 451, "bob": 0} {
		rcpt := Recipient{Address: container.Address{Local: local, Domain: "here.test"}}
		if d := sub.Rcpt(context.Background(), nil, rcpt); d.Code != want {
			t.Errorf("%s: got %d, want %d", local, d.Code, want)
		}
		if d := plain.Rcpt(context.Background(), nil, rcpt); (d.Code == 0) != (local == "bob") {
			t.Errorf("%s without subAddressing: got %d", local, d.Code)
		}
	}
}
