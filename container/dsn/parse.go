package dsn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdmime "mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxReport bounds what Parse reads.
const maxReport = 64 << 20

// Parse reads a report and checks it against RFC 3464, 6522, 6533, 3834 and the
// rules of this server: it is for tests and for operators who want to know
// whether a report is right, not for reports of others. Original holds what the
// third part returned; Diagnostic has its folded lines joined.
func Parse(m *container.Message) (*Report, error) {
	rc, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("open report: %w", err)
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, maxReport))
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if s := scan(data); s.binary || s.longest > maxLine {
		return nil, fmt.Errorf("report has a line of %d octets, or a NUL, CR or LF on its own", s.longest)
	}
	r := &Report{}
	h := m.Header()
	if err := r.parseHeader(h); err != nil {
		return nil, err
	}
	return r, r.parseParts(h, data[len(h)+2:])
}

func one(h []byte, name string) (string, error) {
	vs := mime.Values(h, name)
	if len(vs) != 1 || vs[0] == "" && name != "Subject" {
		return "", fmt.Errorf("header field %s: %d of them, or empty", name, len(vs))
	}
	return vs[0], nil
}

func (r *Report) parseHeader(h []byte) error {
	if container.HeaderLength(h) != len(h) {
		return errors.New("header has lines that are no field")
	}
	v := map[string]string{}
	for _, name := range []string{"Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"} {
		val, err := one(h, name)
		if err != nil {
			return err
		}
		v[name] = val
	}
	var err error
	if r.Date, err = mime.ParseDate(v["Date"]); err != nil {
		return fmt.Errorf("date: %w", err)
	}
	if r.From, err = oneAddress(v["From"]); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if r.To, err = oneAddress(v["To"]); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	r.Subject, r.MessageID = mime.DecodeText(v["Subject"]), v["Message-ID"]
	r.InReplyTo, _ = mime.Get(h, "In-Reply-To")
	if v["Auto-Submitted"] != "auto-replied" || v["MIME-Version"] != "1.0" {
		return fmt.Errorf("auto-submitted is %q, mime-version %q", v["Auto-Submitted"], v["MIME-Version"])
	}
	if !mime.IsASCII(h) && r.To.IsASCII() && r.From.IsASCII() {
		return errors.New("header has octets outside ASCII")
	}
	return nil
}

func oneAddress(v string) (container.Address, error) {
	boxes, ok := mime.ParseAddresses(v)
	if !ok || len(boxes) != 1 {
		return container.Address{}, fmt.Errorf("%q is not one address", v)
	}
	return boxes[0].Address, nil
}

func (r *Report) parseParts(h, body []byte) error {
	ct, _ := mime.Get(h, "Content-Type")
	kind, params, err := stdmime.ParseMediaType(ct)
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || params["boundary"] == "" || len(params["boundary"]) > 70 {
		return fmt.Errorf("content type %q is no delivery status report: %v", ct, err)
	}
	r.Boundary = params["boundary"]
	cte, _ := mime.Get(h, "Content-Transfer-Encoding")
	if cte != "" && cte != "7bit" && cte != "8bit" || cte != "8bit" && !mime.IsASCII(body) {
		return fmt.Errorf("body does not go with content transfer encoding %q", cte)
	}
	mr := multipart.NewReader(bytes.NewReader(body), r.Boundary)
	for i, parse := range []func(textproto.MIMEHeader, string, []byte) error{r.parseText, r.parseStatus, r.parseOriginal} {
		p, err := mr.NextRawPart()
		if errors.Is(err, io.EOF) && i == 2 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", i+1, err)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return fmt.Errorf("part %d: %w", i+1, err)
		}
		kind, _, err := stdmime.ParseMediaType(p.Header.Get("Content-Type"))
		if err == nil {
			err = parse(p.Header, kind, content)
		}
		if err != nil {
			return fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	if _, err := mr.NextRawPart(); !errors.Is(err, io.EOF) {
		return errors.New("more than three parts")
	}
	return nil
}

// decode undoes the transfer encoding, of which only those in allowed may be.
func decode(h textproto.MIMEHeader, content []byte, allowed ...string) ([]byte, error) {
	switch cte := h.Get("Content-Transfer-Encoding"); {
	case cte != "" && !slices.Contains(allowed, cte):
		return nil, fmt.Errorf("content transfer encoding %q is not allowed here", cte)
	case cte == "quoted-printable":
		return io.ReadAll(quotedprintable.NewReader(bytes.NewReader(content)))
	case cte != "8bit" && !mime.IsASCII(content):
		return nil, errors.New("octets outside ASCII in a 7-bit part")
	}
	return content, nil
}

func (r *Report) parseText(h textproto.MIMEHeader, kind string, content []byte) error {
	if kind != "text/plain" {
		return fmt.Errorf("type is %s", kind)
	}
	text, err := decode(h, content, "7bit", "quoted-printable")
	r.Text = strings.ReplaceAll(string(text), "\r\n", "\n")
	return err
}

func (r *Report) parseOriginal(h textproto.MIMEHeader, kind string, content []byte) error {
	allowed := []string{"7bit", "8bit", "quoted-printable"}
	r.Return = ReturnHeaders
	switch kind {
	case "message/rfc822":
		r.Return, allowed = ReturnFull, allowed[:2]
	case "message/global":
		r.Return, r.SMTPUTF8 = ReturnFull, true
	case "message/global-headers":
		r.SMTPUTF8 = true
	case "text/rfc822-headers":
	default:
		return fmt.Errorf("type is %s", kind)
	}
	data, err := decode(h, content, allowed...)
	if err != nil {
		return err
	}
	if r.Return == ReturnFull && !slices.ContainsFunc(r.Recipients, func(rcpt Recipient) bool { return rcpt.Action == Failed }) {
		return errors.New("whole message returned although no recipient failed")
	}
	m := container.ParseMessage(data)
	if r.Return == ReturnHeaders && len(m.Header()) != len(data) && container.HeaderLength(data) > 0 && bytes.Contains(data, []byte("\r\n\r\n")) {
		return errors.New("text behind the header")
	}
	r.Original = &m
	return nil
}
