package remote

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
	"github.com/mailetd/mailetd/mailets/remote/queuetest"
)

// byMail is a mail that shall be delivered within d.
func byMail(d time.Duration, mode string, rcpts ...string) *container.Mail {
	m := newMail(rcpts...)
	m.Set(container.AttrDeliverBy, time.Now().Add(d))
	m.Set(container.AttrDeliverByMode, mode)
	return m
}

// withReports lets reports be mails to the state that is their action.
func withReports(s *Services) {
	s.Report = func(m *container.Mail, action string, out *container.Outbox) error {
		if action == "broken" {
			return errors.New("no report")
		}
		o, _ := m.Outcome(m.Recipients[0])
		c := container.NewMail(container.Address{}, m.Recipients, m.Message)
		c.State = action + " " + o.Result
		m.Set("told", action)
		out.Send(c)
		return nil
	}
}

// TestDeliverByParameter: the remaining time goes on with the mail, down to whole
// seconds.
func TestDeliverByParameter(t *testing.T) {
	for _, tc := range []struct {
		mode, want string
		left       time.Duration
		offered    string
	}{
		{"R", `BY=(100|99);R`, 100500 * time.Millisecond, "DELIVERBY"},
		{"N", `BY=(100|99);N`, 100500 * time.Millisecond, "DELIVERBY 600"},
		{"RT", `BY=(100|99);RT`, 100500 * time.Millisecond, "DELIVERBY 30"},
		{"NT", `BY=-(1|2);NT`, -500 * time.Millisecond, "DELIVERBY"},
		{"N", `BY=999999999;N`, 100 * 365 * 24 * time.Hour, "DELIVERBY"},
		{"", `BY=(100|99);N`, 100500 * time.Millisecond, "DELIVERBY"},
		{"N", ``, 100500 * time.Millisecond, "DSN"},
	} {
		t.Run(fmt.Sprint(tc.mode, tc.left, tc.offered), func(t *testing.T) {
			r := newRig(t, testConfig()).run()
			hop := r.oneHop(hoptest.Options{Extensions: []string{"PIPELINING", tc.offered}})
			r.send(byMail(tc.left, tc.mode, "bob@there.test"))
			got := strings.TrimSpace(strings.TrimPrefix(hop.Wait(t, 1)[0].Mail, "MAIL FROM:<alice@here.test>"))
			if !regexp.MustCompile("^" + tc.want + "$").MatchString(got) {
				t.Errorf("got %q, want %s", got, tc.want)
			}
		})
	}
}

// TestDeliverByReturned: what cannot be delivered in time is given back, and sent
// to nobody.
func TestDeliverByReturned(t *testing.T) {
	for _, tc := range []struct {
		left    time.Duration
		offered []string
		want    string
		dials   int32
	}{
		{-time.Second, []string{"DELIVERBY"}, "bounces bob@there.test true not delivered by ", 0},
		{500 * time.Millisecond, []string{"DELIVERBY"}, "bounces bob@there.test true not delivered by ", 0},
		{time.Hour, []string{"DSN"}, "bounces bob@there.test true the mail must be delivered in time or returned (DELIVERBY), which the remote host does not offer", 1},
		{time.Minute, []string{"DELIVERBY 62,SOON"}, "bounces bob@there.test true the mail must be delivered within 59 seconds, and the remote host wants at least 62", 1},
		{time.Minute, []string{"DELIVERBY 61"}, "bounces bob@there.test true the mail must be delivered within 59 seconds, and the remote host wants at least 61", 1},
	} {
		t.Run(tc.want, func(t *testing.T) {
			r := newRig(t, testConfig(), withReports).run()
			hop := r.oneHop(hoptest.Options{Extensions: tc.offered})
			r.send(byMail(tc.left, "RT", "bob@there.test"))
			got := r.spool(1)[0]
			o, _ := got.Outcome(got.Recipients[0])
			if d := describe(got); !strings.HasPrefix(d, tc.want) || o.Result != container.Failed || !strings.HasPrefix(o.Enhanced, "5.") {
				t.Errorf("got %s, %+v", d, o)
			}
			if hop.Accepted() != 0 || r.dials.Load() != tc.dials {
				t.Errorf("%d accepted, %d dials", hop.Accepted(), r.dials.Load())
			}
		})
	}
}

