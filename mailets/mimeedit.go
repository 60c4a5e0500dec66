package mailets

import (
	"errors"
	"strings"

	"github.com/mailetd/mailetd/container/mime"
)

// maxPart bounds the content of a part that is held in memory, in octets.
const maxPart = 32 << 20

// unreadable reports whether an error is the fault of the message, not of the
// server.
func unreadable(err error) bool {
	return errors.Is(err, mime.ErrMalformed) || errors.Is(err, mime.ErrCharset) ||
		errors.Is(err, mime.ErrTooLarge) || errors.Is(err, mime.ErrTooComplex)
}

// crlfLines makes every line end CRLF.
func crlfLines(s string) string {
	if strings.Count(s, "\n") == strings.Count(s, "\r\n") && strings.Count(s, "\r") == strings.Count(s, "\r\n") {
		return s
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	return strings.ReplaceAll(s, "\n", "\r\n")
}
