package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	mailmime "github.com/mailetd/mailetd/container/mime"
)

// Limits of one request.
const (
	maxAnswerHeader = 64 << 10
	maxAnswer       = 64 << 10 // read, so that a slow server is not cut off
	maxReason       = 512      // kept of a text/plain answer
)

// Formats of what is posted.
const (
	Message = "message" // message/rfc822, the envelope in header fields
	JSON    = "json"    // envelope and header as application/json
)

// Config is a hook as configured.
type Config struct {
	URL           string
	Format        string
	Authorization string // value of the header field, "" for none
	Timeout       time.Duration
}

// Hook posts mails. It is safe for concurrent use.
type Hook struct {
	Config
	url    *url.URL
	client *http.Client
}

// New returns the hook of a configuration. It opens nothing.
func New(c Config) (*Hook, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("it is not a URL: %w", withoutURL(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("want http://host/path or https://host/path")
	}
	return &Hook{Config: c, url: u, client: &http.Client{
		Timeout: c.Timeout,
		// A redirection is an answer like others: mail does not go to places that
		// nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: c.Timeout}).DialContext,
			TLSHandshakeTimeout:    c.Timeout,
			ResponseHeaderTimeout:  c.Timeout,
			MaxResponseHeaderBytes: maxAnswerHeader,
			DisableKeepAlives:      true, // nothing to wait for when the server stops
		},
	}}, nil
}

// Place names the hook without what may be secret in its URL: user and query.
func (h *Hook) Place() string { return h.url.Scheme + "://" + h.url.Host + h.url.EscapedPath() }

// CheckAuthorization returns what is wrong with the value of that field.
func CheckAuthorization(s string) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return errors.New("it has characters that cannot be in a header field")
	}
	return nil
}

// Post posts m for rcpts, some of its recipients, and returns what became of all
// of them. It takes no longer than the timeout.
func (h *Hook) Post(ctx context.Context, m *container.Mail, rcpts []container.Address, attempt int) container.Outcome {
	req, err := h.request(ctx, m, rcpts, attempt)
	if err != nil {
		return h.outcome(container.Deferred, "4.3.0", "the request cannot be made: "+err.Error())
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return h.unanswered(err)
	}
	defer resp.Body.Close()
	text := reason(resp)
	return h.judge(resp.StatusCode, text)
}

func (h *Hook) request(ctx context.Context, m *container.Mail, rcpts []container.Address, attempt int) (*http.Request, error) {
	var body io.ReadCloser
	var size int64
	kind := "message/rfc822"
	if h.Format == JSON {
		doc, err := document(m, rcpts, attempt)
		if err != nil {
			return nil, err
		}
		kind, body, size = "application/json", io.NopCloser(bytes.NewReader(doc)), int64(len(doc))
	} else {
		var err error
		if body, err = m.Message.OpenShared(); err != nil {
			return nil, fmt.Errorf("the message cannot be read: %w", err)
		}
		size = m.Message.Size()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, body)
	if err != nil {
		body.Close()
		return nil, withoutURL(err)
	}
	// With its length known, a message that breaks off is no message.
	req.ContentLength = size
	head := req.Header
	head.Set("Content-Type", kind)
	head.Set("User-Agent", "mailetd")
	head.Set("Idempotency-Key", key(m, rcpts))
	head.Set("Mail-Name", m.Name)
	head.Set("Mail-Attempt", strconv.Itoa(attempt))
	if h.Format != JSON {
		head.Set("Mail-Sender", m.Sender.String())
		for _, r := range rcpts {
			head.Add("Mail-Recipient", r.String())
		}
	}
	if h.Authorization != "" {
		head.Set("Authorization", h.Authorization)
	}
	return req, nil
}

// key is the same whenever the same mail is posted for the same recipients, also
// after a crash.
func key(m *container.Mail, rcpts []container.Address) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q", m.ID, container.AddressStrings(rcpts))
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// reason returns what a server explains in plain text, on one line.
func reason(resp *http.Response) string {
	text := make([]byte, maxReason)
	n, _ := io.ReadFull(resp.Body, text)
	// What is behind it does not matter, nor does an error: the status is there.
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return ""
	}
	return mailmime.Clean(strings.ToValidUTF8(string(text[:n]), ""))
}

// unanswered says why there is no answer. All of it is temporary.
func (h *Hook) unanswered(err error) container.Outcome {
	err = withoutURL(err)
	var ne net.Error
	var oe *net.OpError
	switch {
	case errors.As(err, &ne) && ne.Timeout():
		return h.outcome(container.Deferred, "4.4.2", "no answer within "+h.Timeout.String())
	case errors.As(err, &oe) && oe.Op == "dial":
		return h.outcome(container.Deferred, "4.4.1", "cannot connect: "+oe.Err.Error())
	}
	return h.outcome(container.Deferred, "4.4.2", err.Error())
}

// judge is the only place that decides what a status means.
func (h *Hook) judge(status int, text string) container.Outcome {
	said := "HTTP status " + strconv.Itoa(status)
	if name := http.StatusText(status); name != "" {
		said += " (" + name + ")"
	}
	if text != "" {
		said += ": " + text
	}
	switch {
	case status/100 == 2:
		return h.outcome(container.Delivered, "2.0.0", said)
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status/100 != 4:
		return h.outcome(container.Deferred, "4.3.0", said)
	default:
		return h.outcome(container.Failed, "5.3.0", said)
	}
}

func (h *Hook) outcome(result, status, text string) container.Outcome {
	return container.Outcome{Result: result, Enhanced: status, Host: h.url.Hostname(), Text: text}
}

// withoutURL keeps a URL, in which there may be a key, out of a text.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}
