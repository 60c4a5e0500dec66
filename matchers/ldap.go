package matchers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/ldap"
)

// errNoLDAP stops the start of a configuration whose LDAP matchers have nobody
// to ask: they guard the flow of mail.
var errNoLDAP = errors.New("there are no LDAP settings: add them to usersrepository.xml " +
	`(<usersrepository class="com.github.mailetd.UsersRepository" ldapHost="ldap://…" …>)`)

// ldapAttribute is the condition of HasLDAPAttribute and SenderHasLDAPAttribute,
// at work.
type ldapAttribute struct {
	client   *ldap.Client
	name     string
	value    string
	hasValue bool
	cache    *answerCache // nil: none
}

// newLDAPAttribute reads attribute[:value][?cacheEnabled=…&cacheSize=…&cacheDuration=…].
func newLDAPAttribute(client *ldap.Client, condition string) (*ldapAttribute, error) {
	if client == nil {
		return nil, errNoLDAP
	}
	text, options, cached := strings.Cut(condition, "?")
	a := &ldapAttribute{client: client}
	a.name, a.value, a.hasValue = strings.Cut(text, ":")
	a.name, a.value = strings.TrimSpace(a.name), strings.TrimSpace(a.value)
	if err := ldap.CheckAttribute(a.name); err != nil {
		return nil, fmt.Errorf("want attribute or attribute:value: %w", err)
	}
	if cached {
		var err error
		if a.cache, err = parseCache(options); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// parseCache reads the options of the cache; nil when it is turned off.
func parseCache(options string) (*answerCache, error) {
	given := map[string]string{}
	for item := range strings.SplitSeq(options, "&") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		key, value, ok := strings.Cut(item, "=")
		key = strings.ToLower(key)
		if _, twice := given[key]; !ok || twice {
			return nil, fmt.Errorf("cache: want each of cacheEnabled, cacheSize and cacheDuration once, with = and a value; got %q", item)
		}
		given[key] = value
	}
	size, life, err := 10000, 24*time.Hour, error(nil)
	if v, ok := given["cachesize"]; ok {
		if size, err = strconv.Atoi(v); err != nil || size < 1 {
			return nil, fmt.Errorf("cacheSize is %q, not a whole number of at least 1", v)
		}
	}
	if v, ok := given["cacheduration"]; ok {
		if life, err = conf.ParseDuration(v, time.Millisecond); err != nil {
			return nil, fmt.Errorf("cacheDuration: %w", err)
		}
	}
	if v, ok := given["cacheenabled"]; ok && !strings.EqualFold(v, "true") {
		return nil, nil
	}
	return newAnswerCache(size, life), nil
}

// has reports whether a user has the attribute, with the value if one is given.
func (l *ldapAttribute) has(ctx context.Context, a container.Address) (bool, error) {
	if l.cache != nil {
		if answer, ok := l.cache.get(a.Key(), time.Now()); ok {
			return answer, nil
		}
	}
	values, err := l.client.Values(ctx, a, l.name)
	if err != nil {
		return false, err
	}
	answer := len(values) > 0
	if l.hasValue {
		answer = false
		for _, v := range values {
			answer = answer || l.equals(v)
		}
	}
	if l.cache != nil {
		l.cache.put(a.Key(), answer, time.Now())
	}
	return answer, nil
}

// equals compares a value of the directory with ours. The name of an entry is
// equal by its first cn, as in James, and as a whole.
func (l *ldapAttribute) equals(v string) bool {
	if !strings.Contains(v, ",") {
		return v == l.value
	}
	if cn, ok := ldap.CommonName(v); ok && cn == l.value {
		return true
	}
	return v == l.value || ldap.SameName(v, l.value)
}

// ldapGroup is the condition of IsInLDAPGroup and SenderIsInLDAPGroup, at work.
type ldapGroup struct {
	client *ldap.Client
	log    *slog.Logger
	name   string
}

func newLDAPGroup(client *ldap.Client, log *slog.Logger, condition string) (*ldapGroup, error) {
	if client == nil {
		return nil, errNoLDAP
	}
	name := strings.TrimSpace(condition)
	if err := ldap.CheckDN(name); err != nil {
		return nil, err
	}
	return &ldapGroup{client, log, name}, nil
}

// members returns those of addresses that are in the group: nobody when there is
// none, as in James, but with a warning.
func (l *ldapGroup) members(ctx context.Context, addresses []container.Address) ([]container.Address, error) {
	out, err := l.client.Members(ctx, l.name, addresses)
	if errors.Is(err, ldap.ErrNotFound) {
		l.log.WarnContext(ctx, "there is no such group in LDAP", "group", l.name, "err", err)
		return nil, nil
	}
	return out, err
}
