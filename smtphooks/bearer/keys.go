package bearer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// How long keys are used, and how often they are asked for.
const (
	keysLife   = 15 * time.Minute
	staleLife  = 24 * time.Hour // while the provider does not answer
	fetchPause = 10 * time.Second
	maxAnswer  = 1 << 20 // octets of any answer of the provider
)

// keySource fetches the keys. It stands between oidc.RemoteKeySet, which asks
// whenever a token names an unknown key, and the provider, so that whoever
// invents keys does not make this server flood it.
type keySource struct {
	base http.RoundTripper
	now  func() time.Time

	mu      sync.Mutex
	tried   time.Time
	fetched time.Time
	header  http.Header
	body    []byte // last good answer
	err     error  // of the last try
}

// RoundTrip implements http.RoundTripper.
func (s *keySource) RoundTrip(req *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.tried.IsZero() || now.Sub(s.tried) >= fetchPause {
		s.tried = now
		if s.err = s.fetch(req); s.err == nil {
			s.fetched = now
		}
	}
	if s.body == nil || s.err != nil && now.Sub(s.fetched) > staleLife {
		return nil, s.err
	}
	return &http.Response{Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: s.header, Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: int64(len(s.body)), Request: req}, nil
}

func (s *keySource) fetch(req *http.Request) error {
	res, err := s.base.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	defer res.Body.Close()
	body, err := readAnswer(res)
	if err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return fmt.Errorf("fetch keys: %w", err)
	}
	if set.Keys == nil { // a list without keys withdraws all of them
		return errors.New("fetch keys: the provider answers with something else")
	}
	s.header, s.body = res.Header, body
	return nil
}

// trouble returns why the keys could not be fetched at the last try, nil when
// they could.
func (s *keySource) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// readAnswer returns the body of a 200.
func readAnswer(res *http.Response) ([]byte, error) {
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the provider answers %s", res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read answer of the provider: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, errors.New("the answer of the provider is too long")
	}
	return body, nil
}
