package amqp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
)

// Direct is the type of exchange that is declared if nothing is said.
const Direct = "direct"

// Kinds are the types of exchanges.
func Kinds() []string { return []string{Direct, "fanout", "topic", "headers"} }

// Config says where to publish.
type Config struct {
	// URIs are of brokers that do the same, amqp:// or amqps://; one without user or
	// virtual host has those of the first.
	URIs       []string
	Exchange   string
	Kind       string // one of Kinds; empty is Direct
	RoutingKey string
	Timeout    time.Duration // for one Publish
	Log        *slog.Logger
}

// pause is how long nobody tries to connect after that failed.
const pause = time.Second

// Publisher publishes. It may be used by several goroutines.
type Publisher struct {
	Config
	now func() time.Time

	// busy is held by the one who connects. A channel, so that waiting has an end.
	busy chan struct{}

	mu      sync.Mutex // guards the rest
	session *session
	failed  time.Time // when connecting failed last
	reason  error
	warned  bool // about the exchange
	closed  bool
}

// session is a connection with a channel in confirm mode.
type session struct {
	conn    *amqp091.Connection
	channel *amqp091.Channel
	raw     net.Conn
	ended   atomic.Bool
}

func (s *session) dead() bool { return s.ended.Load() || s.conn.IsClosed() || s.channel.IsClosed() }

// end closes the connection at once: nothing that waits for it waits longer.
func (s *session) end() {
	if s.ended.Swap(true) {
		return
	}
	_ = s.raw.Close() // there is nothing to lose
	_ = s.conn.CloseDeadline(time.Now())
}

// New checks c. It does not connect; Run ends what is opened.
func New(c Config) (*Publisher, error) {
	p := &Publisher{Config: c, now: time.Now, busy: make(chan struct{}, 1)}
	if p.Kind == "" {
		p.Kind = Direct
	}
	if !slices.Contains(Kinds(), p.Kind) {
		return nil, fmt.Errorf("exchange type %q is none of direct, fanout, topic and headers", c.Kind)
	}
	if len(c.URIs) == 0 {
		return nil, errors.New("no broker is given")
	}
	var err error
	p.URIs, err = complete(c.URIs)
	return p, err
}

// complete checks the URIs and gives those without user or virtual host what the
// first has. No error shows a password.
func complete(uris []string) ([]string, error) {
	var out []string
	var first *url.URL
	for i, text := range uris {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "amqp" && u.Scheme != "amqps" {
			return nil, fmt.Errorf("broker %d: want a URI such as amqp://user:password@mq.example.com:5672/vhost, with %%xx for what is special in one", i+1)
		}
		if first == nil {
			first = u
		}
		if u.User == nil {
			u.User = first.User
		}
		if u.Path == "" {
			u.Path, u.RawPath = first.Path, first.RawPath
		}
		if _, err := amqp091.ParseURI(u.String()); err != nil {
			return nil, fmt.Errorf("broker %s: %w", u.Host, err)
		}
		out = append(out, u.String())
	}
	return out, nil
}

// Run closes the connection when ctx is done.
func (p *Publisher) Run(ctx context.Context) error {
	<-ctx.Done()
	p.mu.Lock()
	s := p.session
	p.session, p.closed = nil, true
	p.mu.Unlock()
	if s != nil {
		_ = s.conn.CloseDeadline(time.Now().Add(time.Second)) // all was confirmed
	}
	return nil
}

