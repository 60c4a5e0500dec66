package sqlite

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
)

func TestBayes(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s, err := Open(dir, Options{Logger: quiet()})
	must(t, err)
	must(t, s.LearnTokens(ctx, "a", false, map[string]int64{"lunch": 2, `it's "x"`: 1, "€": 1}))
	must(t, s.LearnTokens(ctx, "a", true, map[string]int64{"lunch": 1, "pills": 3}))
	must(t, s.LearnTokens(ctx, "a", true, map[string]int64{"pills": 4}))
	must(t, s.LearnTokens(ctx, "b", true, map[string]int64{"lunch": 9}))
	must(t, s.LearnTokens(ctx, "c", true, nil))
	must(t, s.Close(ctx))
	s = openTest(t, dir)
	for _, tc := range []struct {
		corpus   string
		tokens   []string
		counts   map[string][2]int64
		messages [2]int64
	}{
		{"a", []string{"lunch", "pills", "other", "€", `it's "x"`}, map[string][2]int64{"lunch": {2, 1}, "pills": {0, 7}, "€": {1, 0}, `it's "x"`: {1, 0}}, [2]int64{1, 2}},
		{"a", nil, map[string][2]int64{}, [2]int64{1, 2}},
		{"b", []string{"lunch", "pills"}, map[string][2]int64{"lunch": {0, 9}}, [2]int64{0, 1}},
		{"c", []string{"x"}, map[string][2]int64{}, [2]int64{0, 1}},
		{"none", []string{"lunch"}, map[string][2]int64{}, [2]int64{}},
	} {
		counts, messages, err := s.TokenCounts(ctx, tc.corpus, tc.tokens)
		if err != nil || !reflect.DeepEqual(counts, tc.counts) || messages != tc.messages {
			t.Errorf("%s %q: got %v, %v, %v", tc.corpus, tc.tokens, counts, messages, err)
		}
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := s.TokenCounts(done, "a", []string{"x"}); err == nil {
		t.Error("a read that was given up has an answer")
	}
	if err := s.LearnTokens(done, "a", true, map[string]int64{"x": 1}); err == nil {
		t.Error("a message was learned that was given up")
	}
}

// Messages learned at once all count.
func TestBayesTogether(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, t.TempDir())
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := s.LearnTokens(ctx, "a", i%2 == 0, map[string]int64{"x": 2, fmt.Sprint("t", i): 1}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	counts, messages, err := s.TokenCounts(ctx, "a", []string{"x"})
	if err != nil || counts["x"] != [2]int64{50, 50} || messages != [2]int64{25, 25} {
		t.Errorf("got %v, %v, %v", counts, messages, err)
	}
}

// BenchmarkBayes learns and looks up the tokens of a long message.
func BenchmarkBayes(b *testing.B) {
	ctx := context.Background()
	s := openTest(b, b.TempDir())
	tokens := map[string]int64{}
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("token%d", i))
		tokens[list[i]] = 1
	}
	b.Run("learn", func(b *testing.B) {
		for b.Loop() {
			must(b, s.LearnTokens(ctx, "a", true, tokens))
		}
	})
	b.Run("look up", func(b *testing.B) {
		for b.Loop() {
			_, _, err := s.TokenCounts(ctx, "a", list)
			must(b, err)
		}
	})
}
