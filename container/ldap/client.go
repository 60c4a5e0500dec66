package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// ErrNotFound is returned for a group that the directory does not have.
var ErrNotFound = errors.New("no such entry")

// Limits of an answer.
const (
	maxEntries  = 1000   // that one address has; a search that finds more is an error
	maxMembers  = 200000 // of a group
	memberOf    = "member"
	onlyTheName = "1.1" // RFC 4511 §4.5.1.8: no attributes
)

// Client asks one directory. Its methods may be called by several goroutines.
type Client struct {
	settings    conf.LDAP
	domainBases map[string]base
	bases       []base // all of them, each once
	users       string // filter of the entries that are users, as an item of an AND
	pool        *pool
}

// base is a part of the directory in which users are searched.
type base struct {
	name string
	dn   *goldap.DN
}

// New checks settings. It does not connect; Run ends what the client opens.
func New(settings conf.LDAP) (*Client, error) {
	c := &Client{settings: settings, domainBases: map[string]base{}}
	if err := c.readBases(); err != nil {
		return nil, err
	}
	if err := CheckAttribute(settings.UserIDAttribute); err != nil {
		return nil, fmt.Errorf("userIdAttribute: %w", err)
	}
	c.users = equals("objectClass", settings.UserObjectClass)
	if f := settings.Filter; f != "" {
		if !strings.HasPrefix(f, "(") {
			f = "(" + f + ")"
		}
		if _, err := goldap.CompileFilter(f); err != nil {
			return nil, fmt.Errorf("filter %q: %w", settings.Filter, err)
		}
		c.users += f
	}
	var err error
	c.pool, err = newPool(settings)
	return c, err
}

func (c *Client) readBases() error {
	add := func(name string) (base, error) {
		dn, err := goldap.ParseDN(name)
		if err != nil {
			return base{}, fmt.Errorf("user base %q: %w", name, err)
		}
		b := base{name, dn}
		if !slices.ContainsFunc(c.bases, func(o base) bool { return o.dn.EqualFold(dn) }) {
			c.bases = append(c.bases, b)
		}
		return b, nil
	}
	if _, err := add(c.settings.UserBase); err != nil {
		return err
	}
	for domain, name := range c.settings.DomainBases {
		b, err := add(name)
		if err != nil {
			return fmt.Errorf("domain %s: %w", domain, err)
		}
		c.domainBases[domain] = b
	}
	return nil
}

// Run closes all connections when ctx is done.
func (c *Client) Run(ctx context.Context) error {
	<-ctx.Done()
	c.pool.close()
	return nil
}

// CheckAttribute reports whether name can be the name of an attribute (RFC 4512
// §2.5), with options or without.
func CheckAttribute(name string) error {
	ok := name != ""
	for i := range len(name) {
		c := name[i]
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == ';')
	}
	if !ok {
		return fmt.Errorf("%q is not the name of an attribute", name)
	}
	return nil
}

// CheckDN reports whether name can be the name of an entry (RFC 4514).
func CheckDN(name string) error {
	dn, err := goldap.ParseDN(name)
	if err == nil && len(dn.RDNs) == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		return fmt.Errorf("%q is not the name of an entry: %w", name, err)
	}
	return nil
}

// equals returns the filter attribute=value for any value.
func equals(attribute, value string) string {
	return "(" + attribute + "=" + goldap.EscapeFilter(value) + ")"
}

// Values returns the values that an attribute has in the entries of the user
// with an address: those of the configured object class, filter, and base of the
// domain. There are none when there is no such user.
func (c *Client) Values(ctx context.Context, address container.Address, attribute string) ([]string, error) {
	in, ok := c.domainBases[address.Domain]
	if !ok {
		in = c.bases[0]
	}
	filter := "(&" + c.users + equals(c.settings.UserIDAttribute, address.String()) + ")"
	entries, err := c.search(ctx, in.name, goldap.ScopeWholeSubtree, filter, attribute)
	if err != nil {
		return nil, fmt.Errorf("ask LDAP for %s of %s: %w", attribute, address, err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.GetEqualFoldAttributeValues(attribute)...)
	}
	return out, nil
}

// search returns the entries that a filter finds; ErrNotFound when there is no
// entry called base.
func (c *Client) search(ctx context.Context, base string, scope int, filter, attribute string) ([]*goldap.Entry, error) {
	req := goldap.NewSearchRequest(base, scope, goldap.NeverDerefAliases, maxEntries, int(c.pool.readTimeout.Seconds()), false,
		filter, []string{attribute}, nil)
	req.EnforceSizeLimit = true
	var entries []*goldap.Entry
	err := c.pool.do(ctx, func(conn *goldap.Conn) error {
		res, err := conn.Search(req)
		if err != nil {
			return err
		}
		entries = res.Entries
		return nil
	})
	if goldap.IsErrorWithCode(err, goldap.LDAPResultNoSuchObject) {
		return nil, fmt.Errorf("%s: %w", base, ErrNotFound)
	}
	return entries, err
}
