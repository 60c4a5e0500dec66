package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// socket is one address that is listened on. It outlives reloads: what comes in
// belongs to the endpoint that it has at the moment.
type socket struct {
	bind     string // as configured
	l        net.Listener
	endpoint atomic.Pointer[endpoint]
	dropped  atomic.Bool // closed because the configuration has it no more
}

func openSocket(ctx context.Context, bind string, e *endpoint) (*socket, error) {
	l, err := open(ctx, bind)
	if err != nil {
		return nil, fmt.Errorf("listen for %s: %w", e.cfg.Name, err)
	}
	k := &socket{bind: bind, l: l}
	k.endpoint.Store(e)
	return k, nil
}

func (k *socket) close() { _ = k.l.Close() } // a listener that is closed already is as good

// drop closes a socket whose accept must end without an error.
func (k *socket) drop() {
	k.dropped.Store(true)
	k.close()
}

// accept admits connections until ctx is done or the socket is dropped.
func (k *socket) accept(ctx context.Context, start func(*conn)) error {
	pause := time.Duration(0)
	for {
		nc, err := k.l.Accept()
		e := k.endpoint.Load()
		switch {
		case err == nil:
			pause = 0
			e.admit(nc, start)
		case ctx.Err() != nil, k.dropped.Load():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept for %s: %w", e.cfg.Name, err)
		default:
			// Out of file descriptors, most likely: wait for some to come back.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			e.log().ErrorContext(ctx, "connection not accepted", "server", e.cfg.Name, "err", err)
			sleep(ctx, pause)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// is reports whether bind means this socket: as it was written, or with the port
// that the kernel has chosen.
func (k *socket) is(bind string) bool { return k.bind == bind || k.l.Addr().String() == bind }

// inTheWay reports whether err, from listening on bind, may come from k, which
// listens on the same port of other addresses.
func (k *socket) inTheWay(bind string, err error) bool {
	_, port, e1 := net.SplitHostPort(k.l.Addr().String())
	_, want, e2 := net.SplitHostPort(bind)
	return errors.Is(err, syscall.EADDRINUSE) && e1 == nil && e2 == nil && port == want
}