// TestDeliverByOtherHost: another exchanger may offer what the first one does not.
func TestDeliverByOtherHost(t *testing.T) {
	r := newRig(t, testConfig()).run()
	r.zone.Add(t, "there.test. 60 IN MX 10 one.there.test.", "there.test. 60 IN MX 20 two.there.test.")
	one, two := hoptest.New(t, hoptest.Options{Extensions: []string{"DSN"}}), hoptest.New(t, hoptest.Options{Extensions: []string{"DELIVERBY"}})
	r.hop("one.there.test", "192.0.2.1", one)
	r.hop("two.there.test", "192.0.2.2", two)
	r.send(byMail(time.Hour, "R", "bob@there.test"))
	two.Wait(t, 1)
	if d := describe(r.spool(1)[0]); d != "done bob@there.test" || one.Accepted() != 0 {
		t.Error(d)
	}
}

// TestDeliverByRetry: a retry comes when the time is over, if that is before its
// turn; then the mail is given back, or the sender is told, once.
func TestDeliverByRetry(t *testing.T) {
	for _, mode := range []string{"R", "N"} {
		c := testConfig()
		c.Plan, _ = NewPlan(ptr("3"), ptr("6 hours"))
		r := newRig(t, c, withReports).run()
		hop := r.oneHop(hoptest.Options{Extensions: []string{"DELIVERBY"}})
		hop.On("RCPT", "", "451 4.7.1 later")
		r.send(byMail(time.Hour, mode, "bob@there.test"))
		e := r.store.Wait(t, "outgoing", func(l []queuetest.Entry) bool { return len(l) == 1 && l[0].Delay > 0 })[0]
		if e.Delay > time.Hour || e.Delay < 59*time.Minute {
			t.Errorf("%s: waits %v", mode, e.Delay)
		}
		r.stop()

		r = newRig(t, c, withReports).run() // later, the time is over
		hop = r.oneHop(hoptest.Options{Extensions: []string{"DELIVERBY"}})
		hop.On("RCPT", "", "451 4.7.1 later")
		r.send(byMail(-time.Second, mode, "bob@there.test"))
		got := r.spool(1)[0]
		if mode == "R" {
			if d := describe(got); !strings.HasPrefix(d, "bounces bob@there.test true not delivered by") {
				t.Error(d)
			}
			continue
		}
		if got.State != "delayed deferred" {
			t.Errorf("got %s", describe(got))
		}
		e = r.store.Wait(t, "outgoing", func(l []queuetest.Entry) bool { return len(l) == 1 && l[0].Delay > 0 })[0]
		if told, _ := e.Mail.Attributes.String("told"); told != "delayed" || e.Delay != 6*time.Hour || e.Mail.State != container.StateError {
			t.Errorf("queued in state %s for %v, told %q", e.Mail.State, e.Delay, told)
		}
	}
}

// TestDeliverByRelayed: who wants to know of each hop is told, and who is passed on
// to a host that will not look at the time.
func TestDeliverByRelayed(t *testing.T) {
	for _, tc := range []struct {
		mode, offered, notify string
		want                  string
	}{
		{"NT", "DELIVERBY", "", "relayed relayed"}, {"RT", "DELIVERBY", "", "relayed relayed"}, {"N", "DELIVERBY", "", ""},
		{"N", "DSN", "", "relayed delivered"}, {"N", "SIZE", "", "relayed relayed"}, {"N", "SIZE", "SUCCESS,FAILURE", ""},
	} {
		r := newRig(t, testConfig(), withReports).run()
		r.oneHop(hoptest.Options{Extensions: []string{tc.offered}})
		m := byMail(time.Hour, tc.mode, "bob@there.test")
		if tc.notify != "" {
			m.Set(container.AttrDSNNotify, map[string]container.Value{"bob@there.test": tc.notify})
		}
		r.send(m)
		n := 1
		if tc.want != "" {
			n = 2
		}
		got := r.spool(n)
		if got[0].State != "done" || n == 2 && got[1].State != tc.want {
			t.Errorf("%v: got %s", tc, describe(got[n-1]))
		}
		r.outgoing(0)
		r.stop()
	}
}
