package crowdsec

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// engine answers with body, and counts what it is asked.
type engine struct {
	mu     sync.Mutex
	status int
	body   string
	asked  []string
	hang   bool
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	e.asked = append(e.asked, r.URL.Path+"?"+r.URL.RawQuery+" "+r.Header.Get("X-Api-Key"))
	status, body, hang := e.status, e.body, e.hang
	e.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func (e *engine) set(status int, body string, hang bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status, e.body, e.hang = status, body, hang
}

func (e *engine) questions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.asked)
}

func start(t *testing.T, timeout time.Duration) (*Client, *engine, *time.Time) {
	t.Helper()
	e := &engine{status: 200, body: "null"}
	s := httptest.NewServer(e)
	t.Cleanup(s.Close)
	c, err := New(Config{URL: s.URL + "/v1/", APIKey: "secret", Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	clock := time.Unix(1e9, 0)
	c.now = func() time.Time { return clock }
	return c, e, &clock
}

func decision(scope, value string) string {
	return fmt.Sprintf(`[{"duration":"3h58m","id":7,"origin":"cscli","scenario":"x","scope":%q,"type":"ban","value":%q}]`, scope, value)
}

func TestBanned(t *testing.T) {
	for _, tc := range []struct {
		ip, body string
		want     bool
	}{
		{"192.0.2.1", "null", false}, {"192.0.2.1", "[]", false},
		{"192.0.2.1", decision("Ip", "192.0.2.1"), true}, {"::ffff:192.0.2.1", decision("Ip", "192.0.2.1"), true},
		{"192.0.2.11", decision("Ip", "192.0.2.1"), false}, {"192.0.2.1", decision("Ip", "192.0.2.11"), false},
		{"192.0.2.1", decision("Range", "192.0.2.0/24"), true}, {"192.0.2.1", decision("range", "192.0.2.77/24"), true},
		{"192.0.3.1", decision("Range", "192.0.2.0/24"), false}, {"2001:db8::1", decision("Range", "2001:db8::/32"), true},
		{"2001:db8::1", decision("Ip", "2001:0db8:0::1"), true}, {"192.0.2.1", decision("Range", "nonsense"), false},
		{"192.0.2.1", decision("Country", "XX"), false},
	} {
		c, e, _ := start(t, 5*time.Second)
		e.set(200, tc.body, false)
		d, err := c.Banned(context.Background(), netip.MustParseAddr(tc.ip))
		if err != nil || (d != nil) != tc.want {
			t.Errorf("%s with %s: got %v, %v", tc.ip, tc.body, d, err)
		}
		if want := "/v1/decisions?ip=" + strings.ReplaceAll(strings.TrimPrefix(tc.ip, "::ffff:"), ":", "%3A") + " secret"; !slices.Equal(e.questions(), []string{want}) {
			t.Errorf("asked %q, want %q", e.questions(), want)
		}
	}
}

// TestAnswersAreKept: for a minute, each address for itself; also when the clock
// is set back.
func TestAnswersAreKept(t *testing.T) {
	c, e, clock := start(t, 5*time.Second)
	for i, step := range []struct {
		after time.Duration
		ip    string
		body  string
		want  bool
		asked int
	}{
		{0, "192.0.2.1", decision("Ip", "192.0.2.1"), true, 1}, {59 * time.Second, "192.0.2.1", "null", true, 1},
		{0, "192.0.2.2", "null", false, 2}, {time.Second, "192.0.2.1", "null", false, 3},
		{0, "192.0.2.1", decision("Ip", "192.0.2.1"), false, 3}, {-time.Hour, "192.0.2.1", decision("Ip", "192.0.2.1"), true, 4},
	} {
		*clock = clock.Add(step.after)
		e.set(200, step.body, false)
		d, err := c.Banned(context.Background(), netip.MustParseAddr(step.ip))
		if err != nil || (d != nil) != step.want || len(e.questions()) != step.asked {
			t.Errorf("step %d: got %v, %v, asked %d times", i, d, err, len(e.questions()))
		}
	}
	for i := range maxAnswers + 10 {
		c.note(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), answer{})
	}
	if len(c.answers) > maxAnswers {
		t.Errorf("%d answers kept", len(c.answers))
	}
}

// TestFailure: each is an error, and then the engine has a rest.
func TestFailure(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		hang   bool
		want   string
	}{
		{"key", 403, `{"message":"access forbidden"}`, false, "does not know the apiKey"},
		{"status", 500, "", false, "answers 500"},
		{"redirect", 302, "", false, "answers 302"},
		{"no JSON", 200, "<html>", false, "not readable"},
		{"too long", 200, "[" + strings.Repeat(" ", maxBody) + "]", false, "more than"},
		{"silence", 200, "", true, "deadline exceeded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timeout := 5 * time.Second
			if tc.hang {
				timeout = 20 * time.Millisecond
			}
			c, e, clock := start(t, timeout)
			e.set(tc.status, tc.body, tc.hang)
			ip := netip.MustParseAddr("192.0.2.1")
			if _, err := c.Banned(context.Background(), ip); err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v", err)
			}
			if _, err := c.Banned(context.Background(), ip); !errors.Is(err, ErrPaused) {
				t.Errorf("then %v", err)
			}
			*clock = clock.Add(pause)
			e.set(200, "null", false)
			c.timeout = 5 * time.Second
			if d, err := c.Banned(context.Background(), ip); d != nil || err != nil {
				t.Errorf("later %v, %v", d, err)
			}
		})
	}
}

