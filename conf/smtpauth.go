package conf

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Values of <auth><announce>.
const (
	AnnounceNever           = "never"
	AnnounceAlways          = "always"
	AnnounceForUnauthorized = "forUnauthorizedAddresses"
)

// SMTPAuth is <auth>.
type SMTPAuth struct {
	Announce   string   // AnnounceNever, AnnounceAlways or AnnounceForUnauthorized
	RequireSSL bool     // neither announced nor accepted without TLS
	Required   bool     // MAIL needs authentication or an authorized address
	Mechanisms []string // SASL mechanisms in order of announcement
	// SCRAMNamed tells that <saslMechanisms> asks for SCRAM-SHA-256: it is
	// announced even while some accounts cannot use it.
	SCRAMNamed bool
	OIDC       *OIDC // nil: no OAUTHBEARER and XOAUTH2
	Failures   AuthFailures
}

// OIDC is <auth><oidc>: whose tokens are taken. The URLs are absolute, http or
// https.
//
// Source: org.apache.james.jwt.OidcSASLConfiguration.
type OIDC struct {
	ConfigurationURL  string // told to clients whose token is refused; the issuer comes from it
	Issuer            string // that tokens must name, without slash at the end
	JWKSURL           string // where the keys are
	Claim             string // that names the user
	Scope             string // told to clients whose token is refused
	Audience          string // that tokens must be for; "" for any
	IntrospectionURL  string // RFC 7662; "" for none
	IntrospectionAuth string // header Authorization of introspection
	UserinfoURL       string // asked when there is no introspection; "" for none
}

// AuthFailures is <auth><failures>, which James does not have.
type AuthFailures struct {
	PerAddress int           // within Window, then the address is refused; 0: no limit
	PerUser    int           // within Window, then the answers are delayed; 0: no limit
	Window     time.Duration // in which failures are counted
	Block      time.Duration // for which an address is refused at first
	MaxBlock   time.Duration // the longest time that it is
}

// announce reads <announce>, or what older configurations have instead.
func (in smtpElem) announce(auth smtpElem) string {
	v := ""
	if auth.e != nil {
		v = auth.str("announce", "")
	}
	for _, known := range []string{AnnounceNever, AnnounceAlways, AnnounceForUnauthorized} {
		if strings.EqualFold(v, known) {
			return known
		}
	}
	if v != "" {
		in.r.Errorf(auth.pos("announce"), "Unknown value for 'auth.announce': %s. Should be one of always, never, forUnauthorizedAddresses", v)
		return AnnounceNever
	}
	switch strings.ToLower(in.str("authRequired", "false")) {
	case "true":
		return AnnounceForUnauthorized
	case "announce":
		return AnnounceAlways
	}
	return AnnounceNever
}

// The SASL mechanisms that <saslMechanisms> can ask for.
const (
	mechLogin       = "LOGIN"
	mechPlain       = "PLAIN"
	mechOAuthBearer = "OAUTHBEARER"
	mechXOAuth2     = "XOAUTH2"
	mechSCRAM       = "SCRAM-SHA-256"
)

func (in smtpElem) auth() SMTPAuth {
	auth := smtpElem{in.f, in.e.SelectElement("auth"), in.r}
	a := SMTPAuth{Announce: in.announce(auth), Mechanisms: []string{mechLogin, mechPlain, mechOAuthBearer, mechXOAuth2, mechSCRAM}}
	if auth.e == nil {
		auth.e = etree.NewElement("auth")
	}
	auth.warnUnknown([]string{"announce", "requireSSL", "plainAuthEnabled", "required", "saslMechanisms", "oidc", "gssapi", "failures"})
	a.RequireSSL = auth.boolean("requireSSL", false)
	a.Required = auth.boolean("required", false)
	if c := auth.e.SelectElement("gssapi"); c != nil {
		in.r.Warnf(in.f.Pos(c), "<gssapi>: GSSAPI is not available here and will not be offered; clients can use other mechanisms")
	}
	if c := auth.e.SelectElement("oidc"); c != nil {
		a.OIDC = smtpElem{in.f, c, in.r}.oidc()
	}
	if c := auth.e.SelectElement("saslMechanisms"); c != nil {
		a.Mechanisms = auth.mechanisms(c, a.OIDC != nil)
		a.SCRAMNamed = slices.Contains(a.Mechanisms, mechSCRAM)
	}
	plain := auth.boolean("plainAuthEnabled", true)
	a.Mechanisms = slices.DeleteFunc(a.Mechanisms, func(m string) bool {
		return !plain && (m == mechLogin || m == mechPlain) || a.OIDC == nil && (m == mechOAuthBearer || m == mechXOAuth2)
	})
	a.Failures = auth.failures()
	return a
}

// saslFactories are the simple names of James's mechanism factories, and of the
// one of ours; those without mechanism are not available here.
var saslFactories = map[string]string{
	"LoginSaslMechanismFactory": mechLogin, "PlainSaslMechanismFactory": mechPlain,
	"OauthBearerSaslMechanismFactory": mechOAuthBearer, "XOauth2SaslMechanismFactory": mechXOAuth2,
	"ScramSha256SaslMechanismFactory": mechSCRAM, "GssapiSaslMechanismFactory": "",
}

