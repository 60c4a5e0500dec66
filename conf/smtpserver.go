package conf

import (
	"cmp"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// SMTPServer is one <smtpserver> of smtpserver.xml, or one <lmtpserver> of
// lmtpserver.xml, checked.
type SMTPServer struct {
	LMTP                bool // it speaks LMTP (RFC 2033)
	Pos                 Pos
	Name                string        // jmxName: names the end point in logs and webadmin
	Bind                []string      // host:port; port 0 is chosen by the kernel; LMTP: also UnixBind and a path
	Hello               string        // "" means the name of this machine
	IdleTimeout         time.Duration // 0: none
	MaxConnections      int           // 0: no limit
	MaxConnectionsPerIP int           // 0: no limit
	ProxyRequired       bool
	ProxyFirst          bool   // the PROXY header stands outside TLS
	AuthorizedAddresses List   // networks that may relay
	VerifyIdentity      string // VerifyStrict, VerifyRelaxed or VerifyDisabled
	MaxMessageSize      int64  // octets, 0: no limit
	MaxLineLength       int    // octets without CRLF
	RequireHelo         bool
	RequireBrackets     bool
	Greeting            string // "" means James's banner
	DisabledFeatures    []string
	GracefulShutdown    bool
	TLS                 *ServerTLS // nil: neither implicit TLS nor STARTTLS
	Auth                SMTPAuth
	Limits              SMTPLimits
	Chain               HandlerChain
}

// List is a list of words and where it was written.
type List struct {
	Pos   Pos
	Words []string
}

// Values of <verifyIdentity>.
const (
	VerifyStrict   = "strict"
	VerifyRelaxed  = "relaxed"
	VerifyDisabled = "disabled"
)

// HandlerChain is <handlerchain>.
type HandlerChain struct {
	Pos      Pos
	Core     string // coreHandlersPackage
	JMX      string // jmxHandlersPackage, "" when enableJmx is false
	Handlers []*Params
}

// Default bundles of the SMTP server.
const (
	DefaultSMTPCore = "org.apache.james.smtpserver.CoreCmdHandlerLoader"
	DefaultSMTPJMX  = "org.apache.james.smtpserver.jmx.JMXHandlersLoader"
)

// Limits of <maxLineLength>.
const (
	minLineLength     = 1000
	maxLineLength     = 1 << 20
	defaultLineLength = 8192
)

// SMTPServers reads smtpserver.xml. Servers with enabled="false" are left out.
// A nil file, or one without root, gives none.
//
// Source: AbstractConfigurableAsyncServer, SMTPServer (James 3.10).
func SMTPServers(f *File, r *Report) []SMTPServer {
	if f == nil || f.Root == nil {
		return nil
	}
	elems := f.Root.SelectElements("smtpserver")
	if f.Root.Tag == "smtpserver" {
		elems = []*etree.Element{f.Root}
	}
	warnSiblings(f, "smtpserver", r)
	var out []SMTPServer
	for _, e := range elems {
		in := smtpElem{f, e, r}
		if in.attrBool("enabled", true) {
			out = append(out, in.server())
		}
	}
	return out
}

// smtpElem reads the children of one element.
type smtpElem struct {
	f *File
	e *etree.Element
	r *Report
}

var smtpElements = []string{"bind", "jmxName", "helloName", "connectionBacklog", "connectiontimeout", "connectionLimit",
	"connectionLimitPerIP", "proxyRequired", "proxyFirst", "authorizedAddresses", "authRequired", "verifyIdentity",
	"maxmessagesize", "maxLineLength", "heloEhloEnforcement", "addressBracketsEnforcement", "smtpGreeting",
	"disabledFeatures", "gracefulShutdown", "ioWorkerCount", "bossWorkerCount", "maxExecutorCount", "useEpoll",
	"highWriteBufferWaterMark", "lowWriteBufferWaterMark", "handlerchain", "tls", "auth", "limits"}

func (in smtpElem) server() SMTPServer {
	in.warnUnknown(smtpElements, "enabled")
	s := SMTPServer{
		Pos:                 in.f.Pos(in.e),
		Name:                in.str("jmxName", "smtpserver"),
		Bind:                in.bind("0.0.0.0:25"),
		Hello:               in.helloName(),
		IdleTimeout:         time.Duration(in.integer("connectiontimeout", 300)) * time.Second,
		MaxConnections:      in.limit("connectionLimit", "Connection limit"),
		MaxConnectionsPerIP: in.limit("connectionLimitPerIP", "Connection limit per IP"),
		ProxyRequired:       in.boolean("proxyRequired", false),
		ProxyFirst:          in.boolean("proxyFirst", true),
		AuthorizedAddresses: in.addresses(),
		VerifyIdentity:      in.verifyIdentity(),
		MaxMessageSize:      in.messageSize(),
		MaxLineLength:       in.lineLength(),
		RequireHelo:         in.boolean("heloEhloEnforcement", true),
		RequireBrackets:     in.boolean("addressBracketsEnforcement", true),
		Greeting:            in.str("smtpGreeting", ""),
		GracefulShutdown:    in.boolean("gracefulShutdown", true),
		TLS:                 in.tls(),
		Auth:                in.auth(),
		Limits:              in.limits(),
		Chain:               in.chain(),
	}
	if s.IdleTimeout < 0 {
		in.r.Errorf(in.pos("connectiontimeout"), "<connectiontimeout> must not be negative; 0 means no limit")
	}
	for _, e := range in.e.SelectElements("disabledFeatures") {
		s.DisabledFeatures = append(s.DisabledFeatures, Text(e))
	}
	in.integer("connectionBacklog", 200)
	return s
}

// warnUnknown notes children that James would pass over without a word: unknown
// ones, and further ones of the same name. Only disabledFeatures is a list. So
// it does with attributes that are none of attrs.
func (in smtpElem) warnUnknown(known []string, attrs ...string) {
	seen := map[string]Pos{}
	for _, c := range in.e.ChildElements() {
		first, again := seen[c.Tag]
		switch {
		case !slices.Contains(known, c.Tag):
			in.r.Warnf(in.f.Pos(c), "<%s> is not an element of <%s>; ignored%s", c.Tag, in.e.Tag, Suggest(c.Tag, known))
		case again && c.Tag != "disabledFeatures":
			in.r.Warnf(in.f.Pos(c), "<%s> is there already at %s; this one is ignored", c.Tag, first)
		default:
			seen[c.Tag] = in.f.Pos(c)
		}
	}
	in.warnAttributes(known, attrs...)
}

// warnAttributes notes attributes that nothing reads; known are the elements
// that one may have been meant as.
func (in smtpElem) warnAttributes(known []string, attrs ...string) {
	for _, a := range in.e.Attr {
		switch {
		case a.Space != "" || a.Key == "xmlns" || slices.Contains(attrs, a.Key):
		case slices.Contains(known, a.Key):
			in.r.Warnf(in.f.Pos(in.e), "%s= of <%s> is read by nothing; write it as an element: <%[1]s>%[3]s</%[1]s>", a.Key, in.e.Tag, a.Value)
		default:
			in.r.Warnf(in.f.Pos(in.e), "%s= is not an attribute of <%s>; ignored%s", a.Key, in.e.Tag, Suggest(a.Key, attrs))
		}
	}
}

// warnSiblings notes what stands beside the servers of a file, which nothing
// reads.
func warnSiblings(f *File, want string, r *Report) {
	if f.Root.Tag == want {
		return
	}
	for _, e := range f.Root.ChildElements() {
		if e.Tag != want {
			r.Warnf(f.Pos(e), "<%s> is not an element of <%s>; ignored: want <%s>", e.Tag, f.Root.Tag, want)
		}
	}
}

// pos returns the position of the child called name, or of the element.
func (in smtpElem) pos(name string) Pos {
	if c := in.e.SelectElement(name); c != nil {
		return in.f.Pos(c)
	}
	return in.f.Pos(in.e)
}

func (in smtpElem) str(name, def string) string {
	if c := in.e.SelectElement(name); c != nil {
		return cmp.Or(Text(c), def)
	}
	return def
}

// Booleans are those of commons-configuration.
func (in smtpElem) parseBool(pos Pos, what, v string, def bool) bool {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "true", "yes", "on", "y", "t", "1":
		return true
	case "false", "no", "off", "n", "f", "0":
		return false
	}
	in.r.Errorf(pos, "%s is %q, not true or false", what, v)
	return def
}

