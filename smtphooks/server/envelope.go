package server

import (
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/smtphooks"
)

// Errors of the arguments of MAIL and RCPT; each has replies of its own.
var (
	errUsage    = errors.New("argument is not FROM or TO and a path")
	errBrackets = errors.New("no <path>")
)

// pathArgs is the argument of MAIL or RCPT.
type pathArgs struct {
	path   string // without brackets
	params []smtphooks.Param
}

// parsePath reads `FROM:<path> NAME=VALUE ...`. Blanks may follow the colon.
// Without needBrackets the path may stand alone.
func parsePath(arg, word string, needBrackets bool) (pathArgs, error) {
	name, rest, ok := strings.Cut(arg, ":")
	if !ok || !strings.EqualFold(name, word) {
		return pathArgs{}, errUsage
	}
	rest = strings.TrimLeft(rest, " \t")
	if rest == "" {
		return pathArgs{}, errUsage
	}
	var path string
	if rest[0] == '<' {
		end := closingBracket(rest)
		if end < 0 || end+1 < len(rest) && !isBlank(rest[end+1]) {
			return pathArgs{}, errBrackets
		}
		path, rest = rest[1:end], rest[end+1:]
	} else {
		if needBrackets {
			return pathArgs{}, errBrackets
		}
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			end = len(rest)
		}
		path, rest = rest[:end], rest[end:]
	}
	return pathArgs{strings.Trim(path, " \t"), parseParams(rest)}, nil
}

// closingBracket returns the index of the > that ends the path, which is not
// inside a quoted local part; -1 when there is none.
func closingBracket(s string) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

// upper returns s with capital letters. Letters outside ASCII stay as they are:
// some of them have a capital that is ASCII, and are in no keyword all the same.
func upper(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= 'a' && c <= 'z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if b[i] >= 'a' && b[i] <= 'z' {
					b[i] -= 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func parseParams(s string) []smtphooks.Param {
	var out []smtphooks.Param
	for len(s) > 0 {
		s = strings.TrimLeft(s, " \t")
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		if end == 0 {
			break
		}
		name, value, has := strings.Cut(s[:end], "=")
		out = append(out, smtphooks.Param{Name: upper(name), Value: value, HasValue: has})
		s = s[end:]
	}
	return out
}

// parseAddress reads a path; one without domain is completed with def.
func parseAddress(path, def string) (container.Address, error) {
	a, err := container.ParseAddress(path)
	if err != nil && !hasDomain(path) {
		return container.ParseAddress(path + "@" + def)
	}
	return a, err
}

// hasDomain reports whether there is an @ outside a quoted local part.
func hasDomain(path string) bool {
	if strings.HasPrefix(path, `"`) {
		for i := 1; i < len(path); i++ {
			if path[i] == '\\' {
				i++
			} else if path[i] == '"' {
				return strings.Contains(path[i:], "@")
			}
		}
	}
	return strings.Contains(path, "@")
}
