package bayes

import (
	"context"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestCount(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		want       map[string]int64
	}{
		{"words", "Buy now, buy NOW!!! it's $5 or 5€", map[string]int64{"Buy": 1, "now": 1, "buy": 1, "NOW!!!": 1, "it's": 1, "$5": 1, "or": 1, "5€": 1}},
		{"numbers", "12 1.5 1,000.00 a1 3. x\r\n", map[string]int64{"1.5": 1, "1,000.00": 1, "a1": 1, "x": 1}},
		{"headers", "Subject: big money\r\n big\r\nX-To: a To:b\nTo: c\n", map[string]int64{"Subject:big": 1, "Subject:money": 1, "big": 1, "X-To": 1, "a": 1, "To:b": 1, "To:c": 1}},
		{"letters", "größe 価格 \U0001F4B0 \xff\xfe z", map[string]int64{"größe": 1, "価格": 1, "z": 1}},
		{"too long", strings.Repeat("a", 89) + " " + strings.Repeat("b", 90) + "\nSubject: " + strings.Repeat("c", 82), map[string]int64{strings.Repeat("a", 89): 1}},
		{"line ends are no part", "one\r\ntwo\n\n\nth\rree", map[string]int64{"one": 1, "two": 1, "three": 1}},
		{"nothing", " \n;;", map[string]int64{}},
	} {
		if got, err := Count(strings.NewReader(tc.text)); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v, %v, want %v", tc.name, got, err, tc.want)
		}
	}
	if _, err := Count(iotest.ErrReader(context.Canceled)); err == nil {
		t.Error("an error of the reader is lost")
	}
	var b strings.Builder
	for i := range 3 * MaxTokens {
		fmt.Fprintf(&b, "t%d x ", i)
	}
	if got, _ := Count(strings.NewReader(b.String())); len(got) != MaxTokens || got["x"] != 3*MaxTokens {
		t.Errorf("%d tokens, x %d times", len(got), got["x"])
	}
}

func TestDegenerate(t *testing.T) {
	for token, want := range map[string][]string{
		"free":          nil,
		"Free":          {"free"},
		"FREE!!":        {"free!!", "Free!!", "FREE!", "free!", "Free!", "FREE", "free", "Free"},
		"Subject:FREE!": {"FREE!", "Subject:free!", "free!", "Subject:Free!", "Free!", "Subject:FREE", "FREE", "Subject:free", "free", "Subject:Free", "Free"},
		"!":             nil,
		"To:x":          {"x"},
	} {
		if got := degenerate(token); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", token, got, want)
		}
	}
}

// table is a Storage that holds what a test wants.
type table struct {
	counts   map[string][2]int64
	messages [2]int64
}

func (c *table) TokenCounts(_ context.Context, _ string, tokens []string) (map[string][2]int64, [2]int64, error) {
	out := map[string][2]int64{}
	for _, t := range tokens {
		if n, ok := c.counts[t]; ok {
			out[t] = n
		}
	}
	return out, c.messages, nil
}

func (c *table) LearnTokens(_ context.Context, _ string, spam bool, tokens map[string]int64) error {
	i := 0
	if spam {
		i = 1
	}
	for t, n := range tokens {
		v := c.counts[t]
		v[i] += n
		c.counts[t] = v
	}
	c.messages[i]++
	return nil
}

