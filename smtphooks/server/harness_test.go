package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/logctx"
	"github.com/mailetd/mailetd/container/metrics"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/smtphooks"
)

// patience bounds every wait for something that must happen.
const patience = 10 * time.Second

// fakeQueue keeps what is committed.
type fakeQueue struct {
	mu       sync.Mutex
	mails    []*container.Mail
	delays   []time.Duration // of the mails
	err      error
	writeErr error
	// goodBodies can be written to before writeErr comes.
	goodBodies int
	drop       bool
	hold       chan struct{} // commits wait for it to be closed
	entered    chan struct{} // told when a commit waits
}

func (q *fakeQueue) NewBody() repository.BodyWriter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.goodBodies--; q.goodBodies >= 0 {
		return &fakeBody{}
	}
	return &fakeBody{err: q.writeErr}
}

func (q *fakeQueue) Commit(_ context.Context, c repository.Change) error {
	if q.hold != nil {
		q.entered <- struct{}{}
		<-q.hold
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil || q.drop {
		return q.err
	}
	for _, e := range c.Entries {
		if e.Queue != container.SpoolQueue {
			return fmt.Errorf("queue %q", e.Queue)
		}
		q.mails = append(q.mails, e.Mail)
		q.delays = append(q.delays, e.Delay)
	}
	return nil
}

func (q *fakeQueue) all() []*container.Mail {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]*container.Mail(nil), q.mails...)
}

type fakeBody struct {
	bytes.Buffer
	err error
}

func (b *fakeBody) Write(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	return b.Buffer.Write(p)
}

func (b *fakeBody) Finish() (container.Body, error) {
	return container.BytesBody(b.Buffer.Bytes()), nil
}
func (b *fakeBody) Abort() {}

// fakeLocal is here.test with the users bob, alice and carol; alias@here.test is
// an alias of alice. Passwords are "secret".
type fakeLocal struct{}

func (fakeLocal) IsLocalDomain(_ context.Context, d string) (bool, error) {
	if d == "broken.test" {
		return false, errors.New("disk on fire")
	}
	return d == "here.test" || d == "localhost", nil
}

func (fakeLocal) UserExists(_ context.Context, a container.Address) (bool, error) {
	switch a.Key() {
	case "bob@here.test", "alice@here.test", "carol@here.test":
		return true, nil
	case "broken@here.test":
		return false, errors.New("disk on fire")
	}
	return false, nil
}

func (fakeLocal) Resolve(_ context.Context, a container.Address, _ ...local.MappingType) ([]local.Mapping, error) {
	switch a.Local {
	case "alias":
		return []local.Mapping{{Type: local.MapAlias, Target: "alice@here.test"}}, nil
	case "mixed":
		return []local.Mapping{{Type: local.MapAddress, Target: "alice@here.test"}, {Type: local.MapAddress, Target: "x@far.test"}}, nil
	case "far":
		return []local.Mapping{{Type: local.MapAddress, Target: "x@far.test"}}, nil
	case "loop":
		return nil, local.ErrTooManyMappings
	case "gone":
		return nil, &local.MappingError{Text: "gone"}
	}
	return nil, nil
}

func (fakeLocal) MaySendAs(_ context.Context, user string, a container.Address) (bool, error) {
	return a.Key() == user || user == "alice@here.test" && a.Local == "alias", nil
}

func (fakeLocal) Authenticate(_ context.Context, user, password string) (string, bool, error) {
	if user == "broken@here.test" {
		return "", false, errors.New("disk on fire")
	}
	a, err := container.ParseAddress(user)
	if err != nil || password != "secret" {
		return "", false, nil
	}
	ok, _ := fakeLocal{}.UserExists(context.Background(), a)
	return a.Key(), ok, nil
}

// fakeDNS knows the names of these tables. Whatever is in broken.test cannot be
// looked up now.
type fakeDNS struct{}

