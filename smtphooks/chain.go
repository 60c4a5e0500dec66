package smtphooks

import (
	"context"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Chain is the handlers of one server by what they are asked about, each list
// in the order of asking. It does not change once built and may be used by all
// connections at once.
type Chain struct {
	auth       bool
	connect    []ConnectHook
	disconnect []DisconnectHook
	helo       []HeloHook
	keywords   []EhloKeywords
	extensions []EhloExtensions
	mailParams map[string]MailParamHook
	mail       []MailHook
	rcptParams map[string]bool
	rcpt       []RcptHook
	message    []MessageHook
	unknown    []UnknownHook
	quit       []QuitHook
	authHooks  []AuthHook
	lifespan   []LifespanHook
	limits     []RecipientLimit
	deliver    []DeliverToRecipientHook
	deliverAll []DeliverMessageHook
	local      Local
	heirs      []Heir
}

// An Heir is a handler that remembers something about clients. When the servers
// are reloaded it takes over what its predecessor in the chain knows: a handler of
// the same type, the first of the first, the second of the second, and so on. The
// predecessor serves the connections that are open; both may be in use at once.
type Heir interface {
	Inherit(predecessor any)
}

// Inherit lets the handlers take over what those of the chain before remember. It
// is called before the chain is used.
func (c *Chain) Inherit(before *Chain) {
	left := slices.Clone(before.heirs)
	for _, h := range c.heirs {
		i := slices.IndexFunc(left, func(old Heir) bool { return reflect.TypeOf(old) == reflect.TypeOf(h) })
		if i >= 0 {
			h.Inherit(left[i])
			left = slices.Delete(left, i, i+1)
		}
	}
}

// Build makes the chain of a server: its <handler> elements in order, then the
// classes of its core bundle. A bundle written as <handler> has no effect, as in
// James. Problems go to r; the chain is usable when there were no errors.
//
// Source: ProtocolHandlerChainImpl.
func Build(server conf.SMTPServer, reg *Registry, s Services, r *conf.Report) *Chain {
	s.Server = server
	c := &Chain{local: s.Local, mailParams: map[string]MailParamHook{}, rcptParams: map[string]bool{}}
	for _, p := range server.Chain.Handlers {
		class := reg.resolve(p.Class())
		if _, ok := reg.bundles[class]; ok {
			continue
		}
		f, ok := reg.classes[class]
		if !ok {
			r.Errorf(p.Pos(""), "%s", reg.unknown(class))
			continue
		}
		if !reg.lmtpClassAllowed(server, class, p, r) {
			continue
		}
		if h, ok := load(f, p, s, r); ok {
			c.add(h)
			p.Close()
		}
	}
	for _, class := range reg.coreOf(server, r) {
		c.add(reg.classes[class](emptyParams(class, r), s))
	}
	if jmx := server.Chain.JMX; jmx != "" && !strings.HasSuffix(jmx, ".JMXHandlersLoader") {
		r.Warnf(server.Chain.Pos, "jmxHandlersPackage %s is ignored: there is no JMX here", jmx)
	}
	return c
}

// load makes one handler. A class that panics is a mistake in it, and the report
// says which element it was; the stack is in the log.
func load(f Factory, p *conf.Params, s Services, r *conf.Report) (h any, ok bool) {
	defer func() {
		if v := recover(); v != nil {
			r.Errorf(p.Pos(""), "Can not load %s: panic: %v", p.Class(), v)
			if s.Log != nil {
				s.Log.Error("handler failed to load", "class", p.Class(), "panic", v, "stack", string(debug.Stack()))
			}
		}
	}()
	return f(p, s), true
}

func emptyParams(class string, r *conf.Report) *conf.Params {
	return conf.NewParams(&conf.File{Name: "core bundle"}, etree.NewElement("handler"), class, r)
}

// add enters one handler into every list whose interface it implements.
func (c *Chain) add(h any) {
	if ch, ok := h.(commandHandler); ok {
		c.auth = c.auth || ch.auth
		return
	}
	appendIf(&c.connect, h)
	appendIf(&c.disconnect, h)
	appendIf(&c.helo, h)
	appendIf(&c.keywords, h)
	appendIf(&c.extensions, h)
	appendIf(&c.mail, h)
	appendIf(&c.rcpt, h)
	appendIf(&c.message, h)
	appendIf(&c.unknown, h)
	appendIf(&c.quit, h)
	appendIf(&c.authHooks, h)
	appendIf(&c.lifespan, h)
	appendIf(&c.limits, h)
	appendIf(&c.deliver, h)
	appendIf(&c.deliverAll, h)
	appendIf(&c.heirs, h)
	if p, ok := h.(MailParamHook); ok {
		for _, name := range p.MailParams() {
			c.mailParams[name] = p
		}
	}
	if p, ok := h.(RcptParams); ok {
		for _, name := range p.RcptParams() {
			c.rcptParams[name] = true
		}
	}
}

func appendIf[T any](list *[]T, h any) {
	if t, ok := h.(T); ok {
		*list = append(*list, t)
	}
}

// first asks the hooks until one decides.
func first[T any](hooks []T, ask func(T) Decision) Decision {
	for _, h := range hooks {
		if d := ask(h); d.decides() {
			return d
		}
	}
	return Decision{}
}

// HasAuth reports whether the chain has the AUTH command.
func (c *Chain) HasAuth() bool { return c.auth }

// Lifespan returns how long a connection may last; 0 means for ever.
func (c *Chain) Lifespan() time.Duration {
	var shortest time.Duration
	for _, h := range c.lifespan {
		if d := h.Lifespan(); shortest == 0 || d < shortest {
			shortest = d
		}
	}
	return shortest
}

// HasConnect reports whether any hook is asked at connect.
func (c *Chain) HasConnect() bool { return len(c.connect) > 0 }

// Connect asks the ConnectHooks.
func (c *Chain) Connect(ctx context.Context, s *Session) Decision {
	return first(c.connect, func(h ConnectHook) Decision { return h.Connect(ctx, s) })
}

// Disconnect tells the DisconnectHooks.
func (c *Chain) Disconnect(ctx context.Context, s *Session) {
	for _, h := range c.disconnect {
		h.Disconnect(ctx, s)
	}
}

// Helo asks the HeloHooks.
func (c *Chain) Helo(ctx context.Context, s *Session, name string) Decision {
	return first(c.helo, func(h HeloHook) Decision { return h.Helo(ctx, s, name) })
}

// Keywords returns the EHLO lines behind 8BITMIME.
func (c *Chain) Keywords(s *Session) []string {
	var out []string
	for _, h := range c.keywords {
		out = append(out, h.EhloKeywords(s)...)
	}
	if n := c.recipientLimit(); n > 0 {
		out = append(out, fmt.Sprintf("LIMITS RCPTMAX=%d", n)) // RFC 9422
	}
	return out
}

// recipientLimit returns how many recipients one mail may have; 0 is no limit.
func (c *Chain) recipientLimit() int {
	least := 0
	for _, h := range c.limits {
		if n := h.RecipientLimit(); n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	return least
}

// Extensions returns the EHLO lines at the beginning.
func (c *Chain) Extensions(s *Session) []string {
	var out []string
	for _, h := range c.extensions {
		out = append(out, h.EhloExtensions(s)...)
	}
	return out
}

// MailParam hands a parameter of MAIL to its hook; known is false when there is
// none.
func (c *Chain) MailParam(ctx context.Context, s *Session, p Param) (d Decision, known bool) {
	h, ok := c.mailParams[p.Name]
	if !ok {
		return Decision{}, false
	}
	return h.MailParam(ctx, s, p), true
}

// Mail asks the MailHooks.
func (c *Chain) Mail(ctx context.Context, s *Session, sender container.Address) Decision {
	return first(c.mail, func(h MailHook) Decision { return h.Mail(ctx, s, sender) })
}

// KnowsRcptParam reports whether a hook handles the parameter of RCPT.
func (c *Chain) KnowsRcptParam(name string) bool { return c.rcptParams[name] }

// Rcpt asks the RcptHooks.
func (c *Chain) Rcpt(ctx context.Context, s *Session, rcpt Recipient) Decision {
	return first(c.rcpt, func(h RcptHook) Decision { return h.Rcpt(ctx, s, rcpt) })
}

// Message asks the MessageHooks. With the core bundle the last of them,
// SendMailHandler, always decides.
func (c *Chain) Message(ctx context.Context, s *Session, m *container.Mail) Decision {
	return first(c.message, func(h MessageHook) Decision { return h.Message(ctx, s, m) })
}

// Unknown asks the UnknownHooks.
func (c *Chain) Unknown(ctx context.Context, s *Session, verb string) Decision {
	return first(c.unknown, func(h UnknownHook) Decision { return h.Unknown(ctx, s, verb) })
}

// Quit asks the QuitHooks.
func (c *Chain) Quit(ctx context.Context, s *Session) Decision {
	return first(c.quit, func(h QuitHook) Decision { return h.Quit(ctx, s) })
}

// Authenticate checks credentials: with the AuthHooks when there are any, else
// with the users repository.
func (c *Chain) Authenticate(ctx context.Context, s *Session, user, password string) (name string, ok bool, err error) {
	for _, h := range c.authHooks {
		if name, ok, err = h.Auth(ctx, s, user, password); ok || err != nil {
			return name, ok, err
		}
	}
	if len(c.authHooks) > 0 {
		return "", false, nil
	}
	return c.local.Authenticate(ctx, user, password)
}
