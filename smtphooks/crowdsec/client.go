// Package crowdsec asks the local API (LAPI) of a CrowdSec security engine
// whether an address is banned. Answers are kept for a while, and an engine that
// does not answer is left alone for a moment, so that it never holds up mail for
// long.
package crowdsec

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	keep       = time.Minute      // an answer, at most: a ban that was lifted ends so soon
	pause      = 10 * time.Second // after a failure
	maxAnswers = 20000            // kept
	maxBody    = 1 << 20          // octets of an answer
	maxConns   = 16               // to the engine; whoever waits for one counts as waiting for the answer
)

// ErrPaused is the error while the engine is not asked because it failed a
// moment ago.
var ErrPaused = errors.New("CrowdSec failed a moment ago and is not asked")

// Config says where the engine is.
type Config struct {
	URL     string // with the version of the API, such as http://localhost:8080/v1
	APIKey  string // of a bouncer
	Timeout time.Duration
}

// Client asks one engine. It may be used by many goroutines at once.
type Client struct {
	base    *url.URL
	key     string
	timeout time.Duration
	http    *http.Client
	now     func() time.Time

	mu      sync.Mutex
	answers map[netip.Addr]answer
	asking  map[netip.Addr]*question
	until   time.Time // not asked before
}

// question is one that the engine has not answered. The answer is there when done
// is closed.
type question struct {
	done chan struct{}
	ban  *Decision
	err  error
}

type answer struct {
	ban   *Decision // nil: none
	until time.Time
}

// Decision is a decision of the engine about an address or a network.
type Decision struct {
	ID       int64  `json:"id"`
	Origin   string `json:"origin"`
	Scenario string `json:"scenario"`
	Scope    string `json:"scope"` // Ip or Range
	Type     string `json:"type"`
	Value    string `json:"value"`
	Duration string `json:"duration"` // what is left of it
}

// New returns a client. It opens no connection. The error says which setting is
// wrong, with the name that crowdsec.properties has for it.
func New(c Config) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(c.URL, "/"))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("crowdsecUrl: want the URL of the local API, such as http://localhost:8080/v1, not %q", c.URL)
	case c.APIKey == "" || strings.ContainsFunc(c.APIKey, func(r rune) bool { return r < ' ' || r > '~' }):
		return nil, errors.New("apiKey: want the key of a bouncer (cscli bouncers add)")
	case c.Timeout <= 0:
		return nil, errors.New("timeout: want more than 0")
	}
	transport := &http.Transport{MaxConnsPerHost: maxConns, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: 64 << 10}
	return &Client{base: u, key: c.APIKey, timeout: c.Timeout, http: &http.Client{Transport: transport, CheckRedirect: noRedirect},
		now: time.Now, answers: map[netip.Addr]answer{}, asking: map[netip.Addr]*question{}}, nil
}

// noRedirect keeps the key from being sent elsewhere.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Banned returns the decision against an address, nil when there is none. An
// error means that the engine could not be asked; it is ErrPaused for some
// seconds after any other.
//
// Source: CrowdSec local API, GET /decisions; org.apache.james.crowdsec.CrowdsecService.
func (c *Client) Banned(ctx context.Context, ip netip.Addr) (*Decision, error) {
	ip = ip.Unmap().WithZone("")
	c.mu.Lock()
	now := c.now()
	if a, ok := c.answers[ip]; ok && now.Before(a.until) && a.until.Sub(now) <= keep {
		c.mu.Unlock()
		return a.ban, nil
	}
	if now.Before(c.until) && c.until.Sub(now) <= pause {
		c.mu.Unlock()
		return nil, ErrPaused
	}
	q, asked := c.asking[ip]
	if !asked {
		q = &question{done: make(chan struct{})}
		c.asking[ip] = q
	}
	c.mu.Unlock()
	if !asked {
		c.decide(ctx, ip, q, now)
		return q.ban, q.err
	}
	select {
	case <-q.done:
		return q.ban, q.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// decide finds the answer to q.
func (c *Client) decide(ctx context.Context, ip netip.Addr, q *question, now time.Time) {
	defer close(q.done)
	list, err := c.ask(ctx, ip)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asking, ip)
	if err != nil {
		q.err = fmt.Errorf("ask CrowdSec at %s: %w", c.base.Host, err)
		if ctx.Err() == nil {
			c.until = c.now().Add(pause)
		}
		return
	}
	for i := range list {
		if list[i].concerns(ip) {
			q.ban = &list[i]
			break
		}
	}
	c.note(ip, answer{ban: q.ban, until: now.Add(keep)})
}

// note keeps an answer. The caller holds mu.
func (c *Client) note(ip netip.Addr, a answer) {
	if len(c.answers) >= maxAnswers {
		clear(c.answers)
	}
	c.answers[ip] = a
}

func (c *Client) ask(ctx context.Context, ip netip.Addr) ([]Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := c.base.JoinPath("decisions")
	u.RawQuery = url.Values{"ip": {ip.String()}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Api-Key", c.key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "mailetd")
	res, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL
		}
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusForbidden:
		return nil, errors.New("403: it does not know the apiKey")
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answers %d", res.StatusCode)
	case len(body) > maxBody:
		return nil, fmt.Errorf("it answers more than %d octets", maxBody)
	}
	var list []Decision // the answer is null when there is none
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("answer not readable: %w", err)
	}
	return list, nil
}

// concerns reports whether d is against ip.
func (d *Decision) concerns(ip netip.Addr) bool {
	switch strings.ToLower(d.Scope) {
	case "ip":
		a, err := netip.ParseAddr(d.Value)
		return err == nil && a.Unmap() == ip
	case "range":
		p, err := netip.ParsePrefix(d.Value)
		return err == nil && p.Masked().Contains(ip)
	}
	return false
}
