package remote

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
	"github.com/mailetd/mailetd/mailets/remote/queuetest"
	"github.com/mailetd/mailetd/repository"
)

func TestConsuming(t *testing.T) {
	r := newRig(t, testConfig())
	want := func(when string, want bool) {
		t.Helper()
		if q, ok := r.in.Consuming(); q != "outgoing" || ok != want {
			t.Errorf("%s: got %s, %t", when, q, ok)
		}
	}
	want("before the start", false)
	hop := r.run().oneHop(hoptest.Options{})
	r.send(newMail("a@there.test"))
	hop.Wait(t, 1)
	want("running", true)
	r.stop()
	want("stopped", false)
}

func TestConnectionsAreReused(t *testing.T) {
	c := testConfig()
	c.Threads = 1
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{})
	for i := range 20 {
		r.send(newMail(fmt.Sprintf("u%d@there.test", i)))
		if i%5 == 0 {
			r.outgoing(0) // some after a pause
		}
	}
	hop.Wait(t, 20)
	if n := hop.Connections(); n != 1 {
		t.Errorf("got %d connections for 20 mails, want 1", n)
	}
	for _, cmd := range hop.Commands() {
		if cmd == "RSET" {
			t.Error("RSET between mails that were accepted")
		}
	}
	r.stop()
	hop.Until(t, func() bool { return hop.Open() == 0 })
	if cmds := hop.Commands(); cmds[len(cmds)-1] != "QUIT" {
		t.Errorf("last command is %q, want QUIT", cmds[len(cmds)-1])
	}
}

// After a refusal the open transaction is reset, and the connection goes on.
func TestReuseAfterRefusal(t *testing.T) {
	c := testConfig()
	c.Threads = 1
	r := newRig(t, c).run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("RCPT", "bad@", "550 5.1.1 unknown")
	for _, to := range []string{"bad@there.test", "good@there.test"} {
		r.send(newMail(to))
		r.outgoing(0)
	}
	hop.Wait(t, 1)
	if n := hop.Connections(); n != 1 || !slices.Contains(hop.Commands(), "RSET") {
		t.Errorf("got %d connections, commands %q", n, hop.Commands())
	}
}

// A kept connection that the host closed is replaced, and no attempt is counted.
func TestStaleConnection(t *testing.T) {
	for _, how := range []string{"dropped", "421", "RSET"} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, testConfig()).run()
			hop := r.oneHop(hoptest.Options{})
			if how == "RSET" {
				hop.Times(1, "RCPT", "", "550 5.1.1 unknown")
				hop.On("RSET", "", hoptest.Drop)
			}
			r.send(newMail("a@there.test"))
			r.outgoing(0)
			first := len(r.spool(1))
			switch how {
			case "dropped":
				hop.DropAll()
				hop.Until(t, func() bool { return hop.Open() == 0 })
			case "421":
				hop.Times(1, "MAIL", "", "421 4.4.2 idle for too long")
			}
			r.send(newMail("b@there.test"))
			m := r.spool(first + 1)[1]
			if o, _ := m.Outcome(m.Recipients[0]); describe(m) != "done b@there.test" && describe(m) != "done a@there.test" || o.Attempt != 1 {
				t.Errorf("got %s, %+v", describe(m), o)
			}
			if n := hop.Connections(); n != 2 {
				t.Errorf("got %d connections, want 2", n)
			}
		})
	}
}

func TestConnectionLimit(t *testing.T) {
	c := testConfig()
	c.Threads = 50
	r := newRig(t, c)
	r.in.queue.grace = 10 * time.Millisecond
	r.run()
	hop := r.oneHop(hoptest.Options{})
	hop.On("EOM", "", hoptest.Hang)
	for i := range 60 {
		r.send(newMail(fmt.Sprintf("u%d@there.test", i)))
	}
	eoms := func() int {
		n := 0
		for _, c := range hop.Commands() {
			if c == "DATA" {
				n++
			}
		}
		return n
	}
	hop.Until(t, func() bool { return eoms() == maxLanes })
	if n := hop.Connections(); n != maxLanes {
		t.Errorf("got %d connections, want %d", n, maxLanes)
	}
	r.stop()
}

