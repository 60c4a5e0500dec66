package matchers

import (
	"bytes"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// NESSpamCheck matches messages with header fields that gave away bulk mailers
// in the 1990s, after a filter for Netscape's mail server. Today many of the
// fields stand in ordinary mail: any message with a field Sender or Resent-From
// matches. It is here for configurations that have it.
//
//	<mailet match="NESSpamCheck" class="ToProcessor">
//	  <processor>spam</processor>
//	</mailet>
//
// Condition: none.
//
// Differs from James: nothing.
type NESSpamCheck struct{ rules []spamRule }

// spamRule gives away a field called name, by its raw value.
type spamRule struct {
	name  string
	match func(value string) bool
}

func newNESSpamCheck(string) (container.Matcher, error) {
	n := &NESSpamCheck{}
	rule := func(match func(string) bool, names ...string) {
		for _, name := range names {
			n.rules = append(n.rules, spamRule{name, match})
		}
	}
	present := func(string) bool { return true }
	// The dot of James's patterns does not go beyond a fold.
	filled := func(v string) bool { return v != "" && !strings.ContainsAny(v, "\r\n") }
	equals := func(list ...string) func(string) bool {
		return func(v string) bool { return slices.Contains(list, v) }
	}
	rule(present, "X-UIDL", "X-PMFLAGS", "X-pmrqc")
	rule(filled, "Sender", "Resent-From", "Resent-By", "X-Mozilla-Status", "X-ID", "X-Confirm-Reading-To")
	rule(regexp.MustCompile(`\A<[^\r\n]*>\z`).MatchString, "MessageID")
	rule(equals("<>"), "Message-ID")
	rule(equals("DiffondiCool", "Emailer Platinum", "eMerge", "Crescent Internet Tool", "Avalanche", "Internet Mail Service", "Pegasus"), "X-Mailer")
	rule(equals("Friend@public.com", "user@the-internet", "user@the_internet"), "To")
	rule(equals("Authenticated sender"), "Comments")
	rule(equals("1.0From"), "MIME-Version")
	rule(regexp.MustCompile(`\A\(?ADV?[:;)]\z`).MatchString, "Subject")
	rule(regexp.MustCompile(`\A0[A-Z0-9]+\z`).MatchString, "X-References", "X-Other-References", "X-See-Also")
	return n, nil
}

// Match returns all recipients when a field gives the message away.
func (n *NESSpamCheck) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	for f := range mime.Fields(m.Message.Header()) {
		for _, r := range n.rules {
			if f.Is(r.name) && (r.match(rawValue(f)) || r.name == "Subject" && twentyBlanks(f)) {
				return m.Recipients, nil
			}
		}
	}
	return nil, nil
}

// twentyBlanks reports whether the value is twenty blanks behind the one that
// follows the colon.
func twentyBlanks(f mime.Field) bool {
	return string(bytes.TrimRight(f.Body, "\r\n")) == strings.Repeat(" ", 21)
}
