package remote

import (
	"strconv"
	"strings"
)

// limits is what a host says that it takes (RFC 9422); 0 is no limit.
type limits struct {
	mails   int // MAILMAX: transactions in a session
	rcpts   int // RCPTMAX: recipients in a transaction
	domains int // RCPTDOMAINMAX: different domains among them
}

// parseLimits reads what follows LIMITS. Names that are not known and values that
// are none are passed over (RFC 9422 §3).
func parseLimits(args string) limits {
	var l limits
	for word := range strings.FieldsSeq(args) {
		name, value, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			continue
		}
		switch strings.ToUpper(name) {
		case "MAILMAX":
			l.mails = n
		case "RCPTMAX":
			l.rcpts = n
		case "RCPTDOMAINMAX":
			l.domains = n
		}
	}
	return l
}

// spent reports whether the connection has carried all the mails that it may.
func (c *conn) spent() bool {
	return c.used >= maxConnUses || c.ext.limits.mails > 0 && c.used >= c.ext.limits.mails
}

// portion returns how many of the recipients one transaction on c may have.
func (a *attempt) portion(c *conn, todo []int) int {
	n := min(len(todo), maxRecipients)
	if l := c.ext.limits.rcpts; l > 0 {
		n = min(n, l)
	}
	l := c.ext.limits.domains
	if l == 0 {
		return n
	}
	seen := map[string]bool{}
	for i, r := range todo[:n] {
		if d := strings.ToLower(a.rcpts[r].addr.Domain); !seen[d] {
			if len(seen) == l {
				return i
			}
			seen[d] = true
		}
	}
	return n
}
