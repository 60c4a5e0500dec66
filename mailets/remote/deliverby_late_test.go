package remote

import (
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

// putOff returns what becomes of a mail for bob and carol, of whom the first was
// put off and the second got it.
func putOff(r *rig, m *container.Mail, interrupted bool) []container.Entry {
	a := r.in.newAttempt(m)
	a.note(0, false, container.Outcome{Result: container.Deferred, Code: 451, Enhanced: "4.7.1", Text: "later", Host: "mx.there.test"}, "")
	a.note(1, false, container.Outcome{Result: container.Relayed, Code: 250, Enhanced: "2.0.0", Text: "ok"}, "")
	a.interrupted = interrupted
	return a.entries("there.test")
}

// TestDeliverByOverMeanwhile: when the time ends while hosts are tried, a mail with
// R is given back at once, not after the wait for a retry.
func TestDeliverByOverMeanwhile(t *testing.T) {
	c := testConfig()
	c.Plan, _ = NewPlan(ptr("3"), ptr("6 hours"))
	r := newRig(t, c, withReports)
	for _, tc := range []struct {
		mode        string
		left        time.Duration
		interrupted bool
		queued      bool
	}{
		{"R", -time.Second, false, false}, {"RT", 500 * time.Millisecond, false, false}, {"R", time.Hour, false, true},
		{"N", -time.Second, false, true}, {"R", -time.Second, true, true},
	} {
		queued, bounced := 0, 0
		for _, e := range putOff(r, byMail(tc.left, tc.mode, "bob@there.test", "carol@there.test"), tc.interrupted) {
			switch {
			case e.Queue == "outgoing":
				queued++
			case e.Mail.State == "bounces":
				bounced++
				o, _ := e.Mail.Outcome(e.Mail.Recipients[0])
				if len(e.Mail.Recipients) != 1 || o.Result != container.Failed || o.Enhanced != "5.4.7" || o.Host != "" || !strings.Contains(o.Text, "4.7.1 later") {
					t.Errorf("%v: bounced for %v: %+v", tc, e.Mail.Recipients, o)
				}
			}
		}
		if queued+bounced != 1 || (queued == 1) != tc.queued {
			t.Errorf("%v: queued %d times, bounced %d times", tc, queued, bounced)
		}
	}
}

// TestDeliverByWhileOtherMailFails: a mail that waited while another one found out
// that its destination is down is given back, too.
func TestDeliverByWhileOtherMailFails(t *testing.T) {
	c := testConfig()
	c.Plan, _ = NewPlan(ptr("3"), ptr("6 hours"))
	r := newRig(t, c, withReports)
	other := r.in.newAttempt(newMail("bob@there.test"))
	other.note(0, false, container.Outcome{Result: container.Deferred, Enhanced: "4.4.1", Text: "nobody there"}, "")
	a := r.in.newAttempt(byMail(-time.Second, "R", "bob@there.test"))
	a.adopt(other)
	if e := a.entries("there.test"); len(e) != 1 || e[0].Mail.State != "bounces" {
		t.Errorf("got %+v", e)
	}
}

// TestDeliverByRetryIsExtra: the attempt that the end of the time asks for is none
// of those that the plan has: with N a mail is given up no earlier than without.
func TestDeliverByRetryIsExtra(t *testing.T) {
	c := testConfig()
	c.Plan, _ = NewPlan(ptr("1"), ptr("6 hours"))
	r := newRig(t, c, withReports)
	m, names := byMail(time.Hour, "N", "bob@there.test", "carol@there.test"), map[string]bool{}
	m.Set(attrExtraRetries, int32(7)) // it was here before
	for i, want := range []time.Duration{time.Hour, 6 * time.Hour, 0} {
		var next *container.Mail
		for _, e := range putOff(r, m, false) {
			if names[e.Mail.Name] {
				t.Errorf("attempt %d: %s has the name of a mail before", i, describe(e.Mail))
			}
			names[e.Mail.Name] = e.Queue != "outgoing"
			switch {
			case e.Queue == "outgoing":
				next = e.Mail
				if e.Delay > want || e.Delay < want-time.Minute {
					t.Errorf("attempt %d: waits %v, want %v", i, e.Delay, want)
				}
			case e.Mail.State == "bounces" && want != 0:
				t.Errorf("attempt %d: given up: %s", i, describe(e.Mail))
			}
		}
		if (next == nil) != (want == 0) {
			t.Fatalf("attempt %d: in the queue: %v", i, next)
		}
		if next != nil {
			m = next
			m.Recipients = append(m.Recipients, container.MustAddress("carol@there.test"))
			m.Set(container.AttrDeliverBy, time.Now().Add(-time.Second)) // later
		}
	}
}

// TestDeliverByEndsAttempt: a host that is slow does not keep a mail with R beyond
// its time.
func TestDeliverByEndsAttempt(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Timeout, c.AttemptTimeout = time.Minute, time.Hour
	c.Plan, _ = NewPlan(ptr("3"), ptr("6 hours"))
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{Extensions: []string{"DELIVERBY"}})
	hop.On("MAIL", "", hoptest.Hang)
	r.send(byMail(1500*time.Millisecond, "R", "bob@there.test"))
	if d := describe(r.spool(1)[0]); !strings.HasPrefix(d, "bounces bob@there.test true not delivered by ") {
		t.Error(d)
	}
}

// TestDeliverByInHurry: that a host could not be reached in the little time of one
// mail does not put off the others.
func TestDeliverByInHurry(t *testing.T) {
	for mode, want := range map[string]bool{"R": false, "N": true} {
		r := newRig(t, testConfig())
		a := r.in.newAttempt(byMail(1100*time.Millisecond, mode, "bob@there.test"))
		r.zone.Add(t, "there.test. 60 IN MX 10 mx.there.test.")
		r.addr("mx.there.test", "192.0.2.1")
		r.route("192.0.2.1", hang) // for longer than a connection may take
		a.in.cfg.ConnectTimeout = map[string]time.Duration{"R": time.Minute, "N": 10 * time.Millisecond}[mode]
		if c := a.run(t.Context(), t.Context(), nil); c != nil || a.unreachable() != want {
			t.Errorf("%s: unreachable: %t", mode, a.unreachable())
		}
	}
}
