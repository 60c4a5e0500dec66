package smtphooks

import (
	"fmt"
	"testing"

	"github.com/mailetd/mailetd/container"
)

func TestDuplicateIsOneWithTheSameParameters(t *testing.T) {
	s := &Session{Tx: &Transaction{}}
	notify := func(v string) []Param { return []Param{{Name: "NOTIFY", Value: v, HasValue: true}} }
	for i, tc := range []struct {
		local  string
		params []Param
		again  bool
	}{
		{"bob", nil, false}, {"BOB", nil, true}, {"alice", nil, false}, {"bob", notify("NEVER"), false}, {"bob", notify("NEVER"), true},
		{"bob", notify("DELAY"), false}, {"bob", []Param{{Name: "NOTIFY"}}, false}, {"bob", append(notify("NEVER"), notify("DELAY")...), false},
		{"alice", nil, true}, {"bob", notify("DELAY"), true},
	} {
		r := Recipient{Address: container.Address{Local: tc.local, Domain: "here.test"}, Params: tc.params}
		d := SupressDuplicateRcptHandler{}.Rcpt(t.Context(), s, r)
		if d.Duplicate != tc.again || (d.Action == OK) != tc.again {
			t.Errorf("recipient %d: %+v, want a duplicate: %t", i, d, tc.again)
		}
		if !d.Duplicate {
			s.Tx.Recipients = append(s.Tx.Recipients, r)
		}
	}
	s.Tx = &Transaction{}
	if d := (SupressDuplicateRcptHandler{}).Rcpt(t.Context(), s, Recipient{Address: container.Address{Local: "bob", Domain: "here.test"}}); d.Duplicate {
		t.Error("a recipient of the transaction before is remembered")
	}
}

func BenchmarkManyRecipients(b *testing.B) {
	for b.Loop() {
		s := &Session{Tx: &Transaction{}}
		for i := range 20000 {
			r := Recipient{Address: container.Address{Local: fmt.Sprintf("user-%06d", i), Domain: "here.test"}}
			if d := (SupressDuplicateRcptHandler{}).Rcpt(b.Context(), s, r); d.Duplicate {
				b.Fatal("duplicate")
			}
			s.Tx.Recipients = append(s.Tx.Recipients, r)
		}
	}
}
