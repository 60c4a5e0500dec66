package mime

import (
	"bytes"
	"encoding/base64"
	"mime/quotedprintable"
)

// identity reports whether an encoding leaves content as it is.
func identity(enc string) bool { return enc == "7bit" || enc == "8bit" || enc == "binary" }

// defects are what a transfer encoding may forbid (RFC 2045 §2.7, §2.8).
type defects struct{ eightBit, long, breaks bool }

// smtpLine is the longest line without its end (RFC 5321 §4.5.3.1.6).
const smtpLine = 998

func findDefects(data []byte) defects {
	d := defects{breaks: bytes.IndexByte(data, 0) >= 0}
	for len(data) > 0 {
		n := bytes.IndexByte(data, '\n')
		line := data
		if n >= 0 {
			line, data = data[:n], data[n+1:]
			if m := len(line) - 1; m >= 0 && line[m] == '\r' {
				line = line[:m]
			} else {
				d.breaks = true
			}
		} else {
			data = nil
		}
		d.long = d.long || len(line) > smtpLine
		d.breaks = d.breaks || bytes.IndexByte(line, '\r') >= 0
		d.eightBit = d.eightBit || !IsASCII(line)
	}
	return d
}

// transferEncode encodes content. It keeps the encoding, unless that cannot
// carry what was not there before; then change is the name of another.
func transferEncode(data []byte, enc string, before defects, ascii bool) (out []byte, change string) {
	switch enc {
	case "base64":
		return EncodeBase64(data), ""
	case "quoted-printable":
		return EncodeQuotedPrintable(data), ""
	case "binary":
		return data, ""
	}
	after := findDefects(data)
	if identity(enc) && (!after.eightBit || enc == "8bit" || before.eightBit) &&
		(!after.long || before.long) && (!after.breaks || before.breaks) {
		return data, ""
	}
	if !ascii {
		return EncodeBase64(data), "base64"
	}
	return EncodeQuotedPrintable(data), "quoted-printable"
}

// EncodeBase64 encodes in lines of 76 characters, each ending with CRLF
// (RFC 2045 §6.8).
func EncodeBase64(data []byte) []byte {
	const perLine = 57
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(data))+2*(len(data)/perLine+1))
	for len(data) > 0 {
		n := min(len(data), perLine)
		out = base64.StdEncoding.AppendEncode(out, data[:n])
		out = append(out, "\r\n"...)
		data = data[n:]
	}
	return out
}

// EncodeQuotedPrintable encodes text; its line ends become CRLF (RFC 2045 §6.7).
func EncodeQuotedPrintable(data []byte) []byte {
	var buf bytes.Buffer
	buf.Grow(len(data) + len(data)/8)
	w := quotedprintable.NewWriter(&buf)
	_, _ = w.Write(data) // a Buffer takes everything
	_ = w.Close()
	return buf.Bytes()
}
