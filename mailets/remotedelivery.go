package mailets

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote"
)

// RemoteDelivery delivers to the mail servers of the recipients' domains, or to
// gateways. The mail is put into a queue, one entry for each domain, and ends
// here; a worker delivers it, retries, and hands failures to the bounce
// processor.
//
//	<mailet match="All" class="RemoteDelivery">
//	  <outgoing>outgoing</outgoing>
//	  <delayTime>5 minutes, 15 minutes, 2*1 hour, 8*6 hours</delayTime>
//	  <maxRetries>12</maxRetries>
//	  <deliveryThreads>50</deliveryThreads>
//	  <sendpartial>true</sendpartial>
//	  <startTLS>true</startTLS>
//	  <verifyServerIdentity>false</verifyServerIdentity>
//	  <bounceProcessor>bounces</bounceProcessor>
//	</mailet>
//
// Each recipient ends an attempt with an outcome (attribute delivery-outcomes):
// result, host, address, reply, whether the host offered DSN. A mail for the
// bounce processor has only recipients that failed in the same way, with the
// attributes delivery-error (the reply), delivery-error-code (its code, absent
// when no host replied) and is-delivery-permanent-error (false when the retries
// are used up).
//
// A mail with the attributes deliver-by and deliver-by-mode (DeliverByHook of
// smtpserver.xml) is passed on with DELIVERBY and what is left of its time. With
// mode R it fails with 5.4.7 when the time is over, and with 5.3.3 when the host
// does not offer DELIVERBY; with mode N the sender gets a report of the delay when
// the time is over, and one when the mail goes to a host that does not offer it. The wait
// for a retry ends when the time does. A host that announces LIMITS (RFC 9422) gets no
// more recipients in a transaction, and no more mails over a connection, than
// it says.
//
// Parameters:
//
//   - outgoing (default outgoing): name of the queue.
//   - outgoingQueue: the same; many examples spell it so.
//   - maxRetries (default 5): retries after the first attempt. When delayTime
//     lists more, that many. 0 means none.
//   - delayTime (default 6 hours): comma list of "[number *] delay", the waits
//     before the retries, in milliseconds unless a unit is given. The last one
//     is repeated up to maxRetries.
//   - maxDnsProblemRetries (default 0): how many attempts may find that the
//     domain does not exist before that is a permanent failure.
//   - timeout (default 180000): milliseconds to wait for a reply. For the reply
//     to a message it is ten minutes at least (RFC 5321 §4.5.3.2.6): who gives up
//     earlier sends the mail twice.
//   - connectiontimeout (default 60000): milliseconds to wait for a connection.
//   - connectionTimeout: the same.
//   - attemptTimeout (default 1200000, at least four times timeout): milliseconds
//     that one attempt may take in all, for hosts that answer each command just
//     in time; the mail gets as much again for every 240 recipients and every 20
//     MiB. A host gets half of what is left when there are others behind it. The
//     recipients accepted in the first half of its time get the message, the
//     others are put off (4.4.2). The reply to the message is waited for in any
//     case.
//   - sendpartial (default false): send to the accepted recipients when others
//     are refused. If not, the accepted ones wait for the next attempt, with the
//     outcome deferred and the refusal as its text; the refused ones go to the
//     bounce processor at once.
//   - bounceProcessor: processor of failed mails. Without one, the sender gets
//     a plain text message.
//   - onSuccess: processor of delivered mails.
//   - gateway: comma list of hosts that take all mail, host[:port] or
//     [IPv6 address]:port.
//   - gatewayPort: port of gateways that are given without one.
//   - gatewayUsername: user to authenticate as (PLAIN or LOGIN). With startTLS
//     alone the password goes out in clear to a gateway that does not offer
//     STARTTLS; mail.smtp.starttls.required prevents that.
//   - gatewayusername: the same.
//   - gatewayPassword: the password.
//   - loadBalancing (default true): try gateways in random order.
//   - heloName (default the server's name): name given in EHLO.
//   - bind: local IP address to connect from.
//   - startTLS (default false): encrypt when the host offers STARTTLS. A host
//     whose handshake fails does not get the mail in clear.
//   - sslEnable (default false): speak TLS from the start, on port 465.
//   - verifyServerIdentity (default true): the certificate must be for the
//     host's name. If false any name will do, but the chain must still be good.
//   - sslTrustAllCerts (default false): accept any certificate.
//   - usePriority (default false): keep the attribute MAIL_PRIORITY in the
//     queue; retries then have priority -9.
//   - deliveryThreads (default 50): deliveries at the same time. At most 20 of
//     them go to one destination. One that takes longer than half a second gives
//     its place to others that wait: so many hosts that hang delay nobody. So
//     there may be more connections, up to twenty times the number (at least
//     500, at most 4000) besides the number itself, and four times the number
//     and 100 more that wait for their next mail. With more hosts than that
//     hanging at once, deliveries to the others wait for the places they free.
//   - debug (default false): log the SMTP conversations at level info.
//   - mail.smtp.port: port of hosts that are given without one.
//   - mail.smtp.localhost: overrides heloName.
//   - mail.smtp.localaddress: overrides bind.
//   - mail.smtp.timeout: overrides timeout.
//   - mail.smtp.connectiontimeout: overrides connectiontimeout.
//   - mail.smtp.sendpartial: overrides sendpartial.
//   - mail.smtp.ehlo (default true): false says HELO at once.
//   - mail.smtp.starttls.enable: overrides startTLS.
//   - mail.smtp.starttls.required (default false): no mail in clear.
//   - mail.smtp.ssl.enable: overrides sslEnable.
//   - mail.smtp.ssl.checkserveridentity: overrides verifyServerIdentity.
//   - mail.smtp.ssl.trust: hosts whose certificate is not checked, separated by
//     blanks; * for all.
//
// Differs from James: maxRetries 0 means no retry. outgoingQueue,
// connectionTimeout and deliveryThreads are honoured; James ignores them. All
// domains of a mail are queued together or not at all, and the retry counter
// starts anew for every mail that gets here. IPv6 is used. A null MX, and
// exchangers that are this server, are permanent failures. A host that refuses
// greeting or EHLO does not keep the others from being tried; no host is tried
// after one that may have taken the message. 552 in reply to RCPT is permanent
// with an enhanced code of class 5. attemptTimeout is ours; timeout does not shorten
// the wait for the reply to a message. sslEnable does not fall back to clear text.
// A gateway that does not offer authentication does not get the mail. 8-bit
// content is sent unchanged to hosts without 8BITMIME. ORCPT is passed on;
// recipients with different NOTIFY share a transaction. REQUIRETLS needs
// verified TLS and a host that supports it, and MT-PRIORITY its own keyword.
// onSuccess gets the delivered recipients of each attempt once. Each refused
// recipient goes to the bounce processor with its own reply, and
// is-delivery-permanent-error is always set. After the last retry
// delivery-error is the last reply. Recipients with NOTIFY=NEVER get no plain
// text bounce. Only the mail.* properties listed are understood.
type RemoteDelivery struct {
	instance        *remote.Instance
	usePriority     bool
	bounceProcessor string
	onSuccess       string
}

