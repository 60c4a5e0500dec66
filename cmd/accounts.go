package cmd

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// accounts is what the commands user and domain do: through webadmin when a
// server holds the store, in the store itself when none does.
type accounts interface {
	Users(ctx context.Context) ([]string, error)
	AddUser(ctx context.Context, name, password string) error
	SetPassword(ctx context.Context, name, password string) error
	DeleteUser(ctx context.Context, name string) error
	Domains(ctx context.Context) ([]string, error)
	AddDomain(ctx context.Context, domain string) error
	RemoveDomain(ctx context.Context, domain string) error
}

// user is mailetd user add|list|delete|password.
func (p *program) user(ctx context.Context, args []string) error {
	return p.administer(ctx, "user", args, map[string]verb{
		"list":   {0, func(a accounts, _ string) error { return p.list(a.Users(ctx)) }},
		"delete": {1, func(a accounts, name string) error { return a.DeleteUser(ctx, name) }},
		"add": {1, func(a accounts, name string) error {
			password, err := p.password()
			if err != nil {
				return err
			}
			return a.AddUser(ctx, name, password)
		}},
		"password": {1, func(a accounts, name string) error {
			password, err := p.password()
			if err != nil {
				return err
			}
			return a.SetPassword(ctx, name, password)
		}},
	})
}

// domain is mailetd domain add|list|delete.
func (p *program) domain(ctx context.Context, args []string) error {
	return p.administer(ctx, "domain", args, map[string]verb{
		"list":   {0, func(a accounts, _ string) error { return p.list(a.Domains(ctx)) }},
		"add":    {1, func(a accounts, name string) error { return a.AddDomain(ctx, name) }},
		"delete": {1, func(a accounts, name string) error { return a.RemoveDomain(ctx, name) }},
	})
}

// verb is what can be done, and how many names it takes.
type verb struct {
	names int
	run   func(a accounts, name string) error
}

func (p *program) administer(ctx context.Context, what string, args []string, verbs map[string]verb) error {
	f := p.flags(what)
	operands, err := f.parse(args)
	if err != nil {
		return err
	}
	if len(operands) == 0 {
		return usageError{what + " needs to know what to do"}
	}
	v, ok := verbs[operands[0]]
	if !ok {
		return usageError{fmt.Sprintf("there is no %s %s", what, operands[0])}
	}
	names := operands[1:]
	if len(names) != v.names {
		return usageError{fmt.Sprintf("%s %s takes %d name(s), not %d", what, operands[0], v.names, len(names))}
	}
	a, closeStore, err := p.accounts(ctx, f)
	if err != nil {
		return err
	}
	return errors.Join(v.run(a, strings.Join(names, "")), closeStore())
}

// accounts opens the store, or, when a server has it, speaks to that server.
func (p *program) accounts(ctx context.Context, f *flags) (accounts, func() error, error) {
	s, store, d, err := p.openStore(ctx, f)
	switch {
	case err != nil:
		return nil, nil, err
	case store == nil:
		return newRemoteAccounts(s.web), func() error { return nil }, nil
	}
	return directAccounts{d}, func() error { return store.Close(ctx) }, nil
}

