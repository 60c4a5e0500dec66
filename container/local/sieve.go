package local

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"
)

// Errors of SieveStorage, compared with errors.Is.
var (
	// ErrNotFound: there is no such script.
	ErrNotFound = errors.New("not found")
	// ErrScriptActive: the active script is not deleted.
	ErrScriptActive = errors.New("the script is active")
	// ErrScriptExists: there is a script of the new name.
	ErrScriptExists = errors.New("there is a script of that name")
	// ErrQuota: the scripts of the user would have more bytes than they may.
	ErrQuota = errors.New("the scripts would be larger than the quota")
)

// maxScriptName bounds the name of a script, in characters (RFC 5804 §1.6).
const maxScriptName = 128

// CheckScriptName tells why name cannot be the name of a script (RFC 5804 §1.6).
func CheckScriptName(name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxScriptName || !utf8.ValidString(name) {
		return refuse(ErrInvalid, "the name of a script has 1 to 128 characters of UTF-8")
	}
	for _, r := range name {
		if r < ' ' || r >= 0x7f && r <= 0x9f || r == '\u2028' || r == '\u2029' {
			return refuse(ErrInvalid, "the name of a script has no control characters")
		}
	}
	return nil
}

// SieveScript is what is known of a user's script, without its text.
type SieveScript struct {
	Name      string
	Size      int64 // bytes
	Active    bool  // at most one of a user is
	Updated   time.Time
	Activated time.Time // zero for one that never was
}

// SieveStorage keeps Sieve scripts. Package repository/sqlite implements it.
// User names come in lower case. A script that is not there is ErrNotFound.
type SieveStorage interface {
	// SieveScripts lists the scripts of a user, sorted by name.
	SieveScripts(ctx context.Context, user string) ([]SieveScript, error)
	// SieveScript returns a script and its text.
	SieveScript(ctx context.Context, user, name string) (SieveScript, []byte, error)
	// ActiveSieveScript returns the active script of a user and its text, which the
	// caller must not change. It is asked for each mail, and must not cost much.
	ActiveSieveScript(ctx context.Context, user string) (SieveScript, []byte, error)
	// PutSieveScript adds or replaces a script. Which one is active stays as it is.
	// Errors: ErrQuota.
	PutSieveScript(ctx context.Context, user, name string, text []byte) error
	// ActivateSieveScript makes one script the active one; "" makes none.
	ActivateSieveScript(ctx context.Context, user, name string) error
	// RenameSieveScript keeps what is active. Errors: ErrNotFound, ErrScriptExists.
	RenameSieveScript(ctx context.Context, user, from, to string) error
	// DeleteSieveScript removes a script. Errors: ErrNotFound, ErrScriptActive.
	DeleteSieveScript(ctx context.Context, user, name string) error
	// SieveQuota returns how many bytes the scripts of a user may have together, -1
	// when that was not set; the user "" is everybody for whom it was not.
	SieveQuota(ctx context.Context, user string) (int64, error)
	// SetSieveQuota sets it; -1 removes it.
	SetSieveQuota(ctx context.Context, user string, bytes int64) error
}
