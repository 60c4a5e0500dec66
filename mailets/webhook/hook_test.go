package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func testMail(header, body string, rcpts ...string) *container.Mail {
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r))
	}
	m := container.NewMail(container.MustAddress("sender@example.org"), list, container.NewMessage([]byte(header), container.BytesBody(body)))
	m.ID, m.Name, m.RemoteAddr, m.RemoteHost = "ID1", "Mail1", "192.0.2.1", "client.test"
	return m
}

func hook(t *testing.T, c Config) *Hook {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// request is what a server got.
type request struct {
	head http.Header
	size int64
	body string
}

// serve answers with a status and keeps the last request.
func serve(t *testing.T, status int, kind, answer string) (address string, got *request) {
	t.Helper()
	got = &request{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost {
			t.Errorf("%s, %v", r.Method, err)
		}
		*got = request{r.Header, r.ContentLength, string(body)}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func TestStatus(t *testing.T) {
	for _, tc := range []struct {
		status       int
		kind, answer string
		result, text string
	}{
		{200, "text/plain", "", "delivered", "HTTP status 200 (OK)"},
		{202, "text/plain; charset=utf-8", "queued\r\nas 7\x1b", "delivered", "HTTP status 202 (Accepted): queued as 7"},
		{400, "text/html", "<html>", "failed", "HTTP status 400 (Bad Request)"},
		{404, "text/plain", strings.Repeat("x", 100_000), "failed", "HTTP status 404 (Not Found): " + strings.Repeat("x", maxReason)},
		{422, "", "", "failed", "HTTP status 422 (Unprocessable Entity)"},
		{408, "", "", "deferred", "HTTP status 408 (Request Timeout)"},
		{425, "", "", "deferred", "HTTP status 425 (Too Early)"},
		{429, "", "", "deferred", "HTTP status 429 (Too Many Requests)"},
		{500, "", "", "deferred", "HTTP status 500 (Internal Server Error)"},
		{503, "", "", "deferred", "HTTP status 503 (Service Unavailable)"},
		{302, "", "", "deferred", "HTTP status 302 (Found)"},
		{599, "", "", "deferred", "HTTP status 599"},
	} {
		address, _ := serve(t, tc.status, tc.kind, tc.answer)
		m := testMail("A: b\r\n", "Hi\r\n", "bob@example.com")
		o := hook(t, Config{URL: address, Format: Message}).Post(t.Context(), m, m.Recipients, 1)
		if o.Result != tc.result || o.Text != tc.text || o.Host != "127.0.0.1" {
			t.Errorf("%d: got %+v", tc.status, o)
		}
		if want := map[string]byte{"delivered": '2', "deferred": '4', "failed": '5'}[tc.result]; o.Enhanced[0] != want {
			t.Errorf("%d: status %s", tc.status, o.Enhanced)
		}
	}
}

func TestMessage(t *testing.T) {
	address, got := serve(t, 200, "", "")
	m := testMail("Subject: x\r\n", strings.Repeat("line\r\n", 500_000), "bob@example.com", "zoë@example.com")
	o := hook(t, Config{URL: address, Format: Message, Authorization: "Bearer t"}).Post(t.Context(), m, m.Recipients, 3)
	if o.Result != container.Delivered {
		t.Fatal(o)
	}
	if got.body != "Subject: x\r\n\r\n"+strings.Repeat("line\r\n", 500_000) || got.size != m.Message.Size() {
		t.Errorf("got %d octets, announced %d", len(got.body), got.size)
	}
	for name, want := range map[string]string{"Content-Type": "message/rfc822", "Mail-Sender": "sender@example.org", "Mail-Name": "Mail1",
		"Mail-Attempt": "3", "Authorization": "Bearer t", "Mail-Recipient": "bob@example.com zoë@example.com", "User-Agent": "mailetd"} {
		if v := strings.Join(got.head.Values(name), " "); v != want {
			t.Errorf("%s: got %q, want %q", name, v, want)
		}
	}
	first := got.head.Get("Idempotency-Key")
	hook(t, Config{URL: address, Format: JSON}).Post(t.Context(), m, m.Recipients, 4)
	if again := got.head.Get("Idempotency-Key"); len(first) != 32 || again != first {
		t.Errorf("keys %q and %q", first, again)
	}
	hook(t, Config{URL: address, Format: JSON}).Post(t.Context(), m, m.Recipients[:1], 1)
	if other := got.head.Get("Idempotency-Key"); other == first {
		t.Error("other recipients have the same key")
	}
}

func TestJSON(t *testing.T) {
	address, got := serve(t, 200, "", "")
	m := testMail("Subject: a\r\n b\r\nX: <\xff>\r\nX: \r\n", "Hi\r\n", "bob@example.com")
	m.Sender = container.Address{}
	h := hook(t, Config{URL: address, Format: JSON})
	h.Post(t.Context(), m, m.Recipients, 2)
	want := `{"name":"Mail1","id":"ID1","sender":"","recipients":["bob@example.com"],"remoteHost":"client.test","remoteAddress":"192.0.2.1",` +
		`"attempt":2,"size":35,"headers":[{"name":"Subject","value":"a b"},{"name":"X","value":"\u003c\ufffd\u003e"},{"name":"X","value":""}]}`
	if got.body != want || got.head.Get("Content-Type") != "application/json" || got.head.Get("Mail-Recipient") != "" {
		t.Errorf("got %s\nwant %s", got.body, want)
	}
	m.Message = container.NewMessage([]byte(strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 10_000)), nil)
	h.Post(t.Context(), m, m.Recipients, 1)
	var doc mail
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil || !doc.Truncated || len(doc.Headers) != maxFields/1005 {
		t.Errorf("%d fields, truncated %t, %v", len(doc.Headers), doc.Truncated, err)
	}
}

func TestUnanswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	t.Cleanup(func() { l.Close() }) // accepts nobody: it hangs
	for address, want := range map[string]string{
		l.Addr().String():      "4.4.2 no answer within 200ms",
		closed.Addr().String(): "4.4.1 cannot connect: connect: connection refused",
	} {
		m := testMail("A: b\r\n", strings.Repeat("x", 20<<20), "bob@example.com")
		o := hook(t, Config{URL: "http://" + address + "/?key=secret", Format: Message, Timeout: 200 * time.Millisecond}).Post(t.Context(), m, m.Recipients, 1)
		if got := o.Enhanced + " " + o.Text; o.Result != container.Deferred || got != want {
			t.Errorf("got %s %q, want %q", o.Result, got, want)
		}
	}
}

type brokenBody struct{}

func (brokenBody) Size() int64 { return 100 }
func (brokenBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{})), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("disk trouble") }