// newRemoteDelivery returns the factory. The instances it makes share the
// workers of queues that have the same name.
func newRemoteDelivery(s Services) container.MailetFactory {
	group := remote.NewGroup(remote.Services{
		Hostname: s.Hostname, Postmaster: s.Postmaster, DNS: s.DNS, Queues: s.Queues,
		Metrics: s.Metrics, Log: s.Log, Self: s.Self, Report: deliverByReports(s),
	})
	return func(p *conf.Params) container.Mailet {
		c := remoteConfig(p, s)
		warnIgnored(p)
		return &RemoteDelivery{instance: group.Add(c), usePriority: c.UsePriority,
			bounceProcessor: c.BounceProcessor, onSuccess: c.OnSuccess}
	}
}

func remoteConfig(p *conf.Params, s Services) remote.Config {
	c := remote.Config{
		Queue:           alias(p, "outgoing", "outgoingQueue", "outgoing"),
		SendPartial:     p.Bool("sendpartial", false),
		BounceProcessor: p.String("bounceProcessor", ""),
		OnSuccess:       p.String("onSuccess", ""),
		UsePriority:     p.Bool("usePriority", false),
		LoadBalance:     p.Bool("loadBalancing", true),
		HeloName:        p.String("heloName", heloName(s)),
		StartTLS:        p.Bool("startTLS", false),
		ImplicitTLS:     p.Bool("sslEnable", false),
		VerifyIdentity:  p.Bool("verifyServerIdentity", true),
		TrustAll:        p.Bool("sslTrustAllCerts", false),
		MaxDNSRetries:   p.Int("maxDnsProblemRetries", 0),
		Threads:         p.Int("deliveryThreads", remote.DefaultThreads),
		Debug:           p.Bool("debug", false),
	}
	if c.Threads < 1 {
		p.Warn("deliveryThreads", "<deliveryThreads> is less than 1; using %d", remote.DefaultThreads)
		c.Threads = remote.DefaultThreads
	}
	var warnings []string
	c.Plan, warnings = remote.NewPlan(given(p, "maxRetries"), given(p, "delayTime"))
	for _, w := range warnings {
		p.Warn("delayTime", "%s", w)
	}
	c.Timeout = millis(p, "timeout", 0)
	c.ConnectTimeout = millis(p, "connectiontimeout", millis(p, "connectionTimeout", remote.DefaultConnectTimeout))
	c.AttemptTimeout = millis(p, "attemptTimeout", 0)
	bindAddress(p, "bind", &c)
	gateways(p, &c)
	properties(p, &c)
	if c.Auth != nil && !c.StartTLS && !c.StartTLSRequired && !c.ImplicitTLS {
		p.Warn("gatewayUsername", "<gatewayUsername>: the password is sent in clear; set <startTLS>, <sslEnable> or <mail.smtp.starttls.required>")
	}
	if c.Timeout > 0 {
		c.FinalTimeout = max(c.Timeout, remote.DefaultFinalTimeout)
	}
	return c
}

