package webadmin

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/metrics"
)

type fakeCertificates struct {
	n    int
	port int
	err  error
}

func (f *fakeCertificates) ReloadCertificates(_ context.Context, port int) (int, error) {
	f.port = port
	return f.n, f.err
}

type fakeConnections []Connection

func (f *fakeConnections) Connections() []Connection { return *f }

func (f *fakeConnections) Disconnect(drop func(Connection) bool) {
	var left []Connection
	for _, c := range *f {
		if !drop(c) {
			left = append(left, c)
		}
	}
	*f = left
}

func someConnections() *fakeConnections {
	since := time.Date(2026, 8, 22, 6, 44, 35, 0, time.UTC)
	return &fakeConnections{
		{Protocol: "SMTP", Endpoint: "smtpserver", RemoteAddress: "127.0.0.1:41234", Since: since, Username: "bob@b.com", Details: map[string]string{"mails": "9"}},
		{Protocol: "SMTP", Endpoint: "smtpserver", RemoteAddress: "127.0.0.1:41235", Since: since, Encrypted: true, Username: "alice@b.com", Details: map[string]string{"mails": "10"}},
		{Protocol: "LMTP", Endpoint: "lmtpserver", RemoteAddress: "127.0.0.1:41236", Since: since},
		{Protocol: "SMTP", Endpoint: "smtpserver", RemoteAddress: "127.0.0.1:41237", Since: since, Username: "bob@b.com"},
	}
}

func withEverything(d *Deps) {
	d.Certificates, d.Connections, d.Metrics = &fakeCertificates{n: 1}, someConnections(), metrics.New()
	withPolicies(&localtest.Policies{})(d)
	withSaid(&localtest.Said{})(d)
	withQuotas(&limits{})(d)
}

func TestReloadCertificates(t *testing.T) {
	f := &fakeCertificates{n: 2}
	b := newBench(t, Config{}, func(d *Deps) { d.Certificates = f })
	b.want("POST", "/servers?reload-certificate", "", 204, "")
	b.want("POST", "/servers?reload-certificate&port=25", "", 204, "")
	if f.port != 25 {
		t.Errorf("port: got %d", f.port)
	}
	const generic = "Invalid arguments supplied in the user request"
	b.wantError("POST", "/servers", "", 400, "InvalidArgument", generic, "'reload-certificate' query parameter shall be specified")
	b.wantError("POST", "/servers?reload-certificate&port=x", "", 400, "InvalidArgument", generic, "*")
	f.n = 0
	b.wantError("POST", "/servers?reload-certificate", "", 400, "notFound", "No servers configured, nothing to reload", "")
	f.err = errDisk
	b.wantError("POST", "/servers?reload-certificate", "", 500, "ServerError", "WebAdmin encountered an unexpected internal error", "disk full")
}

func TestChannels(t *testing.T) {
	f := someConnections()
	b := newBench(t, Config{}, func(d *Deps) { d.Connections = f })
	const alice = `{"protocol":"SMTP","endpoint":"smtpserver","remoteAddress":"127.0.0.1:41235","connectionDate":"2026-08-22T06:44:35Z","isActive":true,"isOpen":true,"isWritable":true,"isEncrypted":true,"username":"alice@b.com","protocolSpecificInformation":{"mails":"10"}}`
	b.want("GET", "/servers/channels/alice@b.com", "", 200, "["+alice+"]")
	b.want("GET", "/servers/channels/nobody@b.com", "", 200, "[]")
	b.want("GET", "/servers/channels?limit=1&sortBy=mails&sortDirection=desc&sortType=numerical", "", 200, "["+alice+"]")
	b.want("GET", "/servers/channels?limit=1&offset=2&sortBy=username", "", 200, "["+strings.NewReplacer("41235", "41234", `"isEncrypted":true`, `"isEncrypted":false`, "alice", "bob", `"10"`, `"9"`).Replace(alice)+"]")
	b.want("GET", "/servers/connectedUsers", "", 200, `["alice@b.com","bob@b.com"]`)
	b.wantError("GET", "/servers/channels?limit=0", "", 400, "InvalidArgument", "limit can not be equal to zero", "")
	b.wantError("GET", "/servers/channels?sortType=x", "", 400, "InvalidArgument", "Invalid arguments supplied in the user request", "*")
	b.wantError("GET", "/servers/channels?sortDirection=x", "", 400, "InvalidArgument", "Invalid arguments supplied in the user request", "*")
	b.wantError("DELETE", "/servers/channels", "{", 400, "InvalidArgument", "JSON payload of the request is not valid", "*")
	b.want("DELETE", "/servers/channels/bob@b.com", "", 204, "")
	if len(*f) != 2 {
		t.Errorf("after bob: %v", *f)
	}
	b.want("DELETE", "/servers/channels", `["alice@b.com"]`, 204, "")
	if len(*f) != 1 {
		t.Errorf("after alice: %v", *f)
	}
	b.want("DELETE", "/servers/channels", "", 204, "")
	if len(*f) != 0 {
		t.Errorf("after all: %v", *f)
	}
}

func TestMetrics(t *testing.T) {
	set := metrics.New()
	set.Counter("outgoingMails_total", "help").Add(2)
	set.Counter("other_total", "help")
	b := newBench(t, Config{Metrics: true, Passwords: []string{"p"}}, func(d *Deps) { d.Metrics = set })
	w := b.do("GET", "/metrics", "")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "outgoingMails_total 2\n") || !strings.Contains(w.Body.String(), "other_total 0") ||
		!strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") ||
		!strings.Contains(w.Body.String(), "mailetd_tasks{status=\"waiting\"} 0") {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	w = b.do("GET", "/metrics?name[]=outgoingMails_total", "")
	if strings.Contains(w.Body.String(), "other_total") || !strings.Contains(w.Body.String(), "outgoingMails_total 2") {
		t.Errorf("one name: got %s", w.Body)
	}
	b.do("GET", "/mailQueues", "")
	b.do("GET", "/mailQueues", "", "Password", "wrong")
	got := b.do("GET", "/metrics", "").Body.String()
	for _, want := range []string{`mailetd_webadmin_requests_total{code="401"} 2`, "mailetd_webadmin_auth_failures_total 1"} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
}

func TestReloadServers(t *testing.T) {
	f, calls, wrong := &fakeCertificates{n: 1}, 0, error(nil)
	b := newBench(t, Config{}, func(d *Deps) {
		d.Certificates = f
		d.ReloadServers = func(context.Context) error { calls++; return wrong }
	})
	b.want("POST", "/servers?reload", "", 204, "")
	wrong = errors.New("smtpserver.xml:3:1: error: no such handler")
	b.wantError("POST", "/servers?reload", "", 400, "InvalidArgument", "The servers stay as they were", wrong.Error())
	b.want("POST", "/servers?reload-certificate", "", 204, "")
	if calls != 2 {
		t.Errorf("reloaded %d times, want 2", calls)
	}
}
