package conf

import (
	"os"
	"slices"
	"strings"
	"time"
)

// DomainList is domainlist.xml, checked. Domains are in lower case.
type DomainList struct {
	Pos           Pos
	Autodetect    bool     // the name of this machine is a domain, unless it is localhost
	AutodetectIP  bool     // so are the addresses of the domains, as literals
	DefaultDomain string   // completes addresses; localhost if the file does not say
	Domains       []string // created at start; the variable DOMAIN adds one
	ReadOnly      bool     // XMLDomainList: webadmin may not change the list
	Cache         bool
	CacheExpiry   time.Duration
}

// DomainList reads domainlist.xml.
//
// Source: DomainListConfiguration, AbstractDomainList.
func (d *Dir) DomainList() DomainList {
	f := d.XML("domainlist.xml")
	in := section{f, f.Root, d.report}.root("domainlist")
	in.known("autodetect", "autodetectIP", "defaultDomain", "domainnames", "read.cache.enable", "read.cache.expiracy")
	l := DomainList{
		Pos:           in.pos(""),
		Autodetect:    in.boolean("autodetect", false),
		AutodetectIP:  in.boolean("autodetectIP", false),
		DefaultDomain: strings.ToLower(in.str("defaultDomain", "localhost")),
		ReadOnly:      strings.HasSuffix(in.attr("class"), "XMLDomainList"),
		Cache:         in.boolean("read.cache.enable", false),
		CacheExpiry:   in.duration("read.cache.expiracy", time.Second, 10*time.Second),
	}
	names := append(in.list("domainnames", "domainname"), d.domainVariable()...)
	for _, w := range names {
		name := strings.ToLower(w.text)
		if !isDomain(name) {
			d.report.Errorf(w.pos, "%q is not a domain name", w.text)
		} else if !slices.Contains(l.Domains, name) {
			l.Domains = append(l.Domains, name)
		}
	}
	if !isDomain(l.DefaultDomain) {
		d.report.Errorf(in.pos("defaultDomain"), "<defaultDomain> is %q, which is not a domain name", l.DefaultDomain)
		l.DefaultDomain = "localhost"
	}
	return l
}

// domainVariable returns what the environment variable DOMAIN says.
func (d *Dir) domainVariable() []word {
	env := d.vars.Env
	if env == nil {
		env = os.LookupEnv
	}
	if v, ok := env("DOMAIN"); ok && strings.TrimSpace(v) != "" {
		return []word{{strings.TrimSpace(v), Pos{File: "environment variable DOMAIN"}}}
	}
	return nil
}

// isDomain reports whether s can be a domain of mail: labels of at most 63
// letters, digits, - and _, in all at most 253; letters beyond ASCII are left to
// whoever uses them. A literal such as [192.0.2.1] is one too.
func isDomain(s string) bool {
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		return !strings.ContainsAny(s[1:len(s)-1], "[] \t@")
	}
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if c < 0x80 && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
