package mailbox

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// DefaultPattern puts the box of bob@example.com into example.com/bob below the
// mail folder.
const DefaultPattern = "%d/%u"

// maxElement bounds one path element in octets; common file systems allow 255.
const maxElement = 200

// Errors of names.
var (
	// ErrName: a user, domain or folder cannot be made part of a path.
	ErrName = errors.New("not usable as the name of a mailbox")
)

// Layout tells where the box of a user is.
type Layout struct{ pattern string }

// NewLayout returns the layout of a pattern: a path in which %u (or %n) stands
// for the local part of the user, %d for the domain and %% for a percent sign. A
// relative pattern is below root. The pattern must have %u, or all users would
// share one box.
func NewLayout(root, pattern string) (Layout, error) {
	if pattern == "" {
		pattern = DefaultPattern
	}
	if !filepath.IsAbs(pattern) {
		if root == "" {
			return Layout{}, errors.New("there is no mail folder for a relative path")
		}
		pattern = filepath.Join(strings.ReplaceAll(root, "%", "%%"), filepath.Clean("/"+pattern))
	}
	l := Layout{filepath.Clean(pattern)}
	perUser := false
	for i := 0; i < len(l.pattern); i++ {
		if l.pattern[i] != '%' {
			continue
		}
		i++
		if i == len(l.pattern) || strings.IndexByte("und%", l.pattern[i]) < 0 {
			return Layout{}, fmt.Errorf("%q: after %% there must be u, d or %%", pattern)
		}
		perUser = perUser || l.pattern[i] == 'u' || l.pattern[i] == 'n'
	}
	if !perUser {
		return Layout{}, fmt.Errorf("%q has no %%u: all users would share one mailbox", pattern)
	}
	return l, nil
}

// HasDomain reports whether users of the same name in different domains have
// different boxes.
func (l Layout) HasDomain() bool {
	return strings.Contains(strings.ReplaceAll(l.pattern, "%%", ""), "%d")
}

// Box returns the path of the box of user in domain. Whatever the names are, the
// path is where the pattern says and different names have different paths; it is
// an error, wrapping ErrName, when a name is empty or too long.
func (l Layout) Box(user, domain string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(l.pattern); i++ {
		if l.pattern[i] != '%' {
			b.WriteByte(l.pattern[i])
			continue
		}
		i++
		name := "%"
		var err error
		switch l.pattern[i] {
		case 'u', 'n':
			name, err = element(user)
		case 'd':
			name, err = element(domain)
		}
		if err != nil {
			return "", err
		}
		b.WriteString(name)
	}
	return b.String(), nil
}

// element returns a name as it can stand in a path. A character with a meaning
// for the file system becomes % and two hexadecimal digits: the slash, control
// characters, a dot at the beginning, what is not UTF-8, and % itself.
func element(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("empty name: %w", ErrName)
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n <= 1 || r < ' ' || r == 0x7f || r == '/' || r == '\\' || r == '%' || r == '.' && i == 0 {
			fmt.Fprintf(&b, "%%%02X", name[i])
			i++
			continue
		}
		b.WriteString(name[i : i+n])
		i += n
	}
	if b.Len() > maxElement {
		return "", fmt.Errorf("name of %d octets is longer than %d: %w", b.Len(), maxElement, ErrName)
	}
	return b.String(), nil
}
