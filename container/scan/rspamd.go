package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxJSON bounds an answer of rspamd.
const maxJSON = 4 << 20

// Rspamd is an rspamd, its worker that scans. Check may be called by several goroutines
// at once; connections are kept open and used again.
type Rspamd struct {
	url, password string
	client        *http.Client
}

// NewRspamd returns the rspamd at an address such as http://localhost:11334.
// timeout bounds one scan as a whole.
func NewRspamd(address, password string, timeout time.Duration) (*Rspamd, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%q is no URL: %w", address, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%q is no URL such as http://localhost:11334", address)
	}
	u.RawQuery, u.Fragment = "", ""
	return &Rspamd{
		url: strings.TrimSuffix(u.String(), "/") + "/checkV2", password: password,
		client: &http.Client{
			Timeout: timeout,
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
				MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, DisableCompression: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Envelope is what rspamd is told besides the message. Empty values are not sent.
type Envelope struct {
	IP, Hostname, Helo, From, User, TLSVersion, TLSCipher, DeliverTo string

	Rcpt []string
}

// Actions of rspamd.
const (
	ActionNone           = "no action"
	ActionGreylist       = "greylist"
	ActionAddHeader      = "add header"
	ActionRewriteSubject = "rewrite subject"
	ActionSoftReject     = "soft reject"
	ActionReject         = "reject"
)

// Analysis is what rspamd thinks of a message.
type Analysis struct {
	Action          string
	Score, Required float64
	Subject         string // the new subject, for ActionRewriteSubject
	Virus           string // the symbol of ClamAV as JSON, "" when there is none
}

// Spam reports whether the action says that the message is spam.
func (a Analysis) Spam() bool {
	return a.Action == ActionReject || a.Action == ActionAddHeader || a.Action == ActionRewriteSubject
}

// Check asks about a message.
//
// Source: rspamd, the protocol of its workers.
func (r *Rspamd) Check(ctx context.Context, m *container.Message, e Envelope) (Analysis, error) {
	a, err := r.check(ctx, m, e)
	if err != nil {
		return a, fmt.Errorf("rspamd: %w", err)
	}
	return a, nil
}

func (r *Rspamd) check(ctx context.Context, m *container.Message, e Envelope) (Analysis, error) {
	msg := *m
	body, err := msg.OpenShared()
	if err != nil {
		return Analysis{}, fmt.Errorf("open the message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, body)
	if err != nil {
		body.Close()
		return Analysis{}, err
	}
	req.ContentLength = msg.Size()
	req.GetBody = msg.OpenShared
	r.header(req.Header, e)
	res, err := r.client.Do(req)
	if err != nil {
		return Analysis{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxJSON+1))
	switch {
	case err != nil:
		return Analysis{}, fmt.Errorf("read the answer: %w", err)
	case res.StatusCode != http.StatusOK:
		return Analysis{}, fmt.Errorf("%s answers %s: %s", r.url, res.Status, mime.Clean(string(data[:min(len(data), 200)])))
	case len(data) > maxJSON:
		return Analysis{}, fmt.Errorf("%s answers with more than %d octets", r.url, maxJSON)
	}
	return parseAnalysis(data)
}

// header sets the fields that rspamd reads.
func (r *Rspamd) header(h http.Header, e Envelope) {
	add := func(name, value string) {
		if value = mime.Clean(value); value != "" {
			h.Add(name, value)
		}
	}
	add("Password", r.password)
	add("IP", e.IP)
	add("Hostname", e.Hostname)
	add("Helo", e.Helo)
	add("From", e.From)
	for _, a := range e.Rcpt {
		add("Rcpt", a)
	}
	add("User", e.User)
	add("TLS-Version", e.TLSVersion)
	add("TLS-Cipher", e.TLSCipher)
	add("Deliver-To", e.DeliverTo)
	h.Set("Content-Type", "message/rfc822")
}

func parseAnalysis(data []byte) (Analysis, error) {
	var v struct {
		Action   string                     `json:"action"`
		Score    float64                    `json:"score"`
		Required float64                    `json:"required_score"`
		Subject  string                     `json:"subject"`
		Symbols  map[string]json.RawMessage `json:"symbols"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return Analysis{}, fmt.Errorf("the answer is no result of a scan: %w", err)
	}
	switch v.Action {
	case ActionNone, ActionGreylist, ActionAddHeader, ActionRewriteSubject, ActionSoftReject, ActionReject:
	default:
		return Analysis{}, fmt.Errorf("the answer has the unknown action %q", v.Action)
	}
	return Analysis{Action: v.Action, Score: v.Score, Required: v.Required, Subject: v.Subject, Virus: string(v.Symbols["CLAM_VIRUS"])}, nil
}
