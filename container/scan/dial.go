package scan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"
)

// maxAnswer bounds one line or header of an answer.
const maxAnswer = 64 << 10

// Server is where a scanner listens.
type Server struct {
	Host string // name or address; "" is this machine
	Port int
	// Step bounds connecting, each write, and the answer as a whole: a scanner may
	// take as long as it likes to look at a message only up to this.
	Step time.Duration
	// next is the address that is tried first: the addresses of a host take turns.
	next atomic.Uint32
}

// Addr returns host:port.
func (s *Server) Addr() string {
	host := s.Host
	if host == "" {
		host = "localhost"
	}
	return net.JoinHostPort(host, strconv.Itoa(s.Port))
}

// dial connects to the next address of the host that answers. The name is looked up
// as the system does, /etc/hosts included.
func (s *Server) dial(ctx context.Context) (net.Conn, error) {
	host, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		return nil, err
	}
	lookup, cancel := context.WithTimeout(ctx, s.Step)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupHost(lookup, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	d := net.Dialer{Timeout: s.Step}
	first := int(s.next.Add(1) % uint32(len(addrs)))
	var errs []error
	for i := range addrs {
		c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(addrs[(first+i)%len(addrs)], port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// conn is a connection whose every write is bounded, and all reads together, and
// which ends when the context does.
type conn struct {
	net.Conn
	step    time.Duration
	stop    func() bool
	reading bool
}

func (s *Server) open(ctx context.Context) (*conn, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	return &conn{Conn: c, step: s.Step, stop: stop}, nil
}

// Close ends the connection.
func (c *conn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// Read waits until one step after the first Read at most: an answer is short.
func (c *conn) Read(p []byte) (int, error) {
	if !c.reading {
		if err := c.SetReadDeadline(time.Now().Add(c.step)); err != nil {
			return 0, err
		}
		c.reading = true
	}
	return c.Conn.Read(p)
}

// Write waits for one step at most.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.step)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// until reads up to delim, which is not returned; an answer may also end with
// the connection.
func until(c *conn, delim byte) (string, error) {
	b, err := bufio.NewReaderSize(io.LimitReader(c, maxAnswer), 4096).ReadBytes(delim)
	if len(b) > 0 && b[len(b)-1] == delim {
		return string(b[:len(b)-1]), nil
	}
	if errors.Is(err, io.EOF) && len(b) > 0 && len(b) < maxAnswer {
		return string(b), nil
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return "", err
}