// TestCallerGivesUp: that is no failure of the engine.
func TestCallerGivesUp(t *testing.T) {
	c, _, _ := start(t, 5*time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Banned(ctx, netip.MustParseAddr("192.0.2.1")); err == nil {
		t.Error("no error")
	}
	if _, err := c.Banned(context.Background(), netip.MustParseAddr("192.0.2.1")); err != nil {
		t.Errorf("then %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, tc := range []struct {
		c    Config
		want string
	}{
		{Config{"", "k", 1}, "crowdsecUrl"}, {Config{"crowdsec:8080", "k", 1}, "crowdsecUrl"}, {Config{"ftp://x/", "k", 1}, "crowdsecUrl"},
		{Config{"http://x/v1", "", 1}, "apiKey"}, {Config{"http://x/v1", "a\r\nb", 1}, "apiKey"}, {Config{"http://x/v1", "k", 0}, "timeout"},
		{Config{"https://x/v1", "k", 1}, ""},
	} {
		if _, err := New(tc.c); (err == nil) != (tc.want == "") || err != nil && !strings.HasPrefix(err.Error(), tc.want+": ") {
			t.Errorf("%v: %v", tc.c, err)
		}
	}
}

// TestAskedOnce: many connections of one client at once are one question, so that
// nobody gets in by keeping the engine busy.
func TestAskedOnce(t *testing.T) {
	c, e, _ := start(t, 5*time.Second)
	e.set(200, decision("Ip", "192.0.2.1"), false)
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range 50 {
		wg.Go(func() {
			<-begin
			if d, err := c.Banned(context.Background(), netip.MustParseAddr("192.0.2.1")); d == nil || err != nil {
				t.Errorf("got %v, %v", d, err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if n := len(e.questions()); n != 1 {
		t.Errorf("asked %d times", n)
	}
	// A failure is one failure for all who wait, and the next question is asked anew.
	e.set(500, "", false)
	for range 2 {
		c.until = time.Time{}
		if _, err := c.Banned(context.Background(), netip.MustParseAddr("192.0.2.2")); err == nil || errors.Is(err, ErrPaused) {
			t.Errorf("got %v", err)
		}
	}
	if n := len(e.questions()); n != 3 || len(c.asking) != 0 {
		t.Errorf("asked %d times, %d questions are open", n, len(c.asking))
	}
}
