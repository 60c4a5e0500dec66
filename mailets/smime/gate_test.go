package smime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// TestGate: those that are within never take more than there is, everybody gets
// his turn, and who is small does not wait.
func TestGate(t *testing.T) {
	const mib = 20
	g := newGate(mib)
	var within, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			size := int64(i%4+1) << 19
			leave, err := g.Enter(context.Background(), size)
			if err != nil {
				t.Error(err)
				return
			}
			n := within.Add(min(memory(size)>>20, mib))
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			within.Add(-min(memory(size)>>20, mib))
			leave()
		})
	}
	wg.Wait()
	if n := most.Load(); n > mib || n == 0 {
		t.Errorf("%d MiB at once, want at most %d", n, mib)
	}
	if len(g.tokens) != 0 || len(g.turn) != 0 {
		t.Errorf("%d tokens and %d turns are not given back", len(g.tokens), len(g.turn))
	}
}

func TestGateWaits(t *testing.T) {
	g := NewGate()
	leave, err := g.Enter(t.Context(), maxContent)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.Enter(ctx, maxContent); !errors.Is(err, context.Canceled) {
		t.Errorf("a second large message: %v", err)
	}
	if small, err := g.Enter(ctx, 100_000); err != nil {
		t.Errorf("a small message: %v", err)
	} else {
		small()
	}
	leave()
	if len(g.tokens) != 0 || len(g.turn) != 0 {
		t.Errorf("%d tokens and %d turns are not given back", len(g.tokens), len(g.turn))
	}
	var none *Gate
	if leave, err = none.Enter(ctx, maxContent); err != nil {
		t.Fatal(err)
	}
	leave()
}

// TestFewElements: a small message cannot be made of very many values.
func TestFewElements(t *testing.T) {
	for size, want := range map[int]bool{100: true, 3000: false, 300_000: false} {
		data := make([]byte, 0, size+4)
		data = append(data, 0x30, 0x80)
		for len(data) < size {
			data = append(data, 0x05, 0x00)
		}
		if _, err := toDER(append(data, 0, 0)); (err == nil) != want {
			t.Errorf("%d octets: %v", size, err)
		}
	}
}
