package scan

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mailetd/mailetd/container"
)

// peer answers each connection with serve, and waits for all of them when the
// test ends. It returns where it listens.
func peer(t testing.TB, step time.Duration, serve func(c net.Conn)) Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Step: step}
}

// hang reads until the other side gives up.
func hang(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func message(body string) *container.Message {
	m := container.NewMessage([]byte("Subject: x\r\n"), container.BytesBody(body))
	return &m
}

// broken is a body that cannot be read to its end.
type broken struct{}

func (broken) Size() int64 { return 1 << 20 }

func (broken) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errors.New("disk on fire")))), nil
}

// refused is an address where nobody listens.
func refused(t testing.TB) Server {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return Server{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Step: time.Second}
}

// readInstream reads a command of clamd and returns the message.
func readInstream(r *bufio.Reader) (string, error) {
	cmd, err := r.ReadString(0)
	if err != nil || cmd != "zINSTREAM\x00" {
		return "", fmt.Errorf("command %q, %w", cmd, err)
	}
	var b strings.Builder
	for {
		var n uint32
		if err := binary.Read(r, binary.BigEndian, &n); err != nil {
			return "", err
		}
		if n == 0 {
			return b.String(), nil
		}
		if _, err := io.CopyN(&b, r, int64(n)); err != nil {
			return "", err
		}
	}
}