// The values are worked out by hand from the formulas of James's analyzer.
func TestScore(t *testing.T) {
	known := &table{map[string][2]int64{
		"spammy": {0, 11}, "spamlike": {0, 5}, "hammy": {11, 0}, "hamlike": {3, 0},
		"even": {5, 10}, "rare": {1, 3}, "single": {1, 10}, "some": {2, 20}, "often": {500, 1000},
	}, [2]int64{100, 100}}
	for _, tc := range []struct {
		text string
		want float64
	}{
		{"spammy", 0.9999}, {"spamlike", 0.9998}, {"hammy", 0.0001}, {"hamlike", 0.0002},
		{"even", 0.5}, {"rare", 0.4}, {"unheard", 0.4}, {"often", 0.5},
		{"single", 0.9998}, // a count of one does not count
		{"some", 0.2 / 0.24},
		{"spammy hammy", 0.5},
		{"some some", 0.2 / 0.24},
		{"SPAMMY!", 0.9999},
		{"Subject: Spammy", 0.9999},
		{"unheard even", 0.4},
		{"", 0},
	} {
		got, err := Score(t.Context(), known, "", strings.NewReader(tc.text))
		if err != nil || math.Abs(got-tc.want) > 1e-9 {
			t.Errorf("%q: got %v, %v, want %v", tc.text, got, err, tc.want)
		}
	}
	for _, messages := range [][2]int64{{}, {5, 0}, {0, 5}} {
		known.messages = messages
		if got, err := Score(t.Context(), known, "", strings.NewReader("spammy")); got != 0 || err != nil {
			t.Errorf("messages %v: got %v, %v, want 0", messages, got, err)
		}
	}
}

// Fifteen tokens count, and all further ones that say much, with the first that
// does not.
func TestCombine(t *testing.T) {
	c := &table{map[string][2]int64{}, [2]int64{1000, 1000}}
	var text strings.Builder
	for i := range 400 {
		fmt.Fprintf(&text, "s%03d h%03d ", i, i)
		c.counts[fmt.Sprintf("s%03d", i)] = [2]int64{0, 20}
		c.counts[fmt.Sprintf("h%03d", i)] = [2]int64{20, 0}
	}
	got, err := Score(t.Context(), c, "", strings.NewReader(text.String()))
	if err != nil || math.Abs(got-0.5) > 1e-6 {
		t.Errorf("as much of both: got %v, %v", got, err)
	}
	text.Reset()
	for i := range 30 {
		fmt.Fprintf(&text, "w%02d ", i)
		c.counts[fmt.Sprintf("w%02d", i)] = [2]int64{20, 80} // 80/120
	}
	want := 1 / (1 + math.Pow(0.5, 15))
	if got, err := Score(t.Context(), c, "", strings.NewReader(text.String())); err != nil || math.Abs(got-want) > 1e-9 {
		t.Errorf("weak tokens: got %v, %v, want %v", got, err, want)
	}
}

func TestLearn(t *testing.T) {
	c := &table{counts: map[string][2]int64{}}
	for range 5 {
		for i, text := range []string{"Subject: lunch\n\nsee you at noon", "Subject: pills\n\nbuy cheap pills"} {
			if err := Learn(t.Context(), c, "", i == 1, strings.NewReader(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for text, spam := range map[string]bool{"cheap pills for you": true, "noon is fine, see you": false} {
		if got, err := Score(t.Context(), c, "", strings.NewReader(text)); err != nil || got > 0.9 != spam {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
}

// Whatever comes, tokens are short, are text, and have a score between 0 and 1.
func FuzzScore(f *testing.F) {
	f.Add("Subject: FREE!!! 1.5,00\r\nTo: x", "free To:")
	f.Add("İI! \u212a", "ı\x00")
	f.Fuzz(func(t *testing.T, spam, ham string) {
		c := &table{counts: map[string][2]int64{}}
		for range 3 {
			for i, s := range []string{ham, spam} {
				if err := Learn(t.Context(), c, "", i == 1, strings.NewReader(s)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for token := range maps.Keys(c.counts) {
			if n := utf8.RuneCountInString(token); n == 0 || n >= maxToken || !utf8.ValidString(token) || strings.ContainsAny(token, "\r\n ") {
				t.Errorf("token %q", token)
			}
		}
		if p, err := Score(t.Context(), c, "", strings.NewReader(spam)); err != nil || !(p >= 0 && p <= 1) {
			t.Errorf("score %v, %v", p, err)
		}
	})
}
