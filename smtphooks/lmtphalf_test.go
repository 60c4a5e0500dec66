package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
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

func TestHalfDeliveredIsBounded(t *testing.T) {
	var h halfDelivered
	for i := range halfMessages + 10 {
		h.note(halfKey{byte(i), byte(i >> 8)}, map[string]bool{"a": true})
	}
	if n := len(h.list); n != halfMessages {
		t.Errorf("%d messages are remembered, want %d", n, halfMessages)
	}
	if n := len(h.accounts(halfKey{0, 0})); n != 0 {
		t.Error("the oldest is not the one that was forgotten")
	}
	h.note(halfKey{20, 0}, nil)
	if n := len(h.list); n != halfMessages-1 {
		t.Errorf("%d messages are remembered, want %d", n, halfMessages-1)
	}
}