// A host that takes few connections at once is not down: what its other
// connections can carry is neither put off nor given up.
func TestHostTakesFewConnections(t *testing.T) {
	c := testConfig()
	c.Threads = 50
	r := newRig(t, c)
	hop := r.oneHop(hoptest.Options{MaxConns: 3})
	for i := range 200 {
		r.send(newMail(fmt.Sprintf("u%d@there.test", i)))
	}
	r.run()
	bounced := 0
	for _, m := range r.spool(200) {
		if m.State != "done" {
			bounced++
		}
	}
	if bounced > 0 {
		t.Errorf("%d of 200 mails were given up, the hop took %d", bounced, hop.Accepted())
	}
	if n := hop.Connections(); n > 60 {
		t.Errorf("got %d connections, want little more than the first %d", n, maxLanes)
	}
}

// Hosts that hang or do not exist do not keep others waiting, whether they come
// before or with them, and with few workers.
func TestDeadDestinationsDelayNobody(t *testing.T) {
	for _, threads := range []int{1, 2, 10} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			t.Parallel()
			c := testConfig()
			c.Threads, c.ConnectTimeout, c.Timeout = threads, time.Minute, time.Minute
			r := newRig(t, c).run()
			good := r.oneHop(hoptest.Options{})
			slow := hoptest.New(t, hoptest.Options{})
			slow.On("MAIL", "", hoptest.Hang)
			r.addr("dead.test", "192.0.2.66")
			r.route("192.0.2.66", hang)
			for i := range 8 {
				r.hop(fmt.Sprintf("slow%d.test", i), fmt.Sprintf("192.0.2.%d", 70+i), slow)
			}
			for i := range 300 {
				r.send(newMail(fmt.Sprintf("u%d@dead.test", i)))
				r.send(newMail(fmt.Sprintf("u%d@slow%d.test", i, i%8)))
			}
			begin := time.Now()
			for i := range 50 {
				r.send(newMail(fmt.Sprintf("u%d@there.test", i)))
			}
			t.Cleanup(func() {
				if t.Failed() {
					t.Log(r.log.String())
				}
			})
			good.Wait(t, 50)
			t.Logf("%d workers: %s", threads, time.Since(begin))
			r.stop()
			if n := len(r.store.List("outgoing")); n != 600 {
				t.Errorf("%d mails are left, want 600", n)
			}
		})
	}
}

// Nor do very many of them, more than fit into memory at once.
func TestManyDeadDestinations(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.Threads, c.ConnectTimeout = 50, time.Minute
	r := newRig(t, c)
	good := r.oneHop(hoptest.Options{})
	r.route("192.0.2.66", hang)
	for i := range 600 {
		r.addr(fmt.Sprintf("dead%d.test", i), "192.0.2.66")
		r.send(newMail(fmt.Sprintf("u@dead%d.test", i)))
	}
	r.run()
	for i := range 20 {
		r.send(newMail(fmt.Sprintf("u%d@there.test", i)))
	}
	good.Wait(t, 20)
	r.stop()
	if n := len(r.store.List("outgoing")); n != 600 {
		t.Errorf("%d mails are left, want 600", n)
	}
}

// One probe finds out that nobody is there, for all that waits.
func TestOneProbePerDestination(t *testing.T) {
	c := testConfig()
	c.Threads, c.ConnectTimeout = 10, 300*time.Millisecond
	c.Plan, _ = NewPlan(ptr("1"), nil)
	r := newRig(t, c)
	r.addr("dead.test", "192.0.2.66")
	r.route("192.0.2.66", hang)
	for i := range 100 {
		r.send(newMail(fmt.Sprintf("u%d@dead.test", i)))
	}
	r.run()
	r.store.Wait(t, "outgoing", func(l []queuetest.Entry) bool {
		return len(l) == 100 && !slices.ContainsFunc(l, func(e queuetest.Entry) bool { return e.Delay == 0 })
	})
	first := r.dials.Load()
	if first > 12 { // one or two more for what the first ones gave back
		t.Errorf("got %d probes for 100 mails at first, want little more than one for each worker", first)
	}
	r.store.Ripen() // known to be dead by now
	r.spool(100)
	if n := r.dials.Load() - first; n > 2 {
		t.Errorf("got %d probes for 100 mails of a destination that was dead before, want 1 or 2", n)
	}
	hop := hoptest.New(t, hoptest.Options{})
	r.route("192.0.2.66", hop.Addr().String())
	r.send(newMail("again@dead.test"))
	hop.Wait(t, 1)
}

