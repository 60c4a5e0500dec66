package scan

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Clamd is a ClamAV daemon.
type Clamd struct {
	Server
	// Buffer is the number of octets sent at a time; 0 means 8192.
	Buffer int
}

// Ping asks whether the daemon is there.
func (d *Clamd) Ping(ctx context.Context) error {
	c, err := d.open(ctx)
	if err != nil {
		return fmt.Errorf("clamd at %s: %w", d.Addr(), err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "zPING\x00"); err != nil {
		return fmt.Errorf("clamd at %s: %w", d.Addr(), err)
	}
	answer, err := until(c, 0)
	if err != nil {
		return fmt.Errorf("clamd at %s: %w", d.Addr(), err)
	}
	if answer != "PONG" {
		return fmt.Errorf("clamd at %s answers %q to a ping", d.Addr(), mime.Clean(answer))
	}
	return nil
}

// Scan sends a message and returns the name of what clamd found in it, "" for
// nothing. Any answer but a finding or OK is an error.
func (d *Clamd) Scan(ctx context.Context, m *container.Message) (found string, err error) {
	answer, err := d.instream(ctx, m)
	if err != nil {
		return "", fmt.Errorf("clamd at %s: %w", d.Addr(), err)
	}
	answer = mime.Clean(answer)
	result := strings.TrimSpace(strings.TrimPrefix(answer, "stream:"))
	if name, ok := strings.CutSuffix(result, "FOUND"); ok {
		if name = strings.TrimSpace(name); name == "" {
			name = "unknown"
		}
		return name, nil
	}
	if result != "OK" {
		return "", fmt.Errorf("clamd at %s answers %q", d.Addr(), answer)
	}
	return "", nil
}

func (d *Clamd) instream(ctx context.Context, m *container.Message) (string, error) {
	src, err := m.Open()
	if err != nil {
		return "", fmt.Errorf("open the message: %w", err)
	}
	defer src.Close()
	c, err := d.open(ctx)
	if err != nil {
		return "", err
	}
	defer c.Close()
	sent := d.send(c, src)
	var read readError
	if errors.As(sent, &read) {
		return "", sent
	}
	// clamd answers and closes in the middle of a stream that is too long for it.
	answer, err := until(c, 0)
	if err != nil && sent != nil {
		err = sent
	}
	return answer, err
}

// readError is about the message, not about the connection.
type readError struct{ error }

// Unwrap returns the error itself.
func (e readError) Unwrap() error { return e.error }

// send writes the command and the message: chunks behind their length, in four
// octets, and a length of zero.
func (d *Clamd) send(w io.Writer, src io.Reader) error {
	if _, err := io.WriteString(w, "zINSTREAM\x00"); err != nil {
		return err
	}
	size := d.Buffer
	if size <= 0 {
		size = 8192
	}
	buf := make([]byte, 4+size)
	for {
		n, err := io.ReadFull(src, buf[4:])
		if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
			return readError{fmt.Errorf("read the message: %w", err)}
		}
		if n > 0 {
			binary.BigEndian.PutUint32(buf, uint32(n))
			if _, err := w.Write(buf[:4+n]); err != nil {
				return err
			}
		}
		if err != nil {
			_, err = w.Write([]byte{0, 0, 0, 0})
			return err
		}
	}
}
