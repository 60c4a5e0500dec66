package mailbox

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/emersion/go-maildir/maildirpp"
)

// Inbox is the folder that every box has: the box itself.
const Inbox = "INBOX"

// folderPath returns the folder's place below the box: "" for the inbox, .A.B
// for A/B. A slash at the beginning does not count. A dot separates levels, as a
// slash does, because Maildir++ has no other way to write it. Names are encoded
// as IMAP does it (RFC 3501 §5.1.3), which is what readers of Maildir++ expect.
func folderPath(folder string) (string, error) {
	folder = strings.TrimPrefix(folder, "/")
	if strings.EqualFold(folder, Inbox) {
		return "", nil
	}
	levels := strings.FieldsFunc(folder, func(r rune) bool { return r == '/' || r == '.' })
	if len(levels) == 0 || len(strings.Join(levels, "/")) != len(folder) {
		return "", fmt.Errorf("folder %q has an empty level: %w", folder, ErrName)
	}
	if !utf8.ValidString(folder) || strings.ContainsFunc(folder, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("folder %q has control characters or is not UTF-8: %w", folder, ErrName)
	}
	for i, l := range levels {
		levels[i] = encodeUTF7(l)
	}
	dir, err := maildirpp.Join(levels)
	if err != nil {
		return "", fmt.Errorf("folder %q: %w: %w", folder, ErrName, err)
	}
	if len(dir) > maxElement {
		return "", fmt.Errorf("folder name of %d octets is longer than %d: %w", len(dir), maxElement, ErrName)
	}
	return dir, nil
}

var utf7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// encodeUTF7 encodes a name in IMAP's modified UTF-7 (RFC 3501 §5.1.3).
func encodeUTF7(s string) string {
	var b strings.Builder
	var wide []byte // UTF-16, big endian
	flush := func() {
		if len(wide) > 0 {
			b.WriteString("&" + utf7.EncodeToString(wide) + "-")
			wide = wide[:0]
		}
	}
	for _, r := range s {
		if r >= ' ' && r < 0x7f {
			flush()
			b.WriteRune(r)
			if r == '&' {
				b.WriteByte('-')
			}
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			wide = append(wide, byte(u>>8), byte(u))
		}
	}
	flush()
	return b.String()
}

// CheckFolder tells why a folder name cannot be used; the error wraps ErrName.
func CheckFolder(folder string) error {
	_, err := folderPath(folder)
	return err
}