func (in smtpElem) boolean(name string, def bool) bool {
	v := in.str(name, "")
	if v == "" {
		return def
	}
	return in.parseBool(in.pos(name), "<"+name+">", v, def)
}

func (in smtpElem) attrBool(name string, def bool) bool {
	a := in.e.SelectAttr(name)
	if a == nil {
		return def
	}
	return in.parseBool(in.f.Pos(in.e), name+"= of <"+in.e.Tag+">", a.Value, def)
}

func (in smtpElem) integer(name string, def int) int {
	v := in.str(name, "")
	if v == "" {
		return def
	}
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		in.r.Errorf(in.pos(name), "<%s> is %q, not a whole number", name, v)
		return def
	}
	return int(n)
}

// limit reads a connection limit; what is no number counts as none, as in James.
func (in smtpElem) limit(name, what string) int {
	v := in.str(name, "")
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 32)
	switch {
	case err != nil:
		in.r.Warnf(in.pos(name), "<%s> is %q, not a whole number; no limit applies", name, v)
		return 0
	case n < 0:
		in.r.Errorf(in.pos(name), "%s value cannot be less than zero.", what)
		return 0
	}
	return int(n)
}

// bind splits the list of addresses. Unlike in James an IPv6 address may stand
// in brackets.
func (in smtpElem) bind(def string) []string {
	var out []string
	for _, item := range strings.Split(in.str("bind", def), ",") {
		item = strings.TrimSpace(item)
		addr, ok := bindAddress(item)
		if !ok {
			in.r.Errorf(in.pos("bind"), "Malformed bind parameter in configuration of service SMTP Service: %q; want address:port, such as 0.0.0.0:25 or [::]:25", item)
			continue
		}
		out = append(out, addr)
	}
	return out
}

