package scan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"regexp"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Spamd is a SpamAssassin daemon.
type Spamd struct{ Server }

// Verdict is what spamd thinks of a message. Hits and Required are numbers as
// spamd writes them.
type Verdict struct {
	Spam           bool
	Hits, Required string
}

// Check asks about a message, with the preferences of user; "" is nobody in
// particular.
//
// Source: SpamAssassin, spamd/PROTOCOL.
func (d *Spamd) Check(ctx context.Context, m *container.Message, user string) (Verdict, error) {
	v, err := d.check(ctx, m, user)
	if err != nil {
		return v, fmt.Errorf("spamd at %s: %w", d.Addr(), err)
	}
	return v, nil
}

func (d *Spamd) check(ctx context.Context, m *container.Message, user string) (Verdict, error) {
	src, err := m.Open()
	if err != nil {
		return Verdict{}, fmt.Errorf("open the message: %w", err)
	}
	defer src.Close()
	c, err := d.open(ctx)
	if err != nil {
		return Verdict{}, err
	}
	defer c.Close()
	w := bufio.NewWriterSize(c, 16<<10)
	fmt.Fprint(w, "CHECK SPAMC/1.2\r\n")
	if user != "" {
		fmt.Fprintf(w, "User: %s\r\n", mime.Clean(user))
	}
	fmt.Fprintf(w, "Content-length: %d\r\n\r\n", m.Size())
	_, err = io.Copy(w, src)
	if err == nil {
		err = w.Flush()
	}
	// spamd may answer before it has read all, and close.
	v, answerErr := readVerdict(c)
	if answerErr != nil && err != nil {
		return v, err
	}
	return v, answerErr
}

// statusLine is the first line of an answer: version, code, and its name.
var statusLine = regexp.MustCompile(`^SPAMD/[0-9.]+ ([0-9]+) (.*)$`)

// spamLine is the value of the field Spam.
var spamLine = regexp.MustCompile(`^(?i:(True|Yes|False|No)) ; (-?[0-9.]+) / (-?[0-9.]+)$`)

func readVerdict(c io.Reader) (Verdict, error) {
	r := textproto.NewReader(bufio.NewReader(io.LimitReader(c, maxAnswer)))
	line, err := r.ReadLine()
	if err != nil {
		return Verdict{}, unexpected(err)
	}
	status := statusLine.FindStringSubmatch(line)
	if status == nil {
		return Verdict{}, fmt.Errorf("answers %q", mime.Clean(line))
	}
	if status[1] != "0" {
		return Verdict{}, fmt.Errorf("answers %s %s", status[1], mime.Clean(status[2]))
	}
	h, err := r.ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return Verdict{}, unexpected(err)
	}
	f := spamLine.FindStringSubmatch(strings.Join(strings.Fields(h.Get("Spam")), " "))
	if f == nil {
		return Verdict{}, fmt.Errorf("answers without a verdict: Spam: %s", mime.Clean(h.Get("Spam")))
	}
	return Verdict{Spam: strings.EqualFold(f[1], "true") || strings.EqualFold(f[1], "yes"), Hits: f[2], Required: f[3]}, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