func (in smtpElem) mechanisms(c *etree.Element, oidc bool) []string {
	var out []string
	var kerberos []string
	for _, item := range strings.Split(Text(c), ",") {
		item = strings.TrimSpace(item)
		mech, known := saslFactories[item[strings.LastIndexByte(item, '.')+1:]]
		switch {
		case item == "":
			in.r.Errorf(in.f.Pos(c), "<saslMechanisms> has a blank entry; want a comma list such as LoginSaslMechanismFactory,PlainSaslMechanismFactory")
		case !known:
			in.r.Errorf(in.f.Pos(c), "<saslMechanisms> names the unknown class %s; known are LoginSaslMechanismFactory, PlainSaslMechanismFactory, "+
				"OauthBearerSaslMechanismFactory, XOauth2SaslMechanismFactory and ScramSha256SaslMechanismFactory", item)
		case mech == "":
			kerberos = append(kerberos, item)
		case !oidc && (mech == mechOAuthBearer || mech == mechXOAuth2):
			in.r.Warnf(in.f.Pos(c), "<saslMechanisms>: %s needs <oidc>; the mechanism is not offered", item)
		case !slices.Contains(out, mech):
			out = append(out, mech)
		}
	}
	in.noKerberos(c, kerberos, len(out) > 0)
	return out
}

// noKerberos says that mechanisms are not available here; when no others are
// left nobody could log in, and that is an error.
func (in smtpElem) noKerberos(c *etree.Element, classes []string, others bool) {
	for _, class := range classes {
		const why = "<saslMechanisms>: %s is a James class not available here: tickets of Kerberos are not understood; "
		if others {
			in.r.Warnf(in.f.Pos(c), why+"the mechanism is not offered, clients can use the others", class)
		} else {
			in.r.Errorf(in.f.Pos(c), why+"no mechanism is left that clients could use: add ScramSha256SaslMechanismFactory or PlainSaslMechanismFactory, or remove the element", class)
		}
	}
}

// wellKnown is what OpenID Connect Discovery §4 puts behind an issuer.
const wellKnown = "/.well-known/openid-configuration"

// oidc reads <oidc>; nil when something that it needs is missing.
func (in smtpElem) oidc() *OIDC {
	in.warnUnknown([]string{"oidcConfigurationURL", "issuer", "jwksURL", "claim", "scope", "aud", "introspection", "userinfo"})
	o := &OIDC{
		ConfigurationURL: in.url("oidcConfigurationURL"), JWKSURL: in.secureURL("jwksURL"),
		Claim: in.needed("claim"), Scope: in.needed("scope"), Audience: in.str("aud", ""),
	}
	o.Issuer = strings.TrimRight(in.str("issuer", strings.TrimSuffix(strings.TrimRight(o.ConfigurationURL, "/"), wellKnown)), "/")
	if v, ok := parseBool(in.f.sys["james.sasl.oidc.validate.aud"]); o.Audience == "" && (!ok || v) {
		in.r.Errorf(in.f.Pos(in.e), "'aud' is mandatory for secure set up. Disable this check with -Djames.sasl.oidc.validate.aud=false.")
	} else if o.Audience == "" {
		in.r.Warnf(in.f.Pos(in.e), "<oidc> without <aud> takes tokens that were issued for any other service")
	}
	if c := in.e.SelectElement("introspection"); c != nil {
		i := smtpElem{in.f, c, in.r}
		i.warnUnknown([]string{"url", "auth"})
		o.IntrospectionURL, o.IntrospectionAuth = i.secureURL("url"), i.str("auth", "")
	}
	if c := in.e.SelectElement("userinfo"); c != nil {
		u := smtpElem{in.f, c, in.r}
		u.warnUnknown([]string{"url"})
		o.UserinfoURL = u.secureURL("url")
		if o.IntrospectionURL != "" {
			in.r.Warnf(in.f.Pos(c), "<userinfo> is not asked, as in James: there is <introspection>")
		}
	}
	if o.ConfigurationURL == "" || o.JWKSURL == "" || o.Claim == "" || o.Scope == "" {
		return nil
	}
	return o
}

func (in smtpElem) needed(name string) string {
	v := in.str(name, "")
	if v == "" {
		in.r.Errorf(in.pos(name), "`%s` property need to be specified inside the %s tag", name, in.e.Tag)
	}
	return v
}

// url reads an absolute URL of the web; "" when it is none.
func (in smtpElem) url(name string) string {
	v := in.needed(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		in.r.Errorf(in.pos(name), "<%s> is %q; want a URL such as https://sso.example.com/...", name, v)
		return ""
	}
	return v
}

// secureURL is url, and a warning when what it answers, on which logins depend,
// crosses a network in clear.
func (in smtpElem) secureURL(name string) string {
	v := in.url(name)
	u, err := url.Parse(v)
	if v == "" || err != nil || u.Scheme == "https" || strings.EqualFold(u.Hostname(), "localhost") {
		return v
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err != nil || !ip.IsLoopback() {
		in.r.Warnf(in.pos(name), "<%s> is not https: whoever can change its answers can log in as anybody", name)
	}
	return v
}

// failures reads <failures>.
func (in smtpElem) failures() AuthFailures {
	s := section{in.f, in.e.SelectElement("failures"), in.r}
	if s.e == nil {
		s.e = etree.NewElement("failures")
	}
	smtpElem{in.f, s.e, in.r}.warnUnknown([]string{"perAddress", "perUser", "window", "block", "maxBlock"})
	f := AuthFailures{
		PerAddress: s.integer("perAddress", 10, 0), PerUser: s.integer("perUser", 5, 0),
		Window: s.duration("window", time.Second, 10*time.Minute),
		Block:  s.duration("block", time.Second, time.Minute), MaxBlock: s.duration("maxBlock", time.Second, time.Hour),
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"window", f.Window}, {"block", f.Block}, {"maxBlock", f.MaxBlock}} {
		if d.value < time.Second || d.value > 31*day {
			in.r.Errorf(s.pos(d.name), "<%s> is %v; want at least 1 second and at most 31 days", d.name, d.value)
		}
	}
	if f.MaxBlock < f.Block {
		in.r.Errorf(s.pos("maxBlock"), "<maxBlock> is shorter than <block>")
	}
	return f
}
