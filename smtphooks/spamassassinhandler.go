package smtphooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/scan"
)

// SpamAssassinHandler asks a SpamAssassin daemon (spamd) about each message
// before it is accepted, and can refuse those with too many hits.
//
//	<handler class="org.apache.james.spamassassin.SpamAssassinHandler">
//	  <spamdRejectionHits>15</spamdRejectionHits>
//	  <spamdHost>localhost</spamdHost>
//	  <spamdPort>783</spamdPort>
//	  <timeout>1 minute</timeout>
//	  <maxSize>512K</maxSize>
//	  <onFailure>accept</onFailure>
//	</handler>
//
// The reply is "554 5.7.0 This message reach the spam hits treshold. Please
// contact the Postmaster if the email is not SPAM. Message rejected". A message
// that is not refused has two attributes:
//
//	org.apache.james.spamassassin.flag = YES
//	org.apache.james.spamassassin.status = Yes, hits=15.3 required=5.0
//
// The file spamassassin.properties of the configuration folder can name the
// daemon instead, with spamassassin.host and spamassassin.port. The client waits
// for the reply meanwhile. Messages of all clients are looked at, also of those
// that may relay.
//
// Parameters:
//
//   - spamdRejectionHits (default 0, never): from how many hits on a message is
//     refused.
//   - spamdHost (default that of the file, else this machine): name or address of
//     the daemon.
//   - spamdPort (default that of the file, else 783): its TCP port.
//   - timeout (default 1 minute): how long to connect, or to wait for the daemon
//     at any point; a number alone counts seconds. In all it has 8 minutes.
//   - maxSize (default 0, no limit): larger messages are not scanned and get no
//     attributes.
//   - onFailure (default accept): what happens to a message when the daemon cannot
//     be asked, or gives no result: accept takes it without attributes, with an
//     error in the log; defer answers 451.
//
// Differs from James: an answer without a result is a failure, not a message with
// the status "?"; spamdHost, spamdPort, timeout, maxSize and onFailure are new.
type SpamAssassinHandler struct {
	s         Services
	spamd     scan.Spamd
	hits      float64
	maxSize   int64
	deferring bool
	patience  time.Duration // with the daemon, in all
}

// scanPatience is how long one message may be with the daemon: clients wait for the
// reply to a message for 10 minutes (RFC 5321 §4.5.3.2.6), and send it again then.
const scanPatience = 8 * time.Minute

// Attributes of a mail that was scanned.
const (
	attrSpamFlag   = "org.apache.james.spamassassin.flag"
	attrSpamStatus = "org.apache.james.spamassassin.status"
)

func newSpamAssassin(p *conf.Params, s Services) any {
	h := &SpamAssassinHandler{s: s, patience: scanPatience}
	file, done := propertiesFile(p, s, "spamassassin.properties")
	defer done()
	if v := p.String("spamdRejectionHits", "0"); v != "" {
		var err error
		if h.hits, err = strconv.ParseFloat(v, 64); err != nil || math.IsNaN(h.hits) {
			p.Fail("spamdRejectionHits", fmt.Errorf("want a number, not %q", v))
		}
	}
	h.spamd.Host = p.String("spamdHost", file.String("spamassassin.host", ""))
	h.spamd.Port = p.Int("spamdPort", file.Int("spamassassin.port", 783))
	if h.spamd.Port < 1 || h.spamd.Port > 65535 {
		p.Fail("spamdPort", fmt.Errorf("%d is no port", h.spamd.Port))
	}
	h.spamd.Step = p.Duration("timeout", time.Second, time.Minute)
	if h.spamd.Step <= 0 {
		p.Fail("timeout", errors.New("want more than 0"))
	}
	h.maxSize = p.Size("maxSize", 0)
	h.deferring = readOnFailure(p)
	return h
}

// readOnFailure reads the parameter onFailure, accept or defer; true is the
// latter.
func readOnFailure(p *conf.Params) bool {
	v := p.String("onFailure", "accept")
	if v != "accept" && v != "defer" {
		p.Fail("onFailure", fmt.Errorf("want accept or defer, not %q", v))
	}
	return v == "defer"
}

// propertiesFile reads a properties file of the configuration folder. Without
// such a file it is empty. What is wrong with it is shown at the handler when
// done is called.
func propertiesFile(p *conf.Params, s Services, name string) (file *conf.Properties, done func()) {
	var data []byte
	var err error
	if s.ReadFile != nil {
		data, err = s.ReadFile("file://conf/" + name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.Fail("", fmt.Errorf("%s: %w", name, err))
	}
	var r conf.Report
	file = conf.ParseProperties(name, data, nil, &conf.Vars{}, &r)
	return file, func() {
		file.Close()
		for _, problem := range r.Problems() {
			text := problem.Pos.String() + ": " + problem.Text
			if problem.Severity == conf.Error {
				p.Fail("", errors.New(text))
			} else {
				p.Warn("", "%s", text)
			}
		}
	}
}

// Message implements MessageHook.
func (h *SpamAssassinHandler) Message(ctx context.Context, s *Session, m *container.Mail) Decision {
	if h.maxSize > 0 && m.Message.Size() > h.maxSize {
		return Decision{}
	}
	limited, cancel := context.WithTimeout(ctx, h.patience)
	defer cancel()
	v, err := h.spamd.Check(limited, &m.Message, "")
	if err != nil {
		h.s.Log.ErrorContext(ctx, "message not scanned", "deferred", h.deferring, "err", err)
		h.s.count("mailetd_smtp_spamassassin_failures_total", "Messages that SpamAssassin could not be asked about.")
		if h.deferring {
			return trouble()
		}
		return Decision{}
	}
	flag, word := "NO", "No"
	if v.Spam {
		flag, word = "YES", "Yes"
	}
	m.Set(attrSpamFlag, flag)
	m.Set(attrSpamStatus, fmt.Sprintf("%s, hits=%s required=%s", word, v.Hits, v.Required))
	if hits, err := strconv.ParseFloat(v.Hits, 64); h.hits > 0 && err == nil && hits >= h.hits {
		h.s.Log.InfoContext(ctx, "message has too many spam hits", "client", s.RemoteAddr.String(), "from", s.Tx.Sender.Pretty(),
			"hits", v.Hits, "limit", h.hits)
		return Refuse(554, "5.7.0", "This message reach the spam hits treshold. Please contact the Postmaster if the email is not SPAM. Message rejected")
	}
	return Decision{}
}