// Publish publishes messages, in order. The broker has all of them when there is
// no error; it may have some of them else. When a connection breaks that was open
// before, those that were not confirmed are published again on a new one.
func (p *Publisher) Publish(ctx context.Context, messages [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	s, fresh, err := p.open(ctx)
	if err != nil {
		return err
	}
	left, err := p.send(ctx, s, messages)
	if err == nil || fresh || !s.dead() || ctx.Err() != nil {
		return err
	}
	if s, _, err = p.open(ctx); err != nil {
		return err
	}
	_, err = p.send(ctx, s, left)
	return err
}

// send publishes messages and waits for the broker to confirm them. It returns
// those that the broker may not have.
func (p *Publisher) send(ctx context.Context, s *session, messages [][]byte) (left [][]byte, err error) {
	stop := context.AfterFunc(ctx, s.end) // or a broker that does not read would hold us up
	defer stop()
	var waiting []*amqp091.DeferredConfirmation
	for _, m := range messages {
		c, perr := s.channel.PublishWithDeferredConfirm(p.Exchange, p.RoutingKey, false, false,
			amqp091.Publishing{DeliveryMode: amqp091.Persistent, Body: m})
		if perr != nil {
			err = perr
			break
		}
		waiting = append(waiting, c)
	}
	for i, c := range waiting {
		ok, werr := c.WaitContext(ctx)
		if ok {
			continue
		}
		left = append(left, messages[i])
		if werr == nil && !s.dead() {
			werr = errors.New("the broker does not take the message")
		}
		if err == nil && werr != nil {
			err = werr
		}
	}
	left = append(left, messages[len(waiting):]...)
	switch {
	case len(left) == 0:
		return nil, nil
	case ctx.Err() != nil:
		s.end()
		err = ctx.Err()
	case err == nil:
		err = errors.New("the connection was lost")
	}
	return left, fmt.Errorf("publish to exchange %s: %w", p.Exchange, err)
}

// open returns a session, and whether it is a new one.
func (p *Publisher) open(ctx context.Context) (s *session, fresh bool, err error) {
	if s, err := p.current(); s != nil || err != nil {
		return s, false, err
	}
	select {
	case p.busy <- struct{}{}:
		defer func() { <-p.busy }()
	case <-ctx.Done():
		return nil, false, fmt.Errorf("wait for a connection: %w", ctx.Err())
	}
	if s, err := p.current(); s != nil || err != nil {
		return s, true, err
	}
	s, err = p.connect(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil:
		p.failed, p.reason = p.now(), err
		return nil, false, err
	case p.closed:
		s.end()
		return nil, false, net.ErrClosed
	}
	p.session = s
	return s, true, nil
}

// current returns the session if there is one that lives, or why there is none
// to be had now.
func (p *Publisher) current() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, net.ErrClosed
	case p.session != nil && !p.session.dead():
		return p.session, nil
	case p.session != nil:
		p.session.end()
		p.session = nil
	}
	if p.now().Sub(p.failed) < pause {
		return nil, fmt.Errorf("no connection a moment ago: %w", p.reason)
	}
	return nil, nil
}

// connect tries the brokers in turn.
func (p *Publisher) connect(ctx context.Context) (*session, error) {
	var errs []error
	for i, uri := range p.URIs {
		s, err := p.dial(ctx, uri, len(p.URIs)-i)
		if err == nil {
			return s, nil
		}
		u, _ := url.Parse(uri) // New has checked it
		errs = append(errs, fmt.Errorf("broker %s: %w", u.Host, err))
	}
	return nil, errors.Join(errs...)
}

// dial opens a session with the first of so many brokers: one that is silent must
// leave time for the others.
func (p *Publisher) dial(ctx context.Context, uri string, brokers int) (*session, error) {
	s := &session{}
	end, _ := ctx.Deadline()
	limit := time.Now().Add(time.Until(end) / time.Duration(brokers))
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	stop := func() bool { return true }
	defer func() { stop() }()
	config := amqp091.Config{Properties: amqp091.NewConnectionProperties(), Dial: func(network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		s.raw = &timedConn{c, p.Timeout}
		// A deadline of the connection would be replaced by that of heartbeats.
		stop = context.AfterFunc(ctx, func() { _ = c.Close() })
		return s.raw, nil
	}}
	config.Properties.SetClientConnectionName("mailetd")
	var err error
	if s.conn, err = amqp091.DialConfig(uri, config); err != nil {
		if s.raw != nil {
			_ = s.raw.Close()
		}
		if ctx.Err() != nil { // what the library makes of it may be anything
			err = fmt.Errorf("open a connection: %w", ctx.Err())
		}
		return nil, err
	}
	if err := p.prepare(s); err != nil {
		s.end()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return s, nil
}

// prepare opens the channel and declares the exchange.
func (p *Publisher) prepare(s *session) (err error) {
	if s.channel, err = s.conn.Channel(); err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	// Not durable, as James declares it: one that is there stays as it is.
	if err = s.channel.ExchangeDeclare(p.Exchange, p.Kind, false, false, false, false, nil); err != nil {
		var refused *amqp091.Error
		if !errors.As(err, &refused) || refused.Code != amqp091.PreconditionFailed {
			return fmt.Errorf("declare exchange %s: %w", p.Exchange, err)
		}
		p.warn(refused)
		if s.channel, err = s.conn.Channel(); err != nil { // the broker has closed the other
			return fmt.Errorf("open a channel: %w", err)
		}
	}
	if err = s.channel.Confirm(false); err != nil {
		return fmt.Errorf("ask for confirms: %w", err)
	}
	return nil
}

// warn logs once that the exchange is another.
func (p *Publisher) warn(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.warned {
		p.Log.Warn("the exchange is there with other properties; it is used as it is", "exchange", p.Exchange, "err", err)
	}
	p.warned = true
}

// timedConn limits how long a broker may refuse to read.
type timedConn struct {
	net.Conn
	limit time.Duration
}

func (c *timedConn) Write(b []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
