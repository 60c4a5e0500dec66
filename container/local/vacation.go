package local

import (
	"context"
	"time"
)

// Vacation is what a user says while away. Source: James's JMAP vacation
// response, as webadmin shows it.
type Vacation struct {
	Enabled bool
	From    time.Time // not before; zero for any time
	To      time.Time // not after; zero for any time
	Subject string    // "" for Re: and the subject of the mail that is answered
	Text    string
	HTML    string
}

// VacationHandle is the handle of the answers that are vacations; those of Sieve
// scripts have others.
const VacationHandle = ""

// At reports whether the user is away at a time.
func (v *Vacation) At(now time.Time) bool {
	return v.Enabled && (v.From.IsZero() || !now.Before(v.From)) && (v.To.IsZero() || !now.After(v.To))
}

// VacationStorage keeps vacations and who was answered. Package
// repository/sqlite implements it. User names come in lower case.
type VacationStorage interface {
	// Vacation returns the vacation of a user, the zero value for one without.
	Vacation(ctx context.Context, user string) (Vacation, error)
	// SetVacation sets it and forgets who was answered with VacationHandle; the zero
	// vacation removes it.
	SetVacation(ctx context.Context, user string, v Vacation) error
	// NoteResponse notes durably that user answers correspondent, and reports
	// false if that was noted before and has not expired at now. Handle tells
	// apart the answers of one user.
	NoteResponse(ctx context.Context, user, handle, correspondent string, now, until time.Time) (bool, error)
}