// Half a message is not taken for a whole one.
func TestBrokenMessage(t *testing.T) {
	whole := make(chan bool, 1)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		whole <- err == nil
	}))
	t.Cleanup(s.Close)
	m := testMail("", "", "bob@example.com")
	m.Message = container.NewMessage([]byte("A: b\r\n"), brokenBody{})
	o := hook(t, Config{URL: s.URL, Format: Message}).Post(t.Context(), m, m.Recipients, 1)
	if o.Result != container.Deferred || !strings.Contains(o.Text, "disk trouble") {
		t.Errorf("got %+v", o)
	}
	select {
	case ok := <-whole:
		if ok {
			t.Error("the server got a whole message")
		}
	default: // it never saw the request
	}
}

func TestNew(t *testing.T) {
	for address, ok := range map[string]bool{"http://a.test/x?k=1": true, "https://u:p@a.test": true, "ftp://a.test": false,
		"http:///x": false, "a.test": false, "": false, "http://a.test/%zz": false} {
		h, err := New(Config{URL: address})
		if (err == nil) != ok {
			t.Errorf("%s: got %v", address, err)
		}
		if ok && strings.ContainsAny(h.Place(), "?@") {
			t.Errorf("%s is placed at %s", address, h.Place())
		}
	}
	if CheckAuthorization("Bearer x") != nil || CheckAuthorization("x\r\nHost: y") == nil {
		t.Error("authorization is not checked")
	}
}
