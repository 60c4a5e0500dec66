package remote

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
	"github.com/mailetd/mailetd/mailets/remote/queuetest"
	"github.com/mailetd/mailetd/repository"
)

// rig is a worker over a queue in memory, a zone of its own, and hops that the
// addresses of the zone lead to.
type rig struct {
	t     testing.TB
	zone  *dnstest.Server
	store *queuetest.Queues
	group *Group
	in    *Instance
	log   *logBuffer
	mtr   *metrics.Set

	mu    sync.Mutex
	hops  map[netip.Addr]string // where connections to an address really go
	dials atomic.Int32

	cancel context.CancelFunc
	done   chan error
}

// hang in rig.hops lets connections to an address wait for ever.
const hang = "hang"

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// testConfig is a configuration with short limits, no retries, and processors
// for everything.
func testConfig() Config {
	return Config{
		Queue: "outgoing", Threads: 10, Timeout: 5 * time.Second, FinalTimeout: 5 * time.Second, ConnectTimeout: time.Second,
		SendPartial: true, BounceProcessor: "bounces", OnSuccess: "done", HeloName: "mx.here.test", VerifyIdentity: true,
	}
}

// newRig makes a rig with an instance; run starts the worker.
func newRig(t testing.TB, c Config, change ...func(*Services)) *rig {
	t.Helper()
	r := &rig{t: t, zone: dnstest.New(t), store: queuetest.New(), hops: map[netip.Addr]string{}, log: &logBuffer{}, mtr: metrics.New()}
	s := Services{
		Hostname: "mx.here.test", Postmaster: container.MustAddress("postmaster@here.test"), DNS: r.zone.Resolver(), Queues: r.store,
		Metrics: r.mtr, Log: slog.New(logctx.Handler(slog.NewTextHandler(r.log, nil))), Dial: r.dial,
	}
	for _, f := range change {
		f(&s)
	}
	r.group = NewGroup(s)
	r.in = r.group.Add(c)
	return r
}

// run starts the worker; it ends with the test or with stop.
func (r *rig) run() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- r.in.Run(ctx) }()
	r.t.Cleanup(r.stop)
	return r
}

func (r *rig) stop() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("Run: %v", err)
		}
	case <-time.After(20 * time.Second):
		r.t.Error("Run does not return")
	}
}

func (r *rig) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.dials.Add(1)
	ap := netip.MustParseAddrPort(addr)
	r.mu.Lock()
	to := r.hops[ap.Addr()]
	r.mu.Unlock()
	switch to {
	case "":
		return nil, errors.New("connection refused")
	case hang:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// hop makes a host reachable: its name resolves to ip, and ip leads to the hop.
func (r *rig) hop(host, ip string, h *hoptest.Server) {
	r.t.Helper()
	r.addr(host, ip)
	r.route(ip, h.Addr().String())
}

func (r *rig) addr(host, ip string) {
	r.t.Helper()
	typ := " A "
	if strings.Contains(ip, ":") {
		typ = " AAAA "
	}
	r.zone.Add(r.t, host+". 60 IN"+typ+ip)
}

func (r *rig) route(ip, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops[netip.MustParseAddr(ip)] = to
}

const sampleBody = "Hello.\r\n.dot at the start\r\n..two\r\n\r\nlast line\r\n"

func newMail(rcpts ...string) *container.Mail {
	var list []container.Address
	for _, s := range rcpts {
		list = append(list, container.MustAddress(s))
	}
	header := "From: alice@here.test\r\nSubject: Test\r\nMessage-ID: <1@here.test>\r\n"
	m := container.NewMail(container.MustAddress("alice@here.test"), list, container.NewMessage([]byte(header), container.BytesBody(sampleBody)))
	m.State = "relay"
	return m
}

// send queues a mail as the mailet does.
func (r *rig) send(m *container.Mail) { r.sendFrom(r.in, m) }

func (r *rig) sendFrom(in *Instance, m *container.Mail) {
	r.t.Helper()
	if err := r.store.Commit(r.t.Context(), repository.Change{Entries: in.Split(m)}); err != nil {
		r.t.Fatal(err)
	}
}

// spool waits for n mails in the spool and returns them, sorted by state and
// recipients.
func (r *rig) spool(n int) []*container.Mail {
	r.t.Helper()
	var out []*container.Mail
	for _, e := range r.store.WaitLen(r.t, container.SpoolQueue, n) {
		out = append(out, e.Mail)
	}
	slices.SortFunc(out, func(a, b *container.Mail) int { return strings.Compare(describe(a), describe(b)) })
	return out
}

// idle waits until nothing of the outgoing queue is being delivered and n items
// are in it.
func (r *rig) outgoing(n int) []queuetest.Entry {
	r.t.Helper()
	return r.store.WaitLen(r.t, "outgoing", n)
}

// describe returns state, recipients and the delivery attributes of a mail.
func describe(m *container.Mail) string {
	var b strings.Builder
	b.WriteString(m.State + " " + strings.Join(container.AddressStrings(m.Recipients), ","))
	for _, name := range []string{container.AttrPermanentError, container.AttrDeliveryErrorCode, container.AttrDeliveryError} {
		if v, ok := m.Attributes[name]; ok {
			b.WriteString(" " + container.FormatValue(v))
		}
	}
	return b.String()
}