func TestShutdown(t *testing.T) {
	t.Run("message on its way", func(t *testing.T) {
		r := newRig(t, testConfig()).run()
		hop := r.oneHop(hoptest.Options{})
		release := make(chan struct{})
		m := newMail("a@there.test")
		m.Message = container.NewMessage([]byte("A: b\r\n"), slowBody{sampleBody, release})
		m.Set(container.AttrBodyType, "8BITMIME") // or the content is scanned first
		r.send(m)
		hop.Until(t, func() bool { return slices.Contains(hop.Commands(), "DATA") })
		slowRead(t, release) // reading has begun
		r.cancel()
		close(release)
		hop.Wait(t, 1)
		r.stop()
		r.outgoing(0)
		if d := describe(r.spool(1)[0]); d != "done a@there.test" {
			t.Errorf("got %s", d)
		}
	})
	for _, stage := range []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			c := testConfig()
			c.Timeout = time.Minute
			r := newRig(t, c)
			hop := r.oneHop(hoptest.Options{})
			hop.On(stage, "", hoptest.Hang)
			for i := range 30 {
				r.send(newMail(fmt.Sprintf("u%d@there.test", i)))
			}
			r.run()
			hop.Until(t, func() bool { return hop.Connections() > 0 })
			begin := time.Now()
			r.stop()
			if d := time.Since(begin); d > graceTime {
				t.Errorf("shutdown took %s", d)
			}
			for _, e := range r.store.WaitLen(t, "outgoing", 30) {
				if e.Mail.State != "relay" || e.Delay != 0 {
					t.Errorf("got state %s, delay %s, want the mail as it was", e.Mail.State, e.Delay)
				}
			}
			if n := r.store.Released(); n != 30 {
				t.Errorf("%d items were given back, want 30", n)
			}
			// The next process delivers.
			hop.Clear()
			r.run()
			hop.Wait(t, 30)
		})
	}
}

// slowBody blocks in the middle until release is closed.
type slowBody struct {
	text    string
	release chan struct{}
}

func slowRead(t *testing.T, release chan struct{}) {
	t.Helper()
	select {
	case release <- struct{}{}:
	case <-time.After(10 * time.Second):
		t.Fatal("the message is not being read")
	}
}

// Two instances on one queue: each mail is delivered as the one that queued it
// says, also after the other one was removed.
func TestSharedQueue(t *testing.T) {
	gw := testConfig()
	gw.Gateways = []Gateway{{Host: "relay.test"}}
	gw.BounceProcessor, gw.OnSuccess = "gw-bounces", "gw-done"
	r := newRig(t, testConfig())
	second := r.group.Add(gw)
	if again := r.group.Add(gw); again.id != second.id || len(r.in.queue.instances) != 2 {
		t.Errorf("equal configurations give %d instances", len(r.in.queue.instances))
	}
	hop, relay := r.oneHop(hoptest.Options{}), hoptest.New(t, hoptest.Options{})
	r.hop("relay.test", "192.0.2.2", relay)
	r.send(newMail("direct@there.test"))
	r.sendFrom(second, newMail("smart@there.test"))
	r.run()
	ctx, cancel := context.WithCancel(context.Background())
	follower := make(chan error, 1)
	go func() { follower <- second.Run(ctx) }()
	if a, b := hop.Wait(t, 1), relay.Wait(t, 1); a[0].To()[0] != "direct@there.test" || b[0].To()[0] != "smart@there.test" {
		t.Errorf("got %v and %v", a, b)
	}
	if got := r.spool(2); got[0].State != "done" || got[1].State != "gw-done" {
		t.Errorf("got states %s and %s", got[0].State, got[1].State)
	}
	cancel()
	r.stop()
	if err := <-follower; err != nil {
		t.Error(err)
	}
}

