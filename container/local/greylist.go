package local

import (
	"context"
	"time"
)

// Triplet is what greylisting tells mails by: the client, or the network it
// is in, and the addresses of sender and recipient.
type Triplet struct{ Network, Sender, Recipient string }

// Greylisted is what is known of a triplet.
type Greylisted struct {
	First, Last time.Time // when it was first and last seen
	Passed      int64     // how often it was let pass, as far as that was stored
	Until       time.Time // when it is forgotten
}

// GreylistStorage keeps triplets. Package repository/sqlite implements it.
type GreylistStorage interface {
	// Greylisted returns what is known of a triplet; known is false when that is
	// nothing.
	Greylisted(ctx context.Context, t Triplet) (g Greylisted, known bool, err error)
	// PutGreylisted stores it durably, in the place of what was known before.
	PutGreylisted(ctx context.Context, t Triplet, g Greylisted) error
	// ForgetGreylisted removes triplets whose time is over at now, at most max,
	// and returns their number.
	ForgetGreylisted(ctx context.Context, now time.Time, max int) (int, error)
}
