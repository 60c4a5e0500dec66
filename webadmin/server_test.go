package webadmin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// run serves b on a port of the kernel's and returns its URL and what ends it.
func (b *bench) run(client *http.Client, scheme string) (base string, stop func() error) {
	b.t.Helper()
	b.cfg.Port = 0
	if err := b.Listen(); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	over := false
	stop = func() error {
		if over {
			return nil
		}
		over = true
		cancel()
		client.CloseIdleConnections()
		return <-ended
	}
	b.t.Cleanup(func() { _ = stop() })
	return scheme + "://" + b.Addr().String(), stop
}

func fetch(t *testing.T, client *http.Client, method, url, body string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got), resp.Header
}

func TestListener(t *testing.T) {
	b := newBench(t, Config{}, nil)
	client := &http.Client{}
	base, stop := b.run(client, "http")
	if status, body, _ := fetch(t, client, "GET", base+"/mailQueues", ""); status != 200 || body != `["spool"]` {
		t.Errorf("GET: %d %s", status, body)
	}
	status, body, h := fetch(t, client, "HEAD", base+"/mailQueues", "")
	if status != 200 || body != "" || h.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: %d %s %v", status, body, h)
	}
	if status, _, _ := fetch(t, client, "HEAD", base+"/mailQueues/unknown", ""); status != 404 {
		t.Errorf("HEAD of what is not there: %d", status)
	}
	message := "From: a@b.com\r\nTo: b@b.com\r\n\r\n" + strings.Repeat("0123456789\r\n", 100_000)
	if status, body, _ := fetch(t, client, "POST", base+"/mail-transfer-service", message); status != 201 {
		t.Errorf("POST: %d %s", status, body)
	}
	b.put(errorRepo, "m", func(m *container.Mail) { m.Message = container.ParseMessage([]byte(message)) })
	r, _ := http.NewRequest("GET", base+"/mailRepositories/var%2Fmail%2Ferror/mails/m", nil)
	r.Header.Set("Accept", rfc822)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || string(got) != message || resp.ContentLength != int64(len(message)) {
		t.Errorf("download: %v, %d octets of %d", err, len(got), resp.ContentLength)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A message that cannot be read to its end is not taken for whole.
func TestDownloadBreaks(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.put(errorRepo, "m", func(m *container.Mail) { m.Message = container.NewMessage(nil, brokenBody{}) })
	client := &http.Client{}
	base, _ := b.run(client, "http")
	r, _ := http.NewRequest("GET", base+"/mailRepositories/var%2Fmail%2Ferror/mails/m", nil)
	r.Header.Set("Accept", rfc822)
	resp, err := client.Do(r)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client saw no error")
	}
}

// A listing that ends early is not taken for whole either.
func TestListBreaks(t *testing.T) {
	b := newBench(t, Config{}, nil)
	for range 1000 {
		b.store.enqueue("spool", container.NewMail(container.MustAddress("a@b.com"), nil, container.Message{}), 0)
	}
	b.store.fail = errDisk // after the last item
	client := &http.Client{}
	base, _ := b.run(client, "http")
	resp, err := client.Get(base + "/mailQueues/spool/mails")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the client saw no error")
	}
}

// When serving ends by itself, Run says so and takes the tasks along.
func TestServingFails(t *testing.T) {
	b := newBench(t, Config{}, nil)
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	b.listener.Close()
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "serve webadmin") {
		t.Errorf("got %v", err)
	}
}

type brokenBody struct{}

func (brokenBody) Size() int64 { return 1 << 20 }

func (brokenBody) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000)), errReader{})), nil
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errDisk }

// The end of the server ends the running task and whoever waits for it.
func TestShutdownEndsTasks(t *testing.T) {
	b := newBench(t, Config{}, nil)
	client := &http.Client{}
	base, stop := b.run(client, "http")
	running := make(chan struct{})
	id := b.submitStep("long", func(ctx context.Context) error {
		close(running)
		<-ctx.Done()
		return ctx.Err()
	})
	waiting := b.submitStep("next", func(context.Context) error { return errors.New("ran after the end") })
	<-running
	answers := make(chan int, 1)
	go func() {
		resp, err := client.Get(base + "/tasks/" + waiting + "/await")
		if err != nil {
			answers <- 0
			return
		}
		resp.Body.Close()
		answers <- resp.StatusCode
	}()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if status := <-answers; status != 503 && status != 0 {
		t.Errorf("await: got %d", status)
	}
	if s, _ := b.tasks.Get(id); s.Status != "canceled" {
		t.Errorf("running task: got %s", s.Status)
	}
	if s, _ := b.tasks.Get(waiting); s.Status != "waiting" {
		t.Errorf("waiting task: got %s", s.Status)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b := newBench(t, Config{Port: l.Addr().(*net.TCPAddr).Port}, nil)
	if err := b.Listen(); err == nil || !strings.Contains(err.Error(), "listen for webadmin") {
		t.Errorf("got %v", err)
	}
	if b.Addr() != nil {
		t.Error("there is an address without a port")
	}
}

func TestHTTPS(t *testing.T) {
	cert, key := selfSigned(t)
	files := map[string][]byte{"c": cert, "k": key}
	b := newBench(t, Config{HTTPS: true, Certificates: "c", PrivateKey: "k"}, func(d *Deps) {
		d.ReadFile = func(name string) ([]byte, error) { return files[name], nil }
	})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cert)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	base, _ := b.run(client, "https")
	if status, body, _ := fetch(t, client, "GET", base+"/mailQueues", ""); status != 200 || body != `["spool"]` {
		t.Errorf("got %d %s", status, body)
	}
}

func TestNewErrors(t *testing.T) {
	b := newBench(t, Config{}, nil)
	missing := func(string) ([]byte, error) { return nil, os.ErrNotExist }
	rubbish := func(string) ([]byte, error) { return []byte("rubbish"), nil }
	for _, tc := range []struct {
		name string
		cfg  Config
		read func(string) ([]byte, error)
		want string
	}{
		{"no JWT key", Config{JWT: true}, missing, "read jwt.publickeypem.url"},
		{"no certificate", Config{HTTPS: true}, missing, "read https.certificates"},
		{"bad certificate", Config{HTTPS: true}, rubbish, "https.certificates and https.privateKey"},
	} {
		_, err := New(tc.cfg, Deps{Queues: b.store, Store: b.store, Repositories: b.store, ReadFile: tc.read, Log: quiet()})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("no stores: got no error")
	}
}
