package mailets

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// UnwrapText joins lines of a plain text message that were broken to make them
// short. In format=flowed (RFC 3676) it is known where; elsewhere a line counts as
// broken when it does not end a sentence, the next begins in lower case or with
// a number, and its first word would not have fitted. A text whose longest line is
// under 40 characters stays as it is, and so do messages of other types.
//
//	<mailet match="All" class="UnwrapText">
//	  <quotewidth>78</quotewidth>
//	</mailet>
//
// Parameters:
//
//   - quotewidth (default -10): how long a quoted line may have been, in
//     characters, for the end of it to stand unquoted on the next line. A negative
//     number counts from the longest line of the text.
//
// Differs from James: HTML and other types of text stay as they are, since their
// line ends do not come from wrapping; characters that are not ASCII are one each.
type UnwrapText struct{ quoteWidth int }

func newUnwrapText(p *conf.Params) container.Mailet {
	return &UnwrapText{p.Int("quotewidth", -10)}
}

// Service joins the lines.
func (u *UnwrapText) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	err := editSingleText(&m.Message, func(e *mime.Entity, text string) (string, mime.TypeEdit) {
		if delSp, flowed := isFlowed(e); flowed {
			return mime.Deflow(text, delSp), mime.TypeEdit{Drop: []string{"format", "delsp"}}
		}
		return unwrap(text, u.quoteWidth), mime.TypeEdit{}
	})
	if err != nil {
		return fmt.Errorf("unwrap text: %w", err)
	}
	return nil
}

// minUnwrap is the length of the longest line below which nothing is joined.
const minUnwrap = 40

// unwrap joins lines that seem to be broken.
func unwrap(text string, quoteWidth int) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	width := 0
	for _, l := range lines[:len(lines)-1] {
		width = max(width, utf8.RuneCountInString(strings.TrimSpace(l)))
	}
	if width < minUnwrap {
		return text
	}
	if quoteWidth < 0 {
		quoteWidth = width - quoteWidth
	}
	var b strings.Builder
	b.Grow(len(text))
	joined := false // the next line continues what was written
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		// The end of a quoted line may stand unquoted below it, and again.
		for i+1 < len(lines) {
			next, ok := overflow(line, lines[i+1], width, quoteWidth)
			if !ok {
				break
			}
			line, i = next, i+1
		}
		whole := line
		if joined {
			_, line = quotePrefix(line)
		}
		b.WriteString(line)
		if i+1 == len(lines) {
			break
		}
		if joined = continues(whole, lines[i+1], width); !joined {
			b.WriteString("\r\n")
		} else if !strings.HasSuffix(line, " ") {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// quotePrefix cuts the quote marks and blanks off a line.
func quotePrefix(line string) (prefix, rest string) {
	rest = strings.TrimLeft(line, "> ")
	return line[:len(line)-len(rest)], rest
}

func sameQuote(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

// continues reports whether next is the rest of line, both quoted alike.
func continues(line, next string, width int) bool {
	prefix, _ := quotePrefix(line)
	nextPrefix, rest := quotePrefix(next)
	if !sameQuote(prefix, nextPrefix) || !endsOpen(line) {
		return false
	}
	word := firstWord(rest)
	return word != "" && utf8.RuneCountInString(line)+utf8.RuneCountInString(word)+1 > width
}

// overflow returns line and next as one when next is the unquoted rest of a
// quoted line.
func overflow(line, next string, width, quoteWidth int) (string, bool) {
	prefix, _ := quotePrefix(line)
	nextPrefix, rest := quotePrefix(next)
	if sameQuote(prefix, nextPrefix) || strings.TrimSpace(nextPrefix) != "" || !endsOpen(line) || firstWord(rest) == "" {
		return "", false
	}
	rest = strings.TrimSpace(rest)
	n := utf8.RuneCountInString(line) + utf8.RuneCountInString(rest) + 1
	if n <= width || n > quoteWidth {
		return "", false
	}
	return strings.TrimRight(line, " ") + " " + rest, true
}

// endsOpen reports whether a line does not end a sentence.
func endsOpen(line string) bool {
	line = strings.TrimRight(line, " ")
	return line != "" && !strings.ContainsRune(".?!", rune(line[len(line)-1])) && strings.Trim(line, "> ") != ""
}

// firstWord returns the word that begins a line if it can go on a sentence: it
// begins with a small letter, or is a number.
func firstWord(s string) string {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		s = s[:i]
	}
	r, _ := utf8.DecodeRuneInString(s)
	switch {
	case r >= 'a' && r <= 'z' || strings.ContainsRune("àèéìòù", r):
		return s
	case r >= '0' && r <= '9' && strings.Trim(s, "0123456789,.") == "":
		return s
	}
	return ""
}