var (
	fakeMX = map[string][]dns.MX{
		"mail.test": {{Host: "mx.mail.test", Pref: 10}}, "nullmx.test": {{Host: "."}},
		"inner.test": {{Host: "mx.mail.test", Pref: 10}, {Host: "mx.inner.test", Pref: 20}},
	}
	fakeAddrs = map[string]string{
		"trusted.test": "127.0.0.1", "mx.mail.test": "192.0.2.99", "mx.inner.test": "10.1.1.1", "client.example.org": "192.0.2.1",
		"6.2.0.192.bl.test": "127.0.0.2", "7.2.0.192.bl.test": "127.0.0.2", "7.2.0.192.wl.test": "127.0.0.1",
		"8.2.0.192.bl.test": "127.255.255.254", "9.2.0.192.bl.test": "198.51.100.1",
		"spam.example.bl.test": "127.0.0.2", "3.100.51.198.bl.test": "127.0.0.2",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.test": "127.0.0.4",
	}
	fakeReverse = map[string]string{"192.0.2.1": "client.example.org", "192.0.2.2": "evil\r\nX-Injected: yes"}
	fakeTXT     = map[string]string{
		"6.2.0.192.bl.test": "Listed: see\r\n250 http://bl.test/6", "spam.example.bl.test": "bad (grüße)",
		"spf.test": "v=spf1 ip4:192.0.2.1 -all", "softspf.test": "v=spf1 ~all", "badspf.test": "v=spf1 nonsense",
	}
)

func lookUp[T any](table map[string]T, name string) (T, error) {
	v, ok := table[name]
	switch {
	case ok:
		return v, nil
	case strings.HasSuffix(name, "broken.test"):
		return v, dns.ErrTemporary
	}
	return v, dns.ErrNotFound
}

func (fakeDNS) MX(_ context.Context, domain string) ([]dns.MX, error) { return lookUp(fakeMX, domain) }

func (fakeDNS) Addrs(_ context.Context, host string) ([]netip.Addr, error) {
	ip, err := lookUp(fakeAddrs, host)
	if err != nil {
		return nil, err
	}
	return []netip.Addr{netip.MustParseAddr(ip)}, nil
}

func (fakeDNS) Reverse(_ context.Context, ip netip.Addr) (string, error) {
	return lookUp(fakeReverse, ip.String())
}

func (fakeDNS) TXT(_ context.Context, name string) ([]string, error) {
	text, err := lookUp(fakeTXT, name)
	return []string{text}, err
}

// harness is a running server.
type harness struct {
	*Server
	t     testing.TB
	queue *fakeQueue
	log   *lockedBuffer
	stop  context.CancelFunc
	ended chan error
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const defaultBind = `<bind>127.0.0.1:0</bind><helloName autodetect="false">mx.here.test</helloName>`

// smtpserverXML is a server with DSN hooks and the given elements.
func smtpserverXML(elements string) string {
	for _, d := range []struct{ name, xml string }{
		{"handlerchain", `<handlerchain/>`},
		{"verifyIdentity", `<verifyIdentity>disabled</verifyIdentity>`},
	} {
		if !strings.Contains(elements, "<"+d.name) {
			elements += d.xml
		}
	}
	return `<smtpservers><smtpserver enabled="true">` + defaultBind + elements + `</smtpserver></smtpservers>`
}

func build(t testing.TB, xml string, reg *smtphooks.Registry, o Options) (*harness, *conf.Report) {
	t.Helper()
	r := &conf.Report{}
	h := &harness{t: t, queue: &fakeQueue{}, log: &lockedBuffer{}, ended: make(chan error, 1)}
	if reg == nil {
		reg = smtphooks.NewRegistry()
	}
	h.Server = New(conf.SMTPServers(conf.ParseXML("smtpserver.xml", []byte(xml), r), r), reg, smtphooks.Services{
		DefaultDomain: "here.test", Hostname: "mx.here.test", Local: fakeLocal{}, DNS: fakeDNS{}, Queue: h.queue,
		Metrics: metrics.New(), Log: slog.New(logctx.Handler(slog.NewTextHandler(h.log, nil))),
	}, o, r)
	return h, r
}

// start runs a server with the given elements until the test ends.
func start(t testing.TB, elements string) *harness {
	return startWith(t, elements, nil, Options{})
}

func startWith(t testing.TB, elements string, reg *smtphooks.Registry, o Options) *harness {
	t.Helper()
	h, r := build(t, smtpserverXML(elements), reg, o)
	for _, p := range r.Problems() {
		t.Log(p)
	}
	if r.HasErrors() {
		t.Fatal("configuration has errors")
	}
	if err := h.Listen(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() { h.ended <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		h.Close()
		h.wait()
	})
	return h
}

// wait waits for Run to return.
func (h *harness) wait() {
	h.t.Helper()
	select {
	case err := <-h.ended:
		if err != nil {
			h.t.Errorf("Run: %v", err)
		}
		h.ended <- nil
	case <-time.After(patience):
		h.t.Fatal("Run does not return")
	}
}

// client is one connection to the server.
type client struct {
	t  testing.TB
	nc net.Conn
	br *bufio.Reader
}

func (h *harness) dial() *client {
	h.t.Helper()
	nc, err := net.Dial("tcp", h.Addrs()[0].String())
	if err != nil {
		h.t.Fatal(err)
	}
	return newClient(h.t, nc)
}

func newClient(t testing.TB, nc net.Conn) *client {
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t, nc, bufio.NewReader(nc)}
}

