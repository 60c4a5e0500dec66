package remote

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

// TestLimits: a host that names its limits (RFC 9422) is not asked for more.
func TestLimits(t *testing.T) {
	for _, tc := range []struct {
		limits string
		rcpts  []int // of each transaction
		conns  int
	}{
		{"LIMITS", []int{7}, 1},
		{"LIMITS RCPTMAX=3", []int{3, 3, 1}, 1},
		{"limits rcptmax=3 MAILMAX=2", []int{3, 3, 1}, 2},
		{"LIMITS RCPTMAX=3 MAILMAX=1", []int{3, 3, 1}, 3},
		{"LIMITS RCPTMAX=0 MAILMAX=x FOO=1 RCPTMAX", []int{7}, 1},
		{"LIMITS RCPTMAX=100000 RCPTDOMAINMAX=1", []int{7}, 1},
	} {
		t.Run(tc.limits, func(t *testing.T) {
			r := newRig(t, testConfig()).run()
			hop := r.oneHop(hoptest.Options{Extensions: []string{"PIPELINING", "ENHANCEDSTATUSCODES", tc.limits}})
			var rcpts []string
			for i := range 7 {
				rcpts = append(rcpts, fmt.Sprintf("u%d@there.test", i))
			}
			r.send(newMail(rcpts...))
			var got []int
			for _, tr := range hop.Wait(t, len(tc.rcpts)) {
				got = append(got, len(tr.Rcpts))
			}
			if !slices.Equal(got, tc.rcpts) || hop.Connections() != tc.conns {
				t.Errorf("transactions of %v recipients over %d connections, want %v over %d", got, hop.Connections(), tc.rcpts, tc.conns)
			}
			if done := r.spool(1)[0]; done.State != "done" || len(done.Recipients) != 7 {
				t.Error(describe(done))
			}
		})
	}
}

// TestLimitOfMails: the limit holds for mails one after the other, too.
func TestLimitOfMails(t *testing.T) {
	c := testConfig()
	c.Threads = 1
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{Extensions: []string{"LIMITS MAILMAX=2"}})
	for range 5 {
		r.send(newMail("bob@there.test"))
	}
	hop.Wait(t, 5)
	perConn := map[int]int{}
	for _, tr := range hop.Transactions() {
		if perConn[tr.Conn]++; perConn[tr.Conn] > 2 {
			t.Errorf("%d mails over connection %d", perConn[tr.Conn], tr.Conn)
		}
	}
}

// TestLimitOfDomains: through a gateway one mail has recipients in several
// domains.
func TestLimitOfDomains(t *testing.T) {
	c := testConfig()
	c.Gateways = []Gateway{{Host: "gw.test"}}
	r := newRig(t, c)
	hop := hoptest.New(t, hoptest.Options{Extensions: []string{"PIPELINING", "LIMITS RCPTDOMAINMAX=2"}})
	r.hop("gw.test", "192.0.2.1", hop)
	r.run()
	r.send(newMail("a@one.test", "b@two.test", "c@One.test", "d@three.test", "e@two.test", "f@four.test"))
	var got []int
	for _, tr := range hop.Wait(t, 3) {
		got = append(got, len(tr.Rcpts))
	}
	if !slices.Equal(got, []int{3, 2, 1}) {
		t.Errorf("got %v", got)
	}
}