// bindAddress returns one address and port in the form of package net.
func bindAddress(item string) (addr string, ok bool) {
	host, port, err := net.SplitHostPort(item)
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil || strings.ContainsAny(host, " \t/") {
		return "", false
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), true
}

func (in smtpElem) helloName() string {
	c := in.e.SelectElement("helloName")
	if c == nil || (smtpElem{in.f, c, in.r}).attrBool("autodetect", true) {
		return ""
	}
	name := Text(c)
	if name == "" {
		in.r.Errorf(in.f.Pos(c), "Please configure the helloName or use autodetect")
	} else if strings.ContainsAny(name, " \t\r\n") {
		in.r.Errorf(in.f.Pos(c), "<helloName> is %q; want a host name without blanks", name)
	}
	return name
}

func (in smtpElem) addresses() List {
	l := List{Pos: in.pos("authorizedAddresses")}
	l.Words = strings.FieldsFunc(in.str("authorizedAddresses", ""), func(c rune) bool {
		return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
	})
	return l
}

func (in smtpElem) verifyIdentity() string {
	switch v := strings.ToLower(in.str("verifyIdentity", VerifyStrict)); v {
	case "true", VerifyStrict:
		return VerifyStrict
	case "false", VerifyDisabled:
		return VerifyDisabled
	case VerifyRelaxed:
		return VerifyRelaxed
	default:
		in.r.Errorf(in.pos("verifyIdentity"), "SenderVerificationMode: unsupported value '%s'; want strict, relaxed or disabled", v)
		return VerifyStrict
	}
}

func (in smtpElem) messageSize() int64 {
	v := in.str("maxmessagesize", "0")
	if strings.EqualFold(v, "unlimited") {
		return 0
	}
	n, err := ParseSize(v, 1<<10)
	if err != nil {
		in.r.Errorf(in.pos("maxmessagesize"), "<maxmessagesize>: %v; without unit it counts KiB", err)
		return 0
	}
	return min(n, math.MaxInt64/2)
}

func (in smtpElem) lineLength() int {
	n := in.integer("maxLineLength", defaultLineLength)
	if n < minLineLength || n > maxLineLength {
		in.r.Errorf(in.pos("maxLineLength"), "maxLineLength must be between %d and %d", minLineLength, maxLineLength)
		return defaultLineLength
	}
	return n
}

func (in smtpElem) chain() HandlerChain {
	e := in.e.SelectElement("handlerchain")
	if e == nil {
		in.r.Errorf(in.f.Pos(in.e), "<handlerchain> is required; an empty one has the core handlers")
		return HandlerChain{Pos: in.f.Pos(in.e), Core: DefaultSMTPCore}
	}
	c := HandlerChain{
		Pos:  in.f.Pos(e),
		Core: e.SelectAttrValue("coreHandlersPackage", DefaultSMTPCore),
		JMX:  e.SelectAttrValue("jmxHandlersPackage", DefaultSMTPJMX),
	}
	chain := smtpElem{in.f, e, in.r}
	chain.warnAttributes(nil, "coreHandlersPackage", "jmxHandlersPackage", "enableJmx")
	if !chain.attrBool("enableJmx", true) {
		c.JMX = ""
	}
	for _, h := range e.ChildElements() {
		class := strings.TrimSpace(h.SelectAttrValue("class", ""))
		switch {
		case h.Tag != "handler":
			in.r.Warnf(in.f.Pos(h), "<%s> is not an element of <handlerchain>; ignored", h.Tag)
		case class == "":
			in.r.Errorf(in.f.Pos(h), "Missing @class attribute in configuration: <handler> needs class=\"...\"")
		default:
			c.Handlers = append(c.Handlers, NewParams(in.f, h, class, in.r))
		}
	}
	return c
}
