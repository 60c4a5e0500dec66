package pipe

import (
	"bytes"
	"io"
)

// unixLines turns CRLF into LF, in bulk; a CR or LF alone stays.
type unixLines struct {
	r    io.Reader
	buf  [32 << 10]byte
	left []byte // to be read
	cr   bool   // a CR at the end of the last portion is held back
	err  error
}

// Read implements io.Reader.
func (u *unixLines) Read(p []byte) (int, error) {
	for len(u.left) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		n := 0
		if u.cr {
			u.buf[0], u.cr = '\r', false
			n = 1
		}
		var k int
		k, u.err = u.r.Read(u.buf[n:])
		b := u.buf[:n+k]
		if u.err == nil && bytes.HasSuffix(b, []byte{'\r'}) {
			u.cr = true
			b = b[:len(b)-1]
		}
		u.left = dropCR(b)
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}

// dropCR removes the CR of each CRLF, in place.
func dropCR(b []byte) []byte {
	crlf := []byte("\r\n")
	end := bytes.Index(b, crlf)
	if end < 0 {
		return b
	}
	for rest := b[end+1:]; ; {
		i := bytes.Index(rest, crlf)
		if i < 0 {
			return b[:end+copy(b[end:], rest)]
		}
		end += copy(b[end:], rest[:i])
		rest = rest[i+1:]
	}
}
