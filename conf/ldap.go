package conf

import (
	"strconv"
	"strings"
	"time"
)

// LDAP says where the LDAP matchers look addresses up. It holds James's
// attributes of usersrepository.xml; what they mean to a directory (filters,
// names) is checked by package container/ldap.
type LDAP struct {
	Pos                    Pos
	Hosts                  []string // ldap:// and ldaps:// URLs; the first that answers is asked
	Principal, Credentials string   // both empty: nobody in particular
	UserBase               string
	DomainBases            map[string]string // domain in lower case: base instead of UserBase
	UserIDAttribute        string            // attribute that holds the address
	UserObjectClass        string
	Filter                 string // which users count besides; empty: all
	PoolSize               int    // connections kept open
	// A time of 0 is left to whoever connects.
	ConnectionTimeout, ReadTimeout, MaxWaitTime time.Duration
	TrustAllCerts                               bool
}

// ldapUsersClass is the class= that says: users are in the store, and the LDAP
// attributes are for the matchers. James does not have it; there the attributes
// alone put the users into LDAP.
const ldapUsersClass = "com.github.mailetd.UsersRepository"

// refusesLDAP reports whether the users of James are in LDAP with the
// attributes of the root element, and says so in the report.
func (s section) refusesLDAP() bool {
	class := s.attr("class")
	named := strings.Contains(class[strings.LastIndexByte(class, '.')+1:], "LDAP")
	if !named && (class == ldapUsersClass || s.attr("ldapHost") == "" && s.attr("ldapHosts") == "") {
		return false
	}
	s.r.Errorf(s.pos(""), "LDAP is not supported: users are kept in the store; remove class= and the ldap attributes, and add the users with: mailetd user add; "+
		`if LDAP matchers need the attributes, keep them and write class="%s"`, ldapUsersClass)
	return true
}

// ldap reads the LDAP attributes; nil when there are none.
func (s section) ldap() *LDAP {
	hosts := s.attr("ldapHosts")
	if hosts == "" {
		hosts = s.attr("ldapHost")
	}
	if hosts == "" {
		return nil
	}
	l := &LDAP{Pos: s.pos(""), Principal: s.attr("principal"), Credentials: s.attr("credentials"), UserBase: s.attr("userBase"),
		UserIDAttribute: s.attr("userIdAttribute"), UserObjectClass: s.attr("userObjectClass"), Filter: s.attr("filter"),
		DomainBases: s.domainBases(), PoolSize: s.attrNumber("poolSize", 4)}
	for _, h := range strings.Split(hosts, ",") {
		if h = strings.TrimSpace(h); h != "" {
			l.Hosts = append(l.Hosts, h)
		}
	}
	for _, r := range []struct{ name, value string }{{"userBase", l.UserBase}, {"userIdAttribute", l.UserIDAttribute}, {"userObjectClass", l.UserObjectClass}} {
		if r.value == "" {
			s.r.Errorf(s.pos(""), "%s= is required for LDAP", r.name)
		}
	}
	if l.PoolSize < 1 {
		s.r.Errorf(s.pos(""), "poolSize= is %d; want at least 1", l.PoolSize)
	}
	l.ConnectionTimeout = time.Duration(s.attrNumber("connectionTimeout", 0)) * time.Millisecond
	l.ReadTimeout = time.Duration(s.attrNumber("readTimeout", 0)) * time.Millisecond
	l.MaxWaitTime = time.Duration(s.attrNumber("maxWaitTime", 1000)) * time.Millisecond
	if v := s.attr("trustAllCerts"); v != "" {
		var ok bool
		if l.TrustAllCerts, ok = parseBool(v); !ok {
			s.r.Errorf(s.pos(""), "trustAllCerts= is %q, not true or false", v)
		}
	}
	return l
}

// attrNumber reads a whole number that is not negative.
func (s section) attrNumber(name string, def int) int {
	v := s.attr(name)
	if v == "" {
		return def
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		s.r.Errorf(s.pos(""), "%s= is %q, not a whole number", name, v)
		return def
	}
	return max(int(n), 0) // as in James, less than nothing is no limit
}

// domainBases reads <domains><example.com>ou=people,…</example.com></domains>.
func (s section) domainBases() map[string]string {
	var out map[string]string
	for _, c := range s.section("domains").elements() {
		base := Text(c)
		if base == "" {
			s.r.Errorf(s.f.Pos(c), "<%s> is empty; want the name of the entry that its users are below", c.Tag)
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[strings.ToLower(c.Tag)] = base
	}
	return out
}