func TestInstanceOfUnknownDestination(t *testing.T) {
	gw := testConfig()
	gw.Gateways = []Gateway{{Host: "relay.test"}}
	r := newRig(t, testConfig())
	second := r.group.Add(gw)
	changed := gw
	changed.HeloName = "new.test"
	old := r.group.Add(changed).Destination("")
	r.in.queue.instances = r.in.queue.instances[:2] // as after a restart without it
	for _, tc := range []struct {
		dest string
		want *Instance
	}{
		{r.in.Destination("x.test"), r.in},
		{second.Destination("x.test"), second},
		{old, second},
		{"x.test#12345678", r.in},
		{"x.test", r.in},
		{"", r.in},
		{"gateway:other.test#12345678", r.in},
	} {
		place, id := splitDestination(tc.dest)
		if got := r.in.queue.instance(place, id); got != tc.want {
			t.Errorf("%s: got instance %s, want %s", tc.dest, got.id, tc.want.id)
		}
	}
}

// A mail that an operator removed is not sent.
func TestRemovedFromQueue(t *testing.T) {
	r := newRig(t, testConfig())
	hop := r.oneHop(hoptest.Options{})
	hop.On("MAIL", "", hoptest.Hang)
	r.in.cfg.Threads = 1
	r.run()
	first, second := newMail("a@there.test"), newMail("b@there.test")
	r.send(first)
	hop.Until(t, func() bool { return len(hop.Attempts()) == 1 || hop.Connections() == 1 })
	r.send(second)
	if !r.store.Cancel("outgoing", second.Name+"-to-there.test") {
		t.Fatal("a waiting item cannot be removed")
	}
	hop.Clear()
	hop.DropAll()
	r.outgoing(0)
	for _, m := range r.spool(1) {
		if strings.Contains(describe(m), "b@") {
			t.Errorf("got %s", describe(m))
		}
	}
}

// A backlog larger than the window is delivered to the last mail, with a bounded
// number in memory.
func TestBacklog(t *testing.T) {
	r := newRig(t, testConfig())
	hop := r.oneHop(hoptest.Options{Discard: true})
	const n = 3000
	for i := range n {
		r.zone.Add(t, fmt.Sprintf("d%d.test. 60 IN MX 1 mx.there.test.", i%7))
		r.send(newMail(fmt.Sprintf("u%d@d%d.test", i, i%7)))
	}
	r.run()
	worst := 0
	hop.Until(t, func() bool {
		leased := 0
		for _, e := range r.store.List("outgoing") {
			if e.Leased {
				leased++
			}
		}
		worst = max(worst, leased)
		return hop.Accepted() == n
	})
	r.outgoing(0)
	if worst > minWindow {
		t.Errorf("%d items were in memory at once, want at most %d", worst, minWindow)
	}
}

// The worker asks for no more than the store has places for, and a new
// destination always gets in.
func TestReserve(t *testing.T) {
	r := newRig(t, testConfig())
	q := r.in.queue
	q.open, q.window = true, 400
	held := map[string]int{}
	for _, d := range []string{"a", "b", "c", "d"} {
		for q.Reserve(d) {
			held[d]++
		}
	}
	if fmt.Sprint(held) != "map[a:200 b:100 c:50 d:25]" {
		t.Errorf("got %v", held)
	}
	for d, n := range held {
		for range n {
			q.Unreserve(d)
		}
	}
	if q.total != 0 {
		t.Errorf("total is %d after all were given back", q.total)
	}
}

var _ repository.Consumer = (*queue)(nil)

func (b slowBody) Size() int64 { return int64(len(b.text)) }

func (b slowBody) Open() (io.ReadCloser, error) {
	wait := readFunc(func([]byte) (int, error) {
		for range b.release {
		}
		return 0, io.EOF
	})
	return io.NopCloser(io.MultiReader(strings.NewReader(b.text), wait)), nil
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }
