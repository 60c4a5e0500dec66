package conf

import (
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/beevik/etree"
)

// Bundles and default names of the LMTP server.
const (
	DefaultLMTPCore = "org.apache.james.lmtpserver.CoreCmdHandlerLoader"
	DefaultLMTPJMX  = "org.apache.james.lmtpserver.jmx.JMXHandlersLoader"
)

// UnixBind is how an address of Bind begins that is the path of a socket in the
// file system.
const UnixBind = "unix:"

// maxSocketPath is what a socket address has room for (unix(7)).
const maxSocketPath = 107

// LMTPServers reads lmtpserver.xml. The servers are those of SMTP with LMTP set:
// no authentication, no networks that may relay, neither LHLO nor brackets
// demanded. Servers with enabled="false" are left out. A nil file, or one
// without root, gives none.
//
// An address in <bind> may be unix:/path as well, which James does not have;
// the unit letters of <maxmessagesize> are read as its documentation says.
//
// Source: LMTPServer, AbstractConfigurableAsyncServer (James 3.10).
func LMTPServers(f *File, r *Report) []SMTPServer {
	if f == nil || f.Root == nil {
		return nil
	}
	elems := f.Root.SelectElements("lmtpserver")
	if f.Root.Tag == "lmtpserver" {
		elems = []*etree.Element{f.Root}
	}
	warnSiblings(f, "lmtpserver", r)
	var out []SMTPServer
	for _, e := range elems {
		in := smtpElem{f, e, r}
		if in.attrBool("enabled", true) {
			out = append(out, in.lmtpServer())
		}
	}
	return out
}

var lmtpElements = []string{"bind", "jmxName", "helloName", "connectionBacklog", "connectiontimeout", "connectionLimit",
	"connectionLimitPerIP", "proxyRequired", "proxyFirst", "maxmessagesize", "lmtpGreeting", "disabledFeatures",
	"gracefulShutdown", "ioWorkerCount", "bossWorkerCount", "maxExecutorCount", "useEpoll", "highWriteBufferWaterMark",
	"lowWriteBufferWaterMark", "handlerchain", "tls", "limits"}

func (in smtpElem) lmtpServer() SMTPServer {
	in.warnUnknown(lmtpElements, "enabled")
	s := SMTPServer{
		LMTP:                true,
		Pos:                 in.f.Pos(in.e),
		Name:                in.str("jmxName", "lmtpserver"),
		Bind:                in.lmtpBind("0.0.0.0:24"),
		Hello:               in.helloName(),
		IdleTimeout:         time.Duration(in.integer("connectiontimeout", 300)) * time.Second,
		MaxConnections:      in.limit("connectionLimit", "Connection limit"),
		MaxConnectionsPerIP: in.limit("connectionLimitPerIP", "Connection limit per IP"),
		ProxyRequired:       in.boolean("proxyRequired", false),
		ProxyFirst:          in.boolean("proxyFirst", true),
		VerifyIdentity:      VerifyDisabled,
		MaxMessageSize:      in.messageSize(),
		MaxLineLength:       defaultLineLength,
		Greeting:            in.str("lmtpGreeting", ""),
		GracefulShutdown:    in.boolean("gracefulShutdown", true),
		TLS:                 in.tls(),
		Auth:                SMTPAuth{Announce: AnnounceNever},
		Limits:              in.limits(),
		Chain:               in.lmtpChain(),
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

// lmtpBind splits the list of addresses. Port 25 is SMTP's: a mail server that
// connects there speaks SMTP (RFC 2033 §5).
func (in smtpElem) lmtpBind(def string) []string {
	var out []string
	for _, item := range strings.Split(in.str("bind", def), ",") {
		item = strings.TrimSpace(item)
		if path, ok := strings.CutPrefix(item, UnixBind); ok {
			switch {
			case !filepath.IsAbs(path):
				in.r.Errorf(in.pos("bind"), "Malformed bind parameter in configuration of service LMTP Service: %q; want unix: and the full path of a socket, such as unix:/run/mailetd/lmtp", item)
				continue
			case len(filepath.Clean(path)) > maxSocketPath:
				in.r.Errorf(in.pos("bind"), "<bind> %s: the path of a socket has at most %d octets; use a shorter one", item, maxSocketPath)
				continue
			}
			out = append(out, UnixBind+filepath.Clean(path))
			continue
		}
		addr, ok := bindAddress(item)
		if !ok {
			in.r.Errorf(in.pos("bind"), "Malformed bind parameter in configuration of service LMTP Service: %q; want address:port, such as 127.0.0.1:24 or [::1]:24, or unix:/path", item)
			continue
		}
		if _, port, _ := net.SplitHostPort(addr); port == "25" {
			in.r.Warnf(in.pos("bind"), "<bind> %s: LMTP must not be offered on port 25, which is SMTP's (RFC 2033); use 24", item)
		}
		out = append(out, addr)
	}
	return out
}

// lmtpChain is chain with the defaults of LMTP.
func (in smtpElem) lmtpChain() HandlerChain {
	c := in.chain()
	e := in.e.SelectElement("handlerchain")
	if e == nil || e.SelectAttr("coreHandlersPackage") == nil {
		c.Core = DefaultLMTPCore
	}
	if c.JMX == DefaultSMTPJMX {
		c.JMX = DefaultLMTPJMX
	}
	return c
}
