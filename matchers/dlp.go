package matchers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// dlpRules is what Dlp needs of the local data.
type dlpRules interface {
	Searches(ctx context.Context, domain string, maxAge time.Duration) ([]local.DLPSearch, error)
}

// Dlp matches mails in which a rule of the sender's domain finds what should not
// leak (data loss prevention). The rules are kept with webadmin's /dlp/rules.
// Each is a regular expression in Java's syntax, found anywhere, and says where
// it is searched for: in the sender (that of the envelope and each address in
// From, with its name), in the recipients (those of the envelope and each
// address in To, Cc and Bcc), or in the content (the subject and every text,
// those of attached messages too). The identifier of the first rule that matches
// becomes the attribute DlpMatchedRule. The null sender does not match.
//
//	<mailet match="dlp.Dlp=cache:1 minute" class="ToRepository">
//	  <repositoryPath>file://var/mail/dlp/quarantine/</repositoryPath>
//	</mailet>
//
// A mail that cannot be searched is an error, not one without a match: a text in
// an unknown charset or encoding, a multipart without parts, neither From nor
// Sender while there are rules about senders, more than 8 MiB of text, or
// expressions that together take longer than 10 seconds.
//
// Condition: none, or cache: and for how long the rules are kept, such as
// cache:1 minute (seconds without a unit). Whatever else it says has no effect.
//
// Differs from James: without cache: the rules are kept for 10 seconds, and a
// change made here counts at once in any case. Size and time have limits. Texts
// of every type text/* are searched, and an address field that cannot be read as
// it stands. Octets that do not fit their charset do not hide the others.
// Expressions: as RecipientIsRegex.
type Dlp struct {
	rules  dlpRules
	maxAge time.Duration
}

const (
	attrDlpRule = "DlpMatchedRule"

	dlpCache = 10 * time.Second // for how long rules are kept
	dlpTime  = 10 * time.Second // for all expressions of a mail
	dlpText  = 8 << 20          // octets of text in a mail, decoded
)

func newDlp(rules dlpRules) container.MatcherFactory {
	return func(condition string) (container.Matcher, error) {
		d := &Dlp{rules, dlpCache}
		age, ok := strings.CutPrefix(condition, "cache:")
		if !ok {
			return d, nil
		}
		var err error
		if d.maxAge, err = conf.ParseDuration(age, time.Second); err != nil {
			return nil, fmt.Errorf("%s: %w", condition, err)
		}
		return d, nil
	}
}

// Match returns all recipients when a rule matches.
func (d *Dlp) Match(ctx context.Context, m *container.Mail) ([]container.Address, error) {
	if m.Sender.IsNull() {
		return nil, nil
	}
	rules, err := d.rules.Searches(ctx, m.Sender.Domain, d.maxAge)
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	id, ok, err := searchMail(m, rules, time.Now().Add(dlpTime))
	if err != nil {
		return nil, fmt.Errorf("search for DLP rules of %s: %w", m.Sender.Domain, err)
	}
	if ok {
		m.Set(attrDlpRule, id)
	}
	return container.All(m, ok), nil
}

// dlpTarget is where a rule is searched for.
type dlpTarget struct {
	aimed func(*local.DLPSearch) bool
	texts func(*container.Mail) ([]string, error)
}

var dlpTargets = [...]dlpTarget{
	{func(r *local.DLPSearch) bool { return r.Sender }, senderTexts},
	{func(r *local.DLPSearch) bool { return r.Recipients }, recipientTexts},
	{func(r *local.DLPSearch) bool { return r.Content }, contentTexts},
}

// searchMail returns the first rule that matches. As in James a rule with
// several targets counts as several rules, and those with the same target stand
// together where the first of them stands.
func searchMail(m *container.Mail, rules []local.DLPSearch, deadline time.Time) (id string, ok bool, err error) {
	for _, t := range targetOrder(rules) {
		texts, err := t.texts(m)
		if err != nil {
			return "", false, err
		}
		var all [][]rune
		for _, s := range texts {
			all = append(all, []rune(s))
		}
		for i := range rules {
			if !t.aimed(&rules[i]) {
				continue
			}
			for _, text := range all {
				found, err := rules[i].Searcher.Find(text, deadline)
				if err != nil {
					return "", false, fmt.Errorf("rule %s: %w", rules[i].ID, err)
				}
				if found {
					return rules[i].ID, true, nil
				}
			}
		}
	}
	return "", false, nil
}

// targetOrder returns the targets in the order in which the rules name them.
func targetOrder(rules []local.DLPSearch) []dlpTarget {
	var order []dlpTarget
	var seen [len(dlpTargets)]bool
	for i := range rules {
		for k, t := range dlpTargets {
			if !seen[k] && t.aimed(&rules[i]) {
				seen[k] = true
				order = append(order, t)
			}
		}
	}
	return order
}

var errNoAuthor = errors.New("message has neither From nor Sender")
