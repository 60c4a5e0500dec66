package remote

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

// tarpit is a host that takes its time for every reply, and all mail.
type tarpit struct {
	l    net.Listener
	ext  string                                     // offered in reply to EHLO
	pace func(verb string, rcpts int) time.Duration // before a reply; rcpts counts RCPT commands

	over chan struct{}
	wg   sync.WaitGroup
	mu   sync.Mutex
	// rcpts are the RCPT commands of all sessions, taken the recipients of
	// messages that came to their end.
	rcpts, taken int
}

func newTarpit(t *testing.T, ext string, pace func(verb string, rcpts int) time.Duration) *tarpit {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tarpit{l: l, pace: pace, ext: ext, over: make(chan struct{})}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.talk(c) })
		}
	})
	t.Cleanup(func() { close(p.over); l.Close(); p.wg.Wait() })
	return p
}

func (p *tarpit) talk(c net.Conn) {
	defer c.Close()
	r, n := bufio.NewReader(c), 0
	fmt.Fprint(c, "220 tarpit.test\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		reply := "250 2.0.0 ok"
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "EHLO":
			reply = "250-tarpit.test\r\n250 " + p.ext
		case "MAIL":
			n = 0
		case "RCPT":
			n++
			p.mu.Lock()
			p.rcpts++
			p.mu.Unlock()
		case "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			for line != ".\r\n" && err == nil {
				line, err = r.ReadString('\n')
			}
			if err != nil {
				return
			}
			p.mu.Lock()
			p.taken += n
			p.mu.Unlock()
		}
		p.mu.Lock()
		all := p.rcpts
		p.mu.Unlock()
		select {
		case <-time.After(p.pace(verb, all)):
		case <-p.over:
		}
		if _, err := fmt.Fprintf(c, "%s\r\n", reply); err != nil {
			return
		}
	}
}

func manyRecipients(n int) *container.Mail {
	var rcpts []string
	for i := range n {
		rcpts = append(rcpts, fmt.Sprintf("bob%d@there.test", i))
	}
	return newMail(rcpts...)
}

// A host that answers each command in time, but slowly, gets no more than its
// share of an attempt; the recipients it has accepted by then get the message, the
// others are put off.
func TestTarpit(t *testing.T) {
	for _, ext := range []string{"8BITMIME", "PIPELINING"} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			c := testConfig()
			c.AttemptTimeout = 1500 * time.Millisecond // four seconds for so many recipients
			r := newRig(t, c).run()
			p := newTarpit(t, ext, func(verb string, rcpts int) time.Duration {
				switch {
				case verb != "RCPT" || rcpts < 100:
					return 0
				case rcpts == 100:
					return 2200 * time.Millisecond
				}
				return time.Minute
			})
			r.addr("there.test", "192.0.2.1")
			r.route("192.0.2.1", p.l.Addr().String())
			const n = 400
			r.send(manyRecipients(n))
			got := map[string]int{}
			for _, m := range r.spool(2) {
				for _, rcpt := range m.Recipients {
					o, _ := m.Outcome(rcpt)
					got[m.State+" "+o.Result+" "+o.Enhanced]++
				}
				if m.State == "bounces" && !strings.Contains(describe(m), tooSlow) {
					t.Errorf("got %q", describe(m)[max(0, len(describe(m))-200):])
				}
			}
			r.stop()
			p.mu.Lock()
			defer p.mu.Unlock()
			done, left := got["done relayed 2.0.0"], got["bounces failed 4.4.2"]
			if done == 0 || left == 0 || done+left != n || done != p.taken {
				t.Errorf("got %v; the host took %d", got, p.taken)
			}
			if p.rcpts == n {
				t.Error("every recipient was offered")
			}
		})
	}
}

// A slow host does not keep the mail from one that is well.
func TestTarpitBeforeOthers(t *testing.T) {
	t.Parallel()
	c := testConfig()
	c.AttemptTimeout = 4 * time.Second
	r := newRig(t, c).run()
	p := newTarpit(t, "8BITMIME", func(string, int) time.Duration { return 1200 * time.Millisecond })
	quick := newTarpit(t, "8BITMIME", func(string, int) time.Duration { return 0 })
	r.zone.Add(t, "there.test. 60 IN MX 10 slow.test.")
	r.zone.Add(t, "there.test. 60 IN MX 20 quick.test.")
	r.addr("slow.test", "192.0.2.1")
	r.route("192.0.2.1", p.l.Addr().String())
	r.addr("quick.test", "192.0.2.2")
	r.route("192.0.2.2", quick.l.Addr().String())
	r.send(newMail("bob@there.test"))
	if m := r.spool(1)[0]; m.State != "done" {
		t.Errorf("got %q", describe(m))
	}
	r.stop()
}

// How long an attempt may take grows with what there is to send.
func TestAttemptLimit(t *testing.T) {
	for _, tc := range []struct {
		c    Config
		n    int
		size int
		want time.Duration
	}{
		{Config{}, 1, 100, 20*time.Minute + 5*time.Second},
		{Config{}, 240, 0, 40 * time.Minute},
		{Config{}, 0, 20 << 20, 40 * time.Minute},
		{Config{Timeout: time.Hour}, 0, 0, 4 * time.Hour},
		{Config{AttemptTimeout: time.Minute}, 240, 0, 2 * time.Minute},
	} {
		m := manyRecipients(tc.n)
		m.Message = container.NewMessage(nil, container.BytesBody(make([]byte, tc.size)))
		in := NewGroup(Services{}).Add(tc.c)
		if got := in.attemptLimit(m).Round(time.Second); got != tc.want {
			t.Errorf("%d recipients, %d octets: got %v, want %v", tc.n, tc.size, got, tc.want)
		}
	}
}

// The limit holds at every point but the last: the reply to the message has a
// limit of its own.
func TestAttemptLimitEverywhere(t *testing.T) {
	for stage, want := range map[string]string{"CONNECT": tooSlow, "EHLO": tooSlow, "STARTTLS": tooSlow, "MAIL": tooSlow, "RCPT": tooSlow,
		"DATA": tooSlow, "BODY": tooSlow, "EOM": "timeout while waiting for the reply to the message"} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			c := testConfig()
			c.Timeout, c.FinalTimeout, c.AttemptTimeout, c.StartTLS = time.Minute, 500*time.Millisecond, 100*time.Millisecond, true
			hop := hoptest.New(t, hoptest.Options{StartTLS: stage == "STARTTLS"})
			r := newRig(t, c).run()
			r.zone.Add(t, "there.test. 60 IN MX 10 mx.there.test.")
			r.hop("mx.there.test", "192.0.2.1", hop)
			hop.On(stage, "", hoptest.Hang)
			m := newMail("bob@there.test")
			if stage == "BODY" { // more than the buffers on the way hold
				m.Message = container.NewMessage([]byte("A: b\r\n"), container.BytesBody(strings.Repeat("0123456789abcdef\r\n", 1<<20)))
			}
			r.send(m)
			got := r.spool(1)[0]
			o, _ := got.Outcome(got.Recipients[0])
			if d := describe(got); !strings.Contains(d, want) || o.Enhanced != "4.4.2" {
				t.Errorf("got %q, %s; want %q, 4.4.2", d, o.Enhanced, want)
			}
		})
	}
}
