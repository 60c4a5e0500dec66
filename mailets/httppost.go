package mailets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// httpPost sends forms to a web server: HeadersToHTTP and SerialiseToHTTP.
type httpPost struct {
	client      *http.Client
	url         string
	field       string // header field for the result
	passThrough bool
	log         *slog.Logger
}

// Limits of one request.
const (
	httpTimeout     = 30 * time.Second
	maxHTTPResponse = 64 << 10
	maxFormInMemory = 1 << 20 // a larger form is streamed, without Content-Length
)

// readHTTPPost reads url, timeout and passThrough.
func readHTTPPost(p *conf.Params, log *slog.Logger, field string) *httpPost {
	h := &httpPost{url: p.Required("url"), field: field, log: log}
	u, err := url.Parse(h.url)
	if err == nil && h.url != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "") {
		err = fmt.Errorf("%q is not of the form http://host/path", h.url)
	}
	if err != nil {
		p.Fail("url", err)
	}
	v := p.String("passThrough", "true")
	// As in James: what is not true is false.
	if h.passThrough = strings.EqualFold(v, "true"); !h.passThrough && !strings.EqualFold(v, "false") {
		p.Warn("passThrough", "<passThrough> is %q, not true or false; using false", v)
	}
	timeout := p.Duration("timeout", time.Second, httpTimeout)
	if timeout <= 0 {
		p.Fail("timeout", errors.New("there must be some time"))
	}
	h.client = &http.Client{
		Timeout: timeout,
		// A redirection is an answer like others: the mail is not sent on to
		// places that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout:    timeout,
			ResponseHeaderTimeout:  timeout,
			MaxResponseHeaderBytes: maxHTTPResponse,
			DisableKeepAlives:      true, // nothing to wait for when the server stops
		},
	}
	return h
}

// post sends a form. A failure is a text for the header of the mail, which says
// nothing about our network; the log has the rest.
func (h *httpPost) post(ctx context.Context, m *container.Mail, form io.Reader) (failure string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, form)
	if err != nil {
		return h.failed(ctx, m, "the request cannot be made", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := h.client.Do(req)
	if err != nil {
		text := "the server cannot be reached"
		var ne net.Error
		if errors.As(err, &ne) && ne.Timeout() {
			text = "the server did not answer in time"
		}
		return h.failed(ctx, m, text, err)
	}
	defer resp.Body.Close()
	// Read what there is, so that a server that answers slowly is not cut off.
	if _, err := io.CopyN(io.Discard, resp.Body, maxHTTPResponse); err != nil && !errors.Is(err, io.EOF) {
		h.log.DebugContext(ctx, "rest of an HTTP answer not read", "mail", m.Name, "err", err)
	}
	if resp.StatusCode/100 != 2 {
		return h.failed(ctx, m, fmt.Sprintf("the server answered with status %d", resp.StatusCode), nil)
	}
	return ""
}

func (h *httpPost) failed(ctx context.Context, m *container.Mail, text string, err error) string {
	attrs := []any{"mail", m.Name, "reason", text}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // without the URL, which may have a key in it
	}
	if err != nil {
		attrs = append(attrs, "err", err)
	}
	h.log.WarnContext(ctx, "mail not sent over HTTP", attrs...)
	return text
}

// note writes the result into the header.
func (h *httpPost) note(m *container.Mail, failure string) {
	head := mime.Remove(m.Message.Header(), h.field+"Failure")
	if failure == "" {
		m.Message.SetHeader(mime.Set(head, h.field, "Succeeded"))
		return
	}
	m.Message.SetHeader(mime.Set(mime.Add(head, h.field+"Failure", failure), h.field, "Failed"))
}

// formWithMessage returns the form name=<the whole message>, with the octets of
// the message as they are, followed by rest. A small one is in memory.
func formWithMessage(name string, m *container.Message, rest string) (io.ReadCloser, error) {
	r, err := m.OpenShared()
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	form := io.MultiReader(strings.NewReader(url.QueryEscape(name)+"="), &escaper{r: r}, strings.NewReader(rest))
	if m.Size() > maxFormInMemory {
		return struct {
			io.Reader
			io.Closer
		}{form, r}, nil
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(form); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return inMemory{bytes.NewReader(b.Bytes())}, nil
}

// inMemory is a form in memory.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// escaper encodes what it reads for a form.
type escaper struct {
	r    io.Reader
	buf  [8 << 10]byte
	left string
	err  error
}

func (e *escaper) Read(p []byte) (int, error) {
	for e.left == "" {
		if e.err != nil {
			return 0, e.err
		}
		var n int
		n, e.err = e.r.Read(e.buf[:])
		e.left = url.QueryEscape(string(e.buf[:n])) // octet by octet
	}
	n := copy(p, e.left)
	e.left = e.left[n:]
	return n, nil
}
