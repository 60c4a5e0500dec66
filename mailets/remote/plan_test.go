package remote

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func ptr(s string) *string { return &s }

// The rows of James's documentation and of the tables in the references, and
// the edges of the grammar.
func TestPlan(t *testing.T) {
	const absent = "-"
	for _, tc := range []struct {
		retries, delays string
		want            string // number of retries and their delays
		warn            string
	}{
		{absent, absent, "5 [6h0m0s 6h0m0s 6h0m0s 6h0m0s 6h0m0s]", ""},
		{"", absent, "5 [6h0m0s 6h0m0s 6h0m0s 6h0m0s 6h0m0s]", ""},
		{"3", "5000, 100000, 500000", "3 [5s 1m40s 8m20s]", ""},
		{"0", absent, "0 []", ""},
		{"0", "", "0 []", ""},
		{"0", "0*1s", "0 []", ""},
		{"0", "3*1h", "0 []", "no effect"},
		{"-1", absent, "1 [6h0m0s]", ""},
		{"-1", "", "0 []", "lists 0 retries"},
		{"3", "5*1h", "5 [1h0m0s 1h0m0s 1h0m0s 1h0m0s 1h0m0s]", "using 5"},
		{"6", "1m, 2*1h, 1d", "6 [1m0s 1h0m0s 1h0m0s 24h0m0s 24h0m0s 24h0m0s]", ""},
		{"3", "1s,bad,2s", "3 [1s 1s 1s]", "bad"},
		{"2", "1s, 2*3*4s", "2 [1s 1s]", "3*4s"},
		{"2", "1s, -5s", "2 [1s 1s]", "positive"},
		{"2", "1s, 5 parsecs", "2 [1s 1s]", "unknown unit"},
		{"2", "1s, x*5s", "2 [1s 1s]", "number of attempts"},
		{"2", "1s, -1*5s", "2 [1s 1s]", "number of attempts"},
		{"2", "bad", "5 [6h0m0s 6h0m0s 6h0m0s 6h0m0s 6h0m0s]", "bad"},
		{"2", "", "5 [6h0m0s 6h0m0s 6h0m0s 6h0m0s 6h0m0s]", "no delay"},
		{"many", "1s", "5 [6h0m0s 6h0m0s 6h0m0s 6h0m0s 6h0m0s]", "not a whole number"},
		{"2", ",,1s,,", "2 [1s 1s]", ""},
		{"2", "2 * 15 minutes", "2 [15m0s 15m0s]", ""},
		{"1", "1 msec", "1 [1ms]", ""},
		{"1", "2 weeks", "1 [336h0m0s]", ""},
		{"3", "0*1s, 1m", "3 [1m0s 1m0s 1m0s]", ""},
		{"2", "0*1s", "2 [1s 1s]", ""},
	} {
		var r, d *string
		if tc.retries != absent {
			r = ptr(tc.retries)
		}
		if tc.delays != absent {
			d = ptr(tc.delays)
		}
		p, warn := NewPlan(r, d)
		got := []time.Duration{}
		for i := range p.Retries {
			got = append(got, p.Delay(i+1))
		}
		if s := fmt.Sprint(p.Retries, got); s != tc.want {
			t.Errorf("maxRetries=%q delayTime=%q: got %s, want %s", tc.retries, tc.delays, s, tc.want)
		}
		if w := strings.Join(warn, "; "); !strings.Contains(w, tc.warn) || (tc.warn == "") != (w == "") {
			t.Errorf("maxRetries=%q delayTime=%q: got warnings %q, want one with %q", tc.retries, tc.delays, w, tc.warn)
		}
	}
}

func TestLongPlan(t *testing.T) {
	p, _ := NewPlan(ptr("25"), ptr("4*15 minutes, 2*3 hours, 18*6 hours"))
	count := map[time.Duration]int{}
	for i := range p.Retries {
		count[p.Delay(i+1)]++
	}
	if want := "map[15m0s:4 3h0m0s:2 6h0m0s:19]"; fmt.Sprint(count) != want {
		t.Errorf("got %v, want %s", count, want)
	}
	if d := (Plan{}).Delay(3); d != 6*time.Hour {
		t.Errorf("beyond an empty list: got %s, want 6h", d)
	}
	if p, _ := NewPlan(ptr("1"), ptr("999999999*1s,999999999*2s")); p.Retries != 2*maxAttempts {
		t.Errorf("got %d retries, want %d", p.Retries, 2*maxAttempts)
	}
}