// openStore opens the store of a configuration; it is nil when a server has it.
func (p *program) openStore(ctx context.Context, f *flags) (*site, *sqlite.Store, *local.Directory, error) {
	r := &conf.Report{}
	s := p.load(f, slog.New(slog.DiscardHandler), r)
	if r.HasErrors() {
		return nil, nil, nil, fmt.Errorf("the configuration has errors: %s", r.Problems()[0])
	}
	store, err := sqlite.Open(f.data, sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
	if errors.Is(err, sqlite.ErrLocked) {
		return s, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	d := local.New(s.directory, store)
	if err := d.Init(ctx); err != nil {
		return nil, nil, nil, errors.Join(err, store.Close(ctx))
	}
	return s, store, d, nil
}

// directAccounts is the store itself.
type directAccounts struct{ *local.Directory }

// SetPassword sets the password of an account that exists.
func (a directAccounts) SetPassword(ctx context.Context, name, password string) error {
	known, err := a.HasUser(ctx, name)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%s: %w", name, local.ErrNoSuchUser)
	}
	return a.Directory.SetPassword(ctx, name, password)
}

func (p *program) list(names []string, err error) error {
	for _, n := range names {
		fmt.Fprintln(p.stdout, n)
	}
	return err
}

// password reads one line of standard input.
func (p *program) password() (string, error) {
	fmt.Fprint(p.stderr, "Password: ")
	line, err := bufio.NewReader(io.LimitReader(p.stdin, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("the password is empty; it is read from standard input")
	}
	return line, nil
}

// remoteAccounts speaks webadmin.
type remoteAccounts struct {
	base, secret, token string
}

func newRemoteAccounts(w conf.WebadminServer) remoteAccounts {
	host, scheme := w.Host, "http"
	if host == "0.0.0.0" || host == "::" {
		host = "localhost"
	}
	if w.HTTPS {
		scheme = "https"
	}
	a := remoteAccounts{base: scheme + "://" + net.JoinHostPort(host, strconv.Itoa(w.Port))}
	if len(w.Passwords) > 0 {
		a.secret = w.Passwords[0]
	}
	a.environment()
	return a
}

// call makes a request; an answer that is no success is an error with the text
// of the server.
func (a remoteAccounts) call(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	data, err := a.exchange(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// exchange makes a request and returns the body of the answer.
func (a remoteAccounts) exchange(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	res, err := a.open(ctx, method, path, bytes.NewReader(body), "application/json")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return data, nil
}

// maxAnswer bounds answers that are read as a whole.
const maxAnswer = 16 << 20

// open makes a request and returns the answer, which is a success; close its
// body.
func (a remoteAccounts) open(ctx context.Context, method, path string, body io.Reader, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	if a.secret != "" {
		req.Header.Set("Password", a.secret)
	}
	if a.token != "" {
		req.Header.Set("Authorization", "Bearer "+a.token)
	}
	client := http.Client{CheckRedirect: func(to *http.Request, _ []*http.Request) error {
		return fmt.Errorf("it sends to %s, and credentials are for one server alone", to.URL)
	}}
	res, err := client.Do(req)
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return nil, fmt.Errorf("the certificate of the server's webadmin is not trusted: %w; SSL_CERT_FILE can name a file with the certificates to trust", err)
	}
	if err != nil {
		return nil, fmt.Errorf("the server's webadmin cannot be reached: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("the server's webadmin asks for credentials (%s): run the command with that server's -conf, "+
			"whose webadmin.properties has a password, or set MAILETD_PASSWORD or MAILETD_TOKEN", lines(string(bytes.TrimSpace(data))))
	}
	return nil, refusal(res.StatusCode, data)
}

// refusal turns an error answer of webadmin into an error.
func refusal(status int, data []byte) error {
	var e struct {
		Message string
		Details *string
	}
	if json.Unmarshal(data, &e) != nil || e.Message == "" {
		return fmt.Errorf("the server answers %d %s", status, lines(string(bytes.TrimSpace(data))))
	}
	if e.Details != nil {
		return fmt.Errorf("%s: %s", lines(e.Message), lines(*e.Details))
	}
	return errors.New(lines(e.Message))
}

// lines is text without what a terminal would take for a command, but with its
// lines and tabs.
func lines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return []rune(text(string(r)))[0]
	}, s)
}

func (a remoteAccounts) Users(ctx context.Context) ([]string, error) {
	var list []struct{ Username string }
	err := a.call(ctx, http.MethodGet, "/users", nil, &list)
	names := make([]string, len(list))
	for i, u := range list {
		names[i] = u.Username
	}
	return names, err
}

type passwordBody struct {
	Password string `json:"password"`
}

func (a remoteAccounts) AddUser(ctx context.Context, name, password string) error {
	return a.call(ctx, http.MethodPut, "/users/"+url.PathEscape(name), passwordBody{password}, nil)
}

func (a remoteAccounts) SetPassword(ctx context.Context, name, password string) error {
	if err := a.call(ctx, http.MethodHead, "/users/"+url.PathEscape(name), nil, nil); err != nil {
		return fmt.Errorf("%s: %w", name, local.ErrNoSuchUser)
	}
	return a.call(ctx, http.MethodPut, "/users/"+url.PathEscape(name)+"?force", passwordBody{password}, nil)
}

func (a remoteAccounts) DeleteUser(ctx context.Context, name string) error {
	return a.call(ctx, http.MethodDelete, "/users/"+url.PathEscape(name), nil, nil)
}

func (a remoteAccounts) Domains(ctx context.Context) ([]string, error) {
	var names []string
	err := a.call(ctx, http.MethodGet, "/domains", nil, &names)
	return names, err
}

func (a remoteAccounts) AddDomain(ctx context.Context, domain string) error {
	return a.call(ctx, http.MethodPut, "/domains/"+url.PathEscape(domain), nil, nil)
}

func (a remoteAccounts) RemoveDomain(ctx context.Context, domain string) error {
	return a.call(ctx, http.MethodDelete, "/domains/"+url.PathEscape(domain), nil, nil)
}
