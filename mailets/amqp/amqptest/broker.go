// Package amqptest has a broker for tests that speaks as much of AMQP 0-9-1 as a
// publisher needs, and can be told to misbehave.
package amqptest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Message is what a publisher sent.
type Message struct {
	Exchange, Key, Body string
}

// Broker is a running broker.
type Broker struct {
	ln net.Listener
	wg sync.WaitGroup

	mu        sync.Mutex
	answer    Answer
	precond   bool
	conns     map[net.Conn]bool
	opened    int
	login     string
	vhost     string
	exchanges map[string]string
	messages  []Message
	arrived   chan struct{} // closed and replaced at each message
}

// Answer is what the broker does with a message.
type Answer int

// The answers.
const (
	Ack    Answer = iota
	Nack          // refuses it
	Silent        // takes it and says nothing
	Drop          // does not take it and closes the connection
	Mute          // does not even answer when a connection is opened
)

// New starts a broker on a loopback port. It ends with the test.
func New(t testing.TB) *Broker {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &Broker{ln: ln, conns: map[net.Conn]bool{}, exchanges: map[string]string{}, arrived: make(chan struct{})}
	b.wg.Go(b.accept)
	t.Cleanup(b.Close)
	return b
}

// Addr returns host:port.
func (b *Broker) Addr() string { return b.ln.Addr().String() }

// Close stops listening and closes all connections.
func (b *Broker) Close() {
	_ = b.ln.Close()
	b.Disconnect()
	b.wg.Wait()
}

// Disconnect closes all connections.
func (b *Broker) Disconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.conns {
		_ = c.Close()
	}
}

// Answer sets what happens to messages from now on.
func (b *Broker) Answer(a Answer) { b.locked(func() { b.answer = a }) }

// Conflict makes the broker say that exchanges have other properties.
func (b *Broker) Conflict() { b.locked(func() { b.precond = true }) }

// Messages waits until the broker has n messages at least and returns all.
func (b *Broker) Messages(t testing.TB, n int) []Message {
	t.Helper()
	for {
		b.mu.Lock()
		list, arrived := append([]Message(nil), b.messages...), b.arrived
		b.mu.Unlock()
		if len(list) >= n {
			return list
		}
		select {
		case <-arrived:
		case <-t.Context().Done():
			t.Fatalf("%d messages, want %d", len(list), n)
		}
	}
}

// Seen returns how many connections there were, who came last, to which virtual
// host, and the exchanges with their types.
func (b *Broker) Seen() (opened int, login, vhost string, exchanges map[string]string) {
	b.locked(func() {
		opened, login, vhost, exchanges = b.opened, b.login, b.vhost, map[string]string{}
		for k, v := range b.exchanges {
			exchanges[k] = v
		}
	})
	return opened, login, vhost, exchanges
}

func (b *Broker) locked(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *Broker) accept() {
	for {
		c, err := b.ln.Accept()
		if err != nil {
			return
		}
		b.locked(func() { b.conns[c] = true; b.opened++ })
		b.wg.Go(func() {
			defer func() {
				_ = c.Close()
				b.locked(func() { delete(b.conns, c) })
			}()
			_ = b.serve(&peer{Conn: c, tags: map[uint16]uint64{}, publishing: map[uint16]*publishing{}}) // the publisher notices
		})
	}
}

// peer is one connection.
type peer struct {
	net.Conn
	tags       map[uint16]uint64
	publishing map[uint16]*publishing
}

// publishing is a message of which parts are missing.
type publishing struct {
	Message
	left uint64
}

func (b *Broker) serve(p *peer) error {
	hello := make([]byte, 8)
	if _, err := io.ReadFull(p, hello); err != nil || string(hello) != "AMQP\x00\x00\x09\x01" {
		return fmt.Errorf("not AMQP: %q, %w", hello, err)
	}
	if b.how() == Mute {
		_, err := io.Copy(io.Discard, p)
		return err
	}
	start := new(writer).byte(0).byte(9).table().long("PLAIN").long("en_US")
	if err := p.method(0, connectionStart, start); err != nil {
		return err
	}
	for {
		kind, channel, payload, err := p.frame()
		if err != nil {
			return err
		}
		switch kind {
		case frameMethod:
			err = b.method(p, channel, payload)
		case frameHeader:
			r := &reader{payload}
			r.skip(4)
			if m := p.publishing[channel]; m != nil {
				m.left = r.uint64()
				err = b.complete(p, channel, m)
			}
		case frameBody:
			if m := p.publishing[channel]; m != nil {
				m.Body += string(payload)
				m.left -= uint64(len(payload))
				err = b.complete(p, channel, m)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (b *Broker) how() (a Answer) {
	b.locked(func() { a = b.answer })
	return a
}

// method answers a method.
func (b *Broker) method(p *peer, channel uint16, payload []byte) error {
	r := &reader{payload}
	switch id := r.uint32(); id {
	case connectionStartOk:
		r.long() // the properties
		r.short()
		login := r.long()
		b.locked(func() { b.login = login })
		return p.method(0, connectionTune, new(writer).uint16(10).uint32(4096).uint16(0))
	case connectionTuneOk, connectionCloseOk, channelCloseOk:
		return nil
	case connectionOpen:
		vhost := r.short()
		b.locked(func() { b.vhost = vhost })
		return p.method(0, connectionOpenOk, new(writer).short(""))
	case connectionClose:
		_ = p.method(0, connectionCloseOk, new(writer))
		return io.EOF
	case channelOpen:
		p.tags[channel] = 0
		return p.method(channel, channelOpenOk, new(writer).long(""))
	case channelClose:
		return p.method(channel, channelCloseOk, new(writer))
	case exchangeDeclare:
		r.skip(2)
		name, kind := r.short(), r.short()
		conflict := false
		b.locked(func() { b.exchanges[name], conflict = kind, b.precond })
		if conflict {
			return p.method(channel, channelClose, new(writer).uint16(406).short("PRECONDITION_FAILED - inequivalent arg").uint32(exchangeDeclare))
		}
		return p.method(channel, exchangeDeclareOk, new(writer))
	case confirmSelect:
		return p.method(channel, confirmSelectOk, new(writer))
	case basicPublish:
		r.skip(2)
		p.publishing[channel] = &publishing{Message: Message{Exchange: r.short(), Key: r.short()}}
		return nil
	default:
		return fmt.Errorf("method %x is not known here", id)
	}
}

// complete takes a message that is complete.
func (b *Broker) complete(p *peer, channel uint16, m *publishing) error {
	if m.left > 0 {
		return nil
	}
	delete(p.publishing, channel)
	p.tags[channel]++
	how := b.how()
	if how == Drop {
		return io.EOF
	}
	b.locked(func() {
		if how != Nack {
			b.messages = append(b.messages, m.Message)
			close(b.arrived)
			b.arrived = make(chan struct{})
		}
	})
	tag := new(writer).uint64(p.tags[channel]).byte(0)
	switch how {
	case Ack:
		return p.method(channel, basicAck, tag)
	case Nack:
		return p.method(channel, basicNack, tag)
	}
	return nil
}
