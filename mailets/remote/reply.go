package remote

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/mailetd/mailetd/container"
)

// Limits of a reply. RFC 5321 §4.5.3.1.5 asks for 512 octets a line; servers
// that explain themselves send more.
const (
	maxReplyLine  = 4096
	maxReplyLines = 128
	maxReplyText  = 16 << 10
)

// errReply: what came is no SMTP reply.
var errReply = errors.New("remote host does not speak SMTP")

// reply is one reply of a remote host. Code is 200 to 599; lines of text are
// separated by \n and free of codes and control characters.
type reply struct {
	code     int
	enhanced string
	text     string
}

// ok reports a positive completion reply.
func (r reply) ok() bool { return r.code/100 == 2 }

// err returns the reply as an error.
func (r reply) err() *smtp.SMTPError {
	e := &smtp.SMTPError{Code: r.code, EnhancedCode: smtp.EnhancedCodeNotSet, Message: r.text}
	if r.enhanced != "" {
		for i, p := range strings.Split(r.enhanced, ".") {
			e.EnhancedCode[i], _ = strconv.Atoi(p)
		}
	}
	return e
}

// readReply reads one reply, of several lines if need be (RFC 5321 §4.2.1). The
// last line's code counts. br has room for maxReplyLine octets at least.
func readReply(br *bufio.Reader) (reply, error) {
	var rep reply
	var text []byte
	for n := 0; ; n++ {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) || len(line) > maxReplyLine {
			return reply{}, fmt.Errorf("reply line is too long: %w", errReply)
		}
		if err != nil {
			return reply{}, fmt.Errorf("read reply: %w", err)
		}
		code, rest, last, ok := splitReplyLine(line)
		if !ok {
			return reply{}, fmt.Errorf("bad reply line %q: %w", clip(clean(line), 80), errReply)
		}
		if n == maxReplyLines {
			return reply{}, fmt.Errorf("reply has too many lines: %w", errReply)
		}
		rep.code = code
		enhanced, rest := splitEnhanced(code, rest)
		if n == 0 {
			rep.enhanced = enhanced
		} else if len(text) < maxReplyText {
			text = append(text, '\n')
		}
		if len(text) < maxReplyText {
			text = append(text, clean(rest)...)
		}
		if last {
			rep.text = strings.TrimSpace(string(text))
			if rep.enhanced != "" && rep.enhanced[0] != byte('0'+code/100) {
				rep.enhanced = "" // codes of lines disagree
			}
			return rep, nil
		}
	}
}

// splitReplyLine takes "250-text\r\n" apart.
func splitReplyLine(line []byte) (code int, rest []byte, last, ok bool) {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	if len(line) < 3 {
		return 0, nil, false, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, nil, false, false
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 599 {
		return 0, nil, false, false
	}
	if len(line) == 3 {
		return code, nil, true, true
	}
	switch line[3] {
	case ' ':
		return code, line[4:], true, true
	case '-':
		return code, line[4:], false, true
	default:
		return 0, nil, false, false
	}
}

// splitEnhanced takes the enhanced status code off the text, if there is one and
// its class fits the reply code (RFC 2034 §4).
func splitEnhanced(code int, text []byte) (enhanced string, rest []byte) {
	if len(text) < 5 || text[0] != byte('0'+code/100) || text[1] != '.' {
		return "", text
	}
	end := 0
	for end < len(text) && text[end] != ' ' {
		end++
	}
	if end > len("5.123.123") || !container.IsEnhancedCode(string(text[:end])) {
		return "", text
	}
	return string(text[:end]), text[min(end+1, len(text)):]
}

// clean removes what must not reach a log, a header field or a terminal:
// control characters, and octets that are no UTF-8. It changes b only when
// there is something to remove.
func clean(b []byte) []byte {
	for i, c := range b {
		if c < ' ' || c >= 0x7f {
			return append(b[:i:i], cleanSlow(string(b[i:]))...)
		}
	}
	return b
}

func cleanSlow(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ', 0x7f <= r && r < 0xa0, r == 0x2028, r == 0x2029:
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "?"))
}

// clip shortens b to n octets.
func clip(b []byte, n int) []byte { return b[:min(n, len(b))] }
