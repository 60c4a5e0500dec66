package server

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// dialFrom connects from an address of this machine.
func (h *harness) dialFrom(ip string) net.Conn {
	h.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: patience}
	nc, err := d.Dial("tcp", h.Addrs()[0].String())
	if err != nil {
		h.t.Fatal(err)
	}
	return nc
}

// Clients that say an octet now and then, in commands and in messages, take the
// connections that one address may have, and no more: honest clients hand in all
// their mail meanwhile. With the last attacker gone the address is free again.
func TestSlowClients(t *testing.T) {
	const perIP, attackers, honest, mails = 50, 200, 10, 20
	h := start(t, fmt.Sprintf("<connectionLimit>%d</connectionLimit><connectionLimitPerIP>%d</connectionLimitPerIP>", perIP+honest, perIP))
	var in []*client
	for i := range attackers {
		c := newClient(t, h.dialFrom("127.0.0.2"))
		if i >= perIP {
			c.eof()
			continue
		}
		c.expect("220 ...")
		in = append(in, c)
	}
	end := make(chan struct{})
	var attack sync.WaitGroup
	defer attack.Wait()
	defer close(end)
	for i, c := range in {
		if i%2 == 0 {
			c.send(envelope)
			c.expect("250 ...", "250 ...", "250 ...", "354 ...")
		}
	}
	attack.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, c := range in {
				_, _ = c.nc.Write([]byte("x")) // closed at the end of the test
			}
			select {
			case <-tick.C:
			case <-end:
				return
			}
		}
	})
	var work sync.WaitGroup
	for range honest {
		c := newClient(t, h.dialFrom("127.0.0.1"))
		work.Go(func() {
			c.talk("S: 220 ...\nC: HELO x\nS: 250 ...")
			for range mails {
				c.talk("C: MAIL FROM:<a@far.test>\nS: 250 ...\nC: RCPT TO:<bob@here.test>\nS: 250 ...\nC: DATA\nS: 354 ...\nC: To: x\nC:\nC: hello\nC: .\nS: 250 ...")
			}
		})
	}
	work.Wait()
	if n := len(h.queue.all()); n != honest*mails {
		t.Errorf("%d mails, want %d", n, honest*mails)
	}
	if n := len(h.Connections()); n != perIP+honest {
		t.Errorf("%d connections, want %d", n, perIP+honest)
	}
	for _, c := range in {
		c.nc.Close()
	}
	for deadline := time.Now().Add(patience); ; {
		c := &client{t, h.dialFrom("127.0.0.2"), nil}
		b := make([]byte, 4)
		_ = c.nc.SetDeadline(time.Now().Add(patience))
		n, _ := c.nc.Read(b)
		c.nc.Close()
		if string(b[:n]) == "220 " {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the address is still shut out")
		}
	}
}
