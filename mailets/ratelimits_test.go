package mailets

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/ratelimit"
)

// sized is a mail of so many octets.
func sized(sender string, octets int, rcpts ...string) *container.Mail {
	m := testMail(rcpts...)
	m.Sender = container.Address{}
	if sender != "" {
		m.Sender = container.MustAddress(sender)
	}
	m.Message = container.NewMessage(nil, container.BytesBody(strings.Repeat("x", octets-2)))
	return m
}

func TestRateLimits(t *testing.T) {
	const a, b, limited = "a@x.test", "b@x.test", "root limited"
	mail := func(sender string, octets int, rcpts ...string) *container.Mail {
		return sized(sender, octets, rcpts...)
	}
	for _, tc := range []struct {
		name, class, params string
		mails               []*container.Mail
		want                string // states
	}{
		{"count", "GlobalRateLimit", "<count>2</count>", []*container.Mail{mail(a, 10, b), mail("", 10, a), mail(b, 10, b)}, "root root limited"},
		{"no limit", "GlobalRateLimit", "", []*container.Mail{mail(a, 10, b), mail(a, 10, b)}, "root root"},
		{"recipients", "GlobalRateLimit", "<recipients>3</recipients>", []*container.Mail{mail(a, 10, a, b), mail(a, 10, a, b), mail(a, 10, a)}, "root limited root"},
		{"size", "GlobalRateLimit", "<size>1K</size>", []*container.Mail{mail(a, 1000, a, b), mail(a, 25, a), mail(a, 24, a)}, "root limited root"},
		{"total size", "GlobalRateLimit", "<totalSize>1K</totalSize>", []*container.Mail{mail(a, 500, a, b), mail(a, 25, a)}, "root limited"},
		{"no recipients", "GlobalRateLimit", "<recipients>1</recipients><totalSize>1</totalSize>", []*container.Mail{mail(a, 10), mail(a, 10)}, "root root"},
		{"each limit is charged", "GlobalRateLimit", "<count>2</count><recipients>1</recipients>", []*container.Mail{mail(a, 10, a, b), mail(a, 10, b), mail(a, 10, b)}, "limited root limited"},
		{"sender", "PerSenderRateLimit", "<count>1</count>", []*container.Mail{mail(a, 10, b), mail(b, 10, b), mail("A@X.test", 10, b)}, "root root limited"},
		{"null sender", "PerSenderRateLimit", "<count>1</count>", []*container.Mail{mail("", 10, b), mail("", 10, b)}, "root root"},
		{"sender size", "PerSenderRateLimit", "<size>15</size><totalSize>100</totalSize>", []*container.Mail{mail(a, 10, a, b), mail(a, 10, b), mail(b, 10, b)}, limited + " root"},
		{"recipient", "PerRecipientRateLimit", "<count>1</count>", []*container.Mail{mail(a, 10, a), mail(b, 10, "A@x.test"), mail(b, 10, b)}, limited + " root"},
		{"recipient size", "PerRecipientRateLimit", "<size>15</size>", []*container.Mail{mail(a, 10, a), mail(b, 10, a), mail(b, 10, b)}, limited + " root"},
		{"recipient, none", "PerRecipientRateLimit", "<count>1</count>", []*container.Mail{mail(a, 10), mail(a, 10)}, "root root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ma, problems := load(t, testRegistry(t), tc.class, "<duration>1 hour</duration><exceededProcessor>limited</exceededProcessor>"+tc.params)
			if len(problems) > 0 && tc.params != "" {
				t.Fatal(problems)
			}
			var states []string
			for _, m := range tc.mails {
				if out := serve(t, ma, m); out.Len() > 0 {
					t.Errorf("outbox has %v", out.Entries())
				}
				states = append(states, m.State)
			}
			if got := strings.Join(states, " "); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestPerRecipientRateLimitSplits(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "PerRecipientRateLimit", "<duration>60</duration><precision>10</precision><count>1</count><exceededProcessor>limited</exceededProcessor>")
	serve(t, ma, sized("a@x.test", 10, "busy@x.test"))
	m := sized("a@x.test", 10, "first@x.test", "busy@x.test", "last@x.test")
	m.Set("k", "v")
	out := serve(t, ma, m)
	if got := fmt.Sprint(m.Recipients); got != "[first@x.test last@x.test]" || m.State != "root" {
		t.Errorf("the mail keeps %s in %s", got, m.State)
	}
	if out.Len() != 1 {
		t.Fatalf("outbox has %d entries", out.Len())
	}
	c, e := out.Entries()[0].Mail, out.Entries()[0]
	if k, _ := c.Attributes.String("k"); fmt.Sprint(c.Recipients) != "[busy@x.test]" || c.State != "limited" || e.Queue != container.SpoolQueue || k != "v" || c.Name == m.Name {
		t.Errorf("the other mail is %+v in %s", c, e.Queue)
	}
}

// Mail to many recipients that waits for its turn is split more often than copies
// are made of copies elsewhere.
func TestPerRecipientRateLimitSplitsOften(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "PerRecipientRateLimit", "<duration>1h</duration><count>1</count><exceededProcessor>limited</exceededProcessor>")
	m := sized("a@x.test", 10)
	for i := range 20 {
		m.Recipients = append(m.Recipients, container.MustAddress(fmt.Sprintf("u%d@x.test", i)))
	}
	names := map[string]bool{}
	for i := range 19 {
		// Only the recipient u<i> has not had a mail.
		for _, r := range m.Recipients[1:] {
			serve(t, ma, sized("a@x.test", 10, r.String()))
		}
		c := onlyEntry(t, serve(t, ma, m))
		if got := container.AddressStrings(m.Recipients); len(got) != 1 || got[0] != fmt.Sprintf("u%d@x.test", i) || len(c.Recipients) != 19-i || c.State != "limited" || names[c.Name] {
			t.Fatalf("%d: the mail goes on to %v, %s to %v in %s", i, got, c.Name, c.Recipients, c.State)
		}
		names[c.Name] = true
		m = c
		ma = mustLoad(t, testRegistry(t), "PerRecipientRateLimit", "<duration>1h</duration><count>1</count><exceededProcessor>limited</exceededProcessor>")
	}
}

func TestRateLimitParameters(t *testing.T) {
	const d = "<duration>1m</duration>"
	for _, tc := range []struct{ class, params, want string }{
		{"GlobalRateLimit", "<count>1</count>", "error: <duration> is required"},
		{"GlobalRateLimit", "<duration>0</duration><count>1</count>", "error: <duration>: want at least one second"},
		{"GlobalRateLimit", "<duration>soon</duration><count>1</count>", "error: <duration>: "},
		{"GlobalRateLimit", d + "<count>0</count>", "error: <count>: want"},
		{"GlobalRateLimit", d + "<count>-3</count>", "error: <count>: want"},
		{"GlobalRateLimit", d + "<count>many</count>", "error: <count> is"},
		{"GlobalRateLimit", d + "<recipients>0</recipients>", "error: <recipients>: want"},
		{"GlobalRateLimit", d + "<size/>", "error: <size>: want"},
		{"GlobalRateLimit", d + "<size>1X</size>", "error: <size>: "},
		{"GlobalRateLimit", d + "<totalSize>0</totalSize>", "error: <totalSize>: want"},
		{"GlobalRateLimit", d, "warning: GlobalRateLimit has no limit"},
		{"GlobalRateLimit", d + "<precision>2m</precision><count>1</count>", "warning: <precision> is longer"},
		{"GlobalRateLimit", d + "<count>1</count><rateLimiterTimeout>0</rateLimiterTimeout>", "error: <rateLimiterTimeout>: want"},
		{"PerRecipientRateLimit", d + "<count>1</count><recipients>1</recipients>", "warning: <recipients> is not a parameter"},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if !strings.Contains(strings.Join(problems, "\n"), tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
	ma := mustLoad(t, testRegistry(t), "PerSenderRateLimit", d+"<count>1</count><keyPrefix>p</keyPrefix><rateLimiterTimeout>3</rateLimiterTimeout>")
	if got := fmt.Sprint(ma.(container.StateReferrer).ReferredStates()); got != "[error]" {
		t.Errorf("referred states are %s", got)
	}
}

// unreachable is a backend that never answers.
type unreachable struct{ *ratelimit.Counters }

func (unreachable) Take(ctx context.Context, _ []ratelimit.Charge) error {
	<-ctx.Done()
	return ctx.Err()
}

// Without an answer in time the mailet fails and has done nothing; the engine
// asks onMailetException.
func TestRateLimiterTimeout(t *testing.T) {
	r := container.NewRegistry()
	s := testServices(t)
	s.Rates = unreachable{ratelimit.NewCounters(nil, nil, nil)}
	Register(r, s)
	for _, class := range []string{"GlobalRateLimit", "PerSenderRateLimit", "PerRecipientRateLimit"} {
		ma := mustLoad(t, r, class, "<duration>1h</duration><count>1</count><rateLimiterTimeout>1 ms</rateLimiterTimeout>")
		m, out := sized("a@x.test", 10, "b@x.test"), &container.Outbox{}
		if err := ma.Service(t.Context(), m, out); !errors.Is(err, context.DeadlineExceeded) || m.State != "root" || out.Len() > 0 {
			t.Errorf("%s: got %v, the mail is in %s", class, err, m.State)
		}
	}
}

// Mailets with the same keyPrefix and window share counters, and are told so.
func TestRateLimitsShared(t *testing.T) {
	r := testRegistry(t)
	const params = "<duration>1h</duration><count>1</count><keyPrefix>p</keyPrefix>"
	first := mustLoad(t, r, "PerSenderRateLimit", params)
	second, problems := load(t, r, "PerSenderRateLimit", params)
	if !strings.Contains(strings.Join(problems, "\n"), "they share its counters") {
		t.Errorf("problems are %q", problems)
	}
	other := mustLoad(t, r, "PerSenderRateLimit", strings.Replace(params, ">p<", ">q<", 1))
	a, b, c := sized("a@x.test", 10, "b@x.test"), sized("a@x.test", 10, "b@x.test"), sized("a@x.test", 10, "b@x.test")
	serve(t, first, a)
	serve(t, second, b)
	serve(t, other, c)
	if a.State != "root" || b.State != "error" || c.State != "root" {
		t.Errorf("states are %s, %s, %s", a.State, b.State, c.State)
	}
}
