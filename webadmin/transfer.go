package webadmin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/webadmin/task"
)

// maxHeader bounds the header of a message that comes in here, in octets. The
// header stays in memory; the body does not.
const maxHeader = 1 << 20

// transfer takes in a message and puts it into the spool. The envelope is what
// the header says: From, and To, Cc and Bcc. The field Bcc itself is taken out
// (RFC 5322 §3.6.3); James leaves it in.
func (s *Server) transfer(w http.ResponseWriter, r *http.Request) error {
	body := http.MaxBytesReader(w, r.Body, s.deps.MaxMessageSize)
	in := bufio.NewReaderSize(&patientReader{body, http.NewResponseController(w)}, 64<<10)
	header, rest, err := readHeader(in)
	if err != nil {
		return unusable(err)
	}
	m, err := envelope(header)
	if err != nil {
		return err
	}
	bw := s.deps.Store.NewBody()
	defer bw.Abort()
	lines := &crlfWriter{w: bw}
	if _, err := io.Copy(lines, io.MultiReader(bytes.NewReader(rest), in)); err != nil {
		return unusable(fmt.Errorf("take in message: %w", err))
	}
	if err := lines.end(); err != nil {
		return fmt.Errorf("take in message: %w", err)
	}
	content, err := bw.Finish()
	if err != nil {
		return fmt.Errorf("take in message: %w", err)
	}
	m.Message = container.NewMessage(mime.Remove(header, "Bcc"), content)
	entry := container.Entry{Mail: m, Queue: container.SpoolQueue}
	if err := s.deps.Store.Commit(r.Context(), repository.Change{Entries: []container.Entry{entry}}); err != nil {
		return fmt.Errorf("enqueue message: %w", err)
	}
	s.log.InfoContext(r.Context(), "mail received", "mail", m.Name, "id", m.ID, "from", m.Sender.Pretty(),
		"to", container.AddressStrings(m.Recipients), "size", m.Message.Size(), "protocol", "webadmin")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// unusable keeps the answer for a body that is too large.
func unusable(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return internal(err)
}

// envelope returns a mail without message for what a header says. A message
// that names no sender or no recipient is the generic 500 in James, one with
// several authors the generic 400.
func envelope(header []byte) (*container.Mail, error) {
	authors, err := addresses(header, "From")
	if err != nil {
		return nil, internal(err)
	}
	switch {
	case len(authors) == 0:
		return nil, internal(errors.New("the message has no From with an address"))
	case len(authors) > 1:
		return nil, illegalArgument("From must have one address, not %d", len(authors))
	}
	var rcpts []container.Address
	for _, field := range []string{"To", "Cc", "Bcc"} {
		list, err := addresses(header, field)
		if err != nil {
			return nil, internal(err)
		}
		for _, a := range list {
			if !container.ContainsAddress(rcpts, a) {
				rcpts = append(rcpts, a)
			}
		}
	}
	if len(rcpts) == 0 {
		return nil, internal(errors.New("the message has no recipient in To, Cc or Bcc"))
	}
	m := container.NewMail(authors[0], rcpts, container.Message{})
	m.Name = task.NewID()
	for _, a := range append(rcpts, authors[0]) {
		if !a.IsASCII() {
			m.Set(container.AttrSMTPUTF8, true)
		}
	}
	return m, nil
}

// addresses returns the addresses of a field. One that cannot be read is an
// error: it must not be left out of the envelope silently.
func addresses(header []byte, field string) ([]container.Address, error) {
	var out []container.Address
	for _, v := range mime.Values(header, field) {
		if v == "" {
			continue
		}
		boxes, ok := mime.ParseAddresses(v)
		if !ok {
			return nil, fmt.Errorf("%s has an address that cannot be read: %q", field, v)
		}
		for _, b := range boxes {
			out = append(out, b.Address)
		}
	}
	return out, nil
}

// readHeader reads the header fields, whose lines then end with CRLF, and the
// empty line behind them. A line that can be no field ends the header too; it is
// the rest, the beginning of the body (RFC 5322 §2.2).
func readHeader(in *bufio.Reader) (header, rest []byte, err error) {
	for {
		line, err := readLine(in, maxHeader-len(header))
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, nil, fmt.Errorf("read header: %w", err)
		}
		text := bytes.TrimRight(line, "\r\n")
		if len(text) == 0 {
			return header, nil, nil // the empty line, or the end
		}
		text = append(bytes.ReplaceAll(text, []byte("\r"), []byte(" ")), "\r\n"...)
		if !container.IsHeaderLine(text, len(header) == 0) {
			return header, line, nil
		}
		header = append(header, text...)
	}
}

// readLine reads up to and including the next line feed.
func readLine(in *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return nil, fmt.Errorf("the header is longer than %d octets", maxHeader)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// crlfWriter passes text on with each line ended by CRLF, whatever ended it
// before. Lines that end so already are passed on as they are.
type crlfWriter struct {
	w    io.Writer
	buf  []byte
	cr   bool // the text so far ends with a CR whose line feed may come
	open bool // the text so far does not end with a line end
}

func (c *crlfWriter) Write(p []byte) (int, error) {
	n := len(p)
	c.buf = c.buf[:0]
	if c.cr && n > 0 {
		c.buf = append(c.buf, "\r\n"...)
		c.cr, c.open = false, false
		if p[0] == '\n' {
			p = p[1:]
		}
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		line := p
		if i >= 0 {
			line, p = p[:i], p[i+1:]
		} else {
			p = nil
		}
		// The CR right before the line feed, or at the end of p, is part of a
		// line end; any other is one by itself.
		ended := len(line) > 0 && line[len(line)-1] == '\r'
		if ended {
			line = line[:len(line)-1]
		}
		for j := bytes.IndexByte(line, '\r'); j >= 0; j = bytes.IndexByte(line, '\r') {
			c.buf = append(append(c.buf, line[:j]...), "\r\n"...)
			line = line[j+1:]
			c.open = false
		}
		c.buf = append(c.buf, line...)
		c.open = c.open || len(line) > 0 || ended
		switch {
		case i >= 0:
			c.buf = append(c.buf, "\r\n"...)
			c.open = false
		case ended:
			c.cr = true
		}
	}
	if _, err := c.w.Write(c.buf); err != nil {
		return 0, err
	}
	return n, nil
}

// end ends the last line, if there is one without end.
func (c *crlfWriter) end() error {
	if !c.open {
		return nil
	}
	_, err := io.WriteString(c.w, "\r\n")
	return err
}

// patientReader gives every read its own time limit: a large message may take
// long, a peer that sends nothing may not.
type patientReader struct {
	r  io.Reader
	rc *http.ResponseController
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.rc.SetReadDeadline(time.Now().Add(stepTimeout))
	return p.r.Read(b)
}
