package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/smtphooks/crowdsec"
)

// CrowdsecEhloHook refuses clients that CrowdSec has banned, when they say EHLO
// or HELO, with "554 Email rejected".
//
//	<handler class="org.apache.james.crowdsec.CrowdsecEhloHook"/>
//
// The file crowdsec.properties of the configuration folder says where its local
// API is: crowdsecUrl (such as http://localhost:8080/v1), apiKey (that of a
// bouncer) and timeout (default 500 ms; a number alone counts seconds). A
// decision about the address of the client or a network that it is in counts,
// whatever its type. Answers are kept for a minute. While CrowdSec does not answer clients are
// let in, with a warning in the log and the counter
// mailetd_smtp_crowdsec_failures_total, and it is not asked for 10 seconds.
//
// Parameters: none.
//
// Differs from James: CrowdSec is asked about one address, not for all of its
// decisions at every connection; whatever goes wrong lets clients in, not only a
// timeout; addresses are compared, not parts of their text; networks may be IPv6.
type CrowdsecEhloHook struct{ crowdsecCheck }

// CrowdsecSMTPConnectHandler refuses clients that CrowdSec has banned when they
// connect: "554 Email rejected" takes the place of the greeting, and the
// connection ends.
//
//	<handler class="org.apache.james.crowdsec.CrowdsecSMTPConnectHandler"/>
//
// The file crowdsec.properties says where CrowdSec is, see CrowdsecEhloHook. Behind a
// proxy (proxyRequired) the address that its header names is the client's.
//
// Parameters: none.
//
// Differs from James: the client is told (RFC 5321 §3.1), where James closes the
// connection without a word; the address behind a proxy counts, not that of the
// proxy; and as CrowdsecEhloHook.
type CrowdsecSMTPConnectHandler struct{ crowdsecCheck }

// crowdsecCheck is what both have in common.
type crowdsecCheck struct {
	s      Services
	client *crowdsec.Client // nil after a mistake in the configuration
}

func newCrowdsecEhlo(p *conf.Params, s Services) any {
	return &CrowdsecEhloHook{newCrowdsec(p, s)}
}

func newCrowdsecConnect(p *conf.Params, s Services) any {
	return &CrowdsecSMTPConnectHandler{newCrowdsec(p, s)}
}

func newCrowdsec(p *conf.Params, s Services) crowdsecCheck {
	file, done := propertiesFile(p, s, "crowdsec.properties")
	defer done()
	c, err := crowdsec.New(crowdsec.Config{URL: file.String("crowdsecUrl", ""), APIKey: file.Raw("apiKey"),
		Timeout: file.Duration("timeout", time.Second, 500*time.Millisecond)})
	if err != nil {
		key, _, _ := strings.Cut(err.Error(), ":")
		p.Fail("", fmt.Errorf("%v: %w", file.Pos(key), err))
	}
	return crowdsecCheck{s, c}
}

// Helo implements HeloHook.
func (h *CrowdsecEhloHook) Helo(ctx context.Context, s *Session, _ string) Decision {
	return h.check(ctx, s)
}

// Connect implements ConnectHook.
func (h *CrowdsecSMTPConnectHandler) Connect(ctx context.Context, s *Session) Decision {
	d := h.check(ctx, s)
	d.Disconnect = d.Refuses()
	return d
}

func (h *crowdsecCheck) check(ctx context.Context, s *Session) Decision {
	ban, err := h.client.Banned(ctx, s.RemoteAddr)
	switch {
	case err != nil:
		h.s.count("mailetd_smtp_crowdsec_failures_total", "Clients let in because CrowdSec could not be asked.")
		if !errors.Is(err, crowdsec.ErrPaused) {
			h.s.Log.WarnContext(ctx, "CrowdSec not asked; clients are let in", "err", err)
		}
		return Decision{}
	case ban == nil:
		return Decision{}
	}
	h.s.count("mailetd_smtp_crowdsec_banned_total", "Clients refused because CrowdSec has banned them.")
	h.s.Log.InfoContext(ctx, "client is banned by CrowdSec", "client", s.RemoteAddr.String(), "scope", ban.Scope, "value", ban.Value,
		"duration", ban.Duration, "scenario", ban.Scenario, "origin", ban.Origin, "decision", ban.ID)
	return Decision{Action: Deny}
}
