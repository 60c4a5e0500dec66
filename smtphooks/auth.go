package smtphooks

import (
	"context"
	"strings"

	"github.com/mailetd/mailetd/container/local"
)

// SCRAMSource has what SCRAM-SHA-256 needs of the users (*local.Directory).
type SCRAMSource interface {
	// SCRAM returns the keys of a user; keys that fit no password when there is
	// no such user.
	SCRAM(ctx context.Context, user string) (local.ScramKeys, error)
	// OffersSCRAM reports whether every user can log in with SCRAM.
	OffersSCRAM(ctx context.Context) bool
}

// A SCRAMAuthHook is an AuthHook whose users can log in without telling their
// password.
type SCRAMAuthHook interface {
	AuthHook
	// SCRAMSource returns nil when they cannot.
	SCRAMSource() SCRAMSource
}

// SCRAM returns where SCRAM-SHA-256 finds its keys: nil when an AuthHook decides
// about passwords that must see them.
func (c *Chain) SCRAM() SCRAMSource {
	if len(c.authHooks) == 0 {
		return scramOf(c.local)
	}
	var source SCRAMSource
	for _, h := range c.authHooks {
		s, ok := h.(SCRAMAuthHook)
		if !ok {
			return nil
		}
		if source = s.SCRAMSource(); source == nil {
			return nil
		}
	}
	return source
}

func scramOf(l Local) SCRAMSource {
	s, _ := l.(SCRAMSource)
	return s
}

// LoginName returns the user that an authenticated identity stands for, such as
// the claim of a token; ok is false for what cannot be a user here.
func (c *Chain) LoginName(ctx context.Context, identity string) (name string, ok bool, err error) {
	if l, is := c.local.(interface {
		LoginName(ctx context.Context, identity string) (string, bool, error)
	}); is {
		return l.LoginName(ctx, identity)
	}
	return strings.ToLower(identity), identity != "", nil
}
