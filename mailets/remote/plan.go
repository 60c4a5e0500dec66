package remote

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
)

// James's defaults, and what it falls back to when the retry parameters make no
// sense (RemoteDeliveryConfiguration, DelaysAndMaxRetry).
const (
	defaultRetries = 5
	defaultDelay   = 6 * time.Hour
)

// Plan says how often a mail is retried and how long each retry waits.
type Plan struct {
	Retries int
	waits   []wait
}

// wait is one element of delayTime: n retries, each after a delay.
type wait struct {
	n     int
	delay time.Duration
}

// Delay returns how long the n-th retry waits, counting from 1: as listed, the
// last delay repeated, and six hours when nothing is listed.
func (p Plan) Delay(n int) time.Duration {
	last := defaultDelay
	for _, w := range p.waits {
		if n <= w.n {
			return w.delay
		}
		n -= w.n
		last = w.delay
	}
	return last
}

// until returns when the last retry is due, if the n-th is the next one and its
// delay begins now.
func (p Plan) until(now time.Time, n int) time.Time {
	sum, end := 0.0, 0
	for _, w := range p.waits {
		begin := end
		end += w.n
		sum += float64(w.delay) * float64(max(0, min(end, p.Retries)-max(begin, n-1)))
	}
	sum += float64(p.Delay(end+1)) * float64(max(0, p.Retries-max(end, n-1)))
	if sum >= math.MaxInt64 {
		return now.Add(math.MaxInt64)
	}
	return now.Add(time.Duration(sum))
}

func defaultPlan() Plan {
	return Plan{Retries: defaultRetries, waits: []wait{{defaultRetries, defaultDelay}}}
}

// NewPlan reads the parameters maxRetries and delayTime; nil stands for an
// absent element. Problems are described in warnings, never fatal, as in James.
//
// Unlike in James, maxRetries 0 always means no retry: there, one retry after
// six hours follows unless delayTime is given and empty.
func NewPlan(maxRetries, delayTime *string) (p Plan, warnings []string) {
	limit := defaultRetries
	if maxRetries != nil && strings.TrimSpace(*maxRetries) != "" {
		n, err := strconv.Atoi(strings.TrimSpace(*maxRetries))
		if err != nil {
			return defaultPlan(), []string{fmt.Sprintf("maxRetries is %q, not a whole number; using %d retries, %s apart", *maxRetries, defaultRetries, "6 hours")}
		}
		limit = n
	}
	waits := []wait{{1, defaultDelay}}
	if delayTime != nil {
		var err error
		if waits, err = parseDelays(*delayTime); err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	total := 0
	for _, w := range waits {
		total += w.n
	}
	switch {
	case limit == 0:
		if delayTime != nil && total > 0 {
			warnings = append(warnings, "maxRetries is 0: there are no retries, and delayTime has no effect")
		}
		return Plan{}, warnings
	case total > limit:
		if delayTime != nil {
			warnings = append(warnings, fmt.Sprintf("delayTime lists %d retries, maxRetries %d; using %d", total, limit, total))
		}
		limit = total
	case total < limit && len(waits) == 0:
		return defaultPlan(), append(warnings, fmt.Sprintf("delayTime lists no delay; using %d retries, 6 hours apart", defaultRetries))
	}
	return Plan{Retries: limit, waits: waits}, warnings
}

// maxAttempts bounds one element's number, so that sums cannot overflow.
const maxAttempts = 1 << 20

// parseDelays reads "[n *] delay [unit], ...". Empty elements are skipped; a
// bad one drops itself and everything behind it, as in James.
func parseDelays(s string) ([]wait, error) {
	var out []wait
	for _, elem := range strings.Split(s, ",") {
		if strings.TrimSpace(elem) == "" {
			continue
		}
		w, err := parseWait(elem)
		if err != nil {
			return out, fmt.Errorf("delayTime: %w; this element and those behind it are ignored", err)
		}
		out = append(out, w)
	}
	return out, nil
}

func parseWait(elem string) (wait, error) {
	w := wait{n: 1}
	text := elem
	if count, rest, ok := strings.Cut(elem, "*"); ok {
		n, err := strconv.Atoi(strings.TrimSpace(count))
		if err != nil || n < 0 {
			return w, fmt.Errorf("%q: want a number of attempts before *", strings.TrimSpace(elem))
		}
		w.n, text = min(n, maxAttempts), rest
	}
	d, err := conf.ParseDuration(text, time.Millisecond)
	if err != nil {
		return w, err
	}
	w.delay = d
	return w, nil
}