// heloName is the server's name, as James's default domain stands for it there.
func heloName(s Services) string {
	for _, name := range []string{s.Hostname, s.DefaultDomain} {
		if name != "" {
			return name
		}
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}

// alias reads a parameter that has a second name.
func alias(p *conf.Params, name, other, def string) string {
	v := p.String(other, def)
	return p.String(name, v)
}

// given returns the value of a parameter, nil when it is absent.
func given(p *conf.Params, name string) *string {
	if v, ok := p.Lookup(name); ok {
		return &v
	}
	return nil
}

// millis reads a number of milliseconds. As in James a bad one is a warning.
func millis(p *conf.Params, name string, def time.Duration) time.Duration {
	v := p.String(name, "")
	if v == "" {
		return def
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		p.Warn(name, "<%s> is %q, not a number of milliseconds; using the default", name, v)
		return def
	}
	return time.Duration(n) * time.Millisecond
}

func bindAddress(p *conf.Params, name string, c *remote.Config) {
	v := p.String(name, "")
	if v == "" {
		return
	}
	ip, err := netip.ParseAddr(v)
	if err != nil {
		p.Fail(name, fmt.Errorf("%q is not an IP address", v))
		return
	}
	c.Bind = ip.Unmap()
}

func gateways(p *conf.Params, c *remote.Config) {
	port := p.String("gatewayPort", "")
	for _, s := range p.List("gateway") {
		g, err := remote.ParseGateway(s, port)
		if err != nil {
			p.Fail("gateway", err)
			continue
		}
		c.Gateways = append(c.Gateways, g)
	}
	user, named := p.Lookup("gatewayusername")
	if u, ok := p.Lookup("gatewayUsername"); ok {
		user, named = u, true
	}
	password := p.String("gatewayPassword", "")
	switch {
	case named && len(c.Gateways) > 0:
		c.Auth = &remote.Credentials{User: user, Password: password}
	case named:
		p.Warn("gatewayUsername", "<gatewayUsername> has no effect without <gateway>")
	}
}

// properties reads those Jakarta Mail properties that have a meaning here; they
// override the parameters, as in James.
func properties(p *conf.Params, c *remote.Config) {
	c.HeloName = p.String("mail.smtp.localhost", c.HeloName)
	if strings.ContainsAny(c.HeloName, " \t\r\n") {
		p.Fail("heloName", fmt.Errorf("%q is not a host name", c.HeloName))
	}
	bindAddress(p, "mail.smtp.localaddress", c)
	c.Timeout = millis(p, "mail.smtp.timeout", c.Timeout)
	c.ConnectTimeout = millis(p, "mail.smtp.connectiontimeout", c.ConnectTimeout)
	if c.Port = p.Int("mail.smtp.port", 0); c.Port < 0 || c.Port > 65535 {
		p.Fail("mail.smtp.port", fmt.Errorf("%d is not a port", c.Port))
		c.Port = 0
	}
	c.SendPartial = p.Bool("mail.smtp.sendpartial", c.SendPartial)
	c.HeloOnly = !p.Bool("mail.smtp.ehlo", true)
	c.StartTLS = p.Bool("mail.smtp.starttls.enable", c.StartTLS)
	c.StartTLSRequired = p.Bool("mail.smtp.starttls.required", false)
	c.ImplicitTLS = p.Bool("mail.smtp.ssl.enable", c.ImplicitTLS)
	c.VerifyIdentity = p.Bool("mail.smtp.ssl.checkserveridentity", c.VerifyIdentity)
	switch trust := p.String("mail.smtp.ssl.trust", ""); trust {
	case "*":
		c.TrustAll = true
	default:
		c.TrustHosts = strings.Fields(trust)
	}
}

// ignoredProperties are the Jakarta Mail properties that configurations in the
// wild contain and that have no meaning here.
var ignoredProperties = []string{
	"mail.debug", "mail.mime.charset", "mail.smtp.allow8bitmime", "mail.smtp.auth", "mail.smtp.auth.mechanisms",
	"mail.smtp.dsn.notify", "mail.smtp.dsn.ret", "mail.smtp.from", "mail.smtp.host", "mail.smtp.localport",
	"mail.smtp.mailextension", "mail.smtp.noop.strict", "mail.smtp.password", "mail.smtp.proxy.host",
	"mail.smtp.proxy.port", "mail.smtp.quitwait", "mail.smtp.reportsuccess", "mail.smtp.sasl.enable",
	"mail.smtp.socketFactory.class", "mail.smtp.socketFactory.fallback", "mail.smtp.socketFactory.port",
	"mail.smtp.socks.host", "mail.smtp.socks.port", "mail.smtp.ssl.ciphersuites", "mail.smtp.ssl.protocols",
	"mail.smtp.submitter", "mail.smtp.user", "mail.smtp.userset", "mail.smtp.writetimeout",
}

// warnIgnored says which parameters James reads and we do not, and the other way
// round.
func warnIgnored(p *conf.Params) {
	for _, name := range ignoredProperties {
		if p.Has(name) {
			p.Warn(name, "<%s> has no meaning here; ignored", name)
		}
	}
	if p.Has("outgoingQueue") {
		p.Warn("outgoingQueue", "James ignores <outgoingQueue>, we do not; <outgoing> works in both")
	}
	if p.Has("connectionTimeout") {
		p.Warn("connectionTimeout", "James ignores <connectionTimeout>, we do not; <connectiontimeout> works in both")
	}
}

// Service implements container.Mailet: it puts one mail for each domain, or one
// for the gateways, into the queue, and ends the mail here.
func (r *RemoteDelivery) Service(_ context.Context, m *container.Mail, out *container.Outbox) error {
	defer func() { m.State = container.StateGhost }()
	if len(m.Recipients) == 0 {
		return nil
	}
	for _, c := range r.instance.Split(m) {
		if !r.usePriority {
			delete(c.Mail.Attributes, container.AttrPriority)
		}
		// What a former pass through here counted is over.
		delete(c.Mail.Attributes, container.AttrRetryCount)
		out.Enqueue(c.Queue, c.Destination, c.Mail, c.Delay)
	}
	return nil
}

// Run implements container.Runner: it empties the queue until ctx is done.
func (r *RemoteDelivery) Run(ctx context.Context) error { return r.instance.Run(ctx) }

// Consuming returns the name of the queue, and whether it is being emptied, for
// health checks.
func (r *RemoteDelivery) Consuming() (queue string, ok bool) { return r.instance.Consuming() }

// ReferredStates implements container.StateReferrer.
func (r *RemoteDelivery) ReferredStates() []string {
	var out []string
	for _, s := range []string{r.bounceProcessor, r.onSuccess} {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}