func (c *client) send(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.nc, raw); err != nil {
		c.t.Fatalf("send %.40q: %v", raw, err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	s, err := c.br.ReadString('\n')
	if err != nil {
		c.t.Fatalf("read reply: %v (got %q)", err, s)
	}
	if !strings.HasSuffix(s, "\r\n") {
		c.t.Errorf("reply line %q does not end with CRLF", s)
	}
	return strings.TrimRight(s, "\r\n")
}

// eof expects the end of the connection.
func (c *client) eof() {
	c.t.Helper()
	if b, err := c.br.ReadByte(); err == nil {
		rest, _ := c.br.Peek(c.br.Buffered())
		c.t.Fatalf("got %q, want end of connection", string(b)+string(rest))
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("connection stays open")
	}
}

// expect reads lines and compares them; "..." at the end of one stands for
// anything.
func (c *client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.line(); !matches(got, w) {
			c.t.Fatalf("got  %q\nwant %q", got, w)
		}
	}
}

func matches(got, want string) bool {
	if head, ok := strings.CutSuffix(want, "..."); ok {
		return strings.HasPrefix(got, head)
	}
	return got == want
}

// startTLS shakes hands on the open connection.
func (c *client) startTLS(cfg *tls.Config) {
	c.t.Helper()
	tc := tls.Client(c.nc, cfg)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal(err)
	}
	c.nc, c.br = tc, bufio.NewReader(tc)
}

// talk plays a script. Lines: "C: text" is sent with CRLF, `C" text"` is a quoted
// Go string sent as it is, "C+ text" is sent together with the next line;
// "S: text" is expected; "CLOSED" is the end of the connection; # is a comment.
func (c *client) talk(script string) {
	c.t.Helper()
	held := ""
	for n, line := range strings.Split(strings.TrimSpace(script), "\n") {
		line = strings.TrimLeft(line, "\t")
		kind, text, _ := strings.Cut(line, " ")
		where := fmt.Sprintf("line %d (%s)", n+1, line)
		switch kind {
		case "C+":
			held += text + "\r\n"
		case "C:", "C'":
			raw := text + "\r\n"
			if kind == "C'" {
				var err error
				if raw, err = strconv.Unquote(text); err != nil {
					c.t.Fatalf("%s: %v", where, err)
				}
			}
			c.send(held + raw)
			held = ""
		case "S:":
			if got := c.line(); !matches(got, text) {
				c.t.Fatalf("%s: got %q", where, got)
			}
		case "CLOSED":
			c.eof()
		case "", "#":
		default:
			c.t.Fatalf("%s: not a line of a script", where)
		}
	}
}

func content(t testing.TB, m *container.Mail) (header, body string) {
	t.Helper()
	r, err := m.Message.Body().Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Message.Header()), string(b)
}

// one returns the only mail of the queue.
func (h *harness) one() *container.Mail {
	h.t.Helper()
	mails := h.queue.all()
	if len(mails) != 1 {
		h.t.Fatalf("got %d mails, want 1", len(mails))
	}
	return mails[0]
}
