package container

import "context"

// A Mailet does one thing to a mail. It owns m until Service returns; what
// should come of the mail besides goes into out. Service is called by several
// goroutines at once. An error is handled as onMailetException says.
type Mailet interface {
	Service(ctx context.Context, m *Mail, out *Outbox) error
}

// A Matcher selects recipients: it returns those of m.Recipients that match,
// in their order, nil for none. It is called by several goroutines at once and
// must not change the envelope. An error is handled as onMatchException says.
type Matcher interface {
	Match(ctx context.Context, m *Mail) ([]Address, error)
}

// A Composite is a matcher made of others, declared as nested <matcher>
// elements. Add is called while the configuration is loaded, in document order.
type Composite interface {
	Matcher
	Add(child Matcher)
}

// A StateReferrer sends mail to other processors. The server refuses to start
// while one of them does not exist.
type StateReferrer interface{ ReferredStates() []string }

// A StateMentioner sends mail to other processors as well, but where one of them
// does not exist, as James allows, there is only a warning.
type StateMentioner interface{ MentionedStates() []string }

// A Runner has work of its own besides Service, such as emptying a queue. Run
// returns when ctx is done, and not before its goroutines have ended. It is
// called once, after the whole configuration was found good.
type Runner interface {
	Run(ctx context.Context) error
}

// Inert is implemented by classes that load but do nothing here. The reason is
// shown once at start.
type Inert interface{ InertReason() string }

// All returns all recipients of m if ok, and none otherwise: the result of a
// matcher that looks at the mail as a whole.
func All(m *Mail, ok bool) []Address {
	if ok {
		return m.Recipients
	}
	return nil
}

// Each returns the recipients of m that match, in order: the result of a matcher
// that looks at one recipient at a time.
func Each(m *Mail, match func(Address) bool) []Address {
	var out []Address
	for _, r := range m.Recipients {
		if match(r) {
			out = append(out, r)
		}
	}
	return out
}
