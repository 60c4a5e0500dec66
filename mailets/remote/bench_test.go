package remote

import (
	"bufio"
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/remote/hoptest"
)

func tenKilobytes() container.Message {
	header := "From: alice@here.test\r\nSubject: Test\r\nMessage-ID: <1@here.test>\r\n"
	line := strings.Repeat("x", 76) + "\r\n"
	return container.NewMessage([]byte(header), container.BytesBody(strings.Repeat(line, 10<<10/len(line))))
}

// One 10 kB mail after the other over one connection to a sink in this process,
// whose cost is included.
func BenchmarkClient(b *testing.B) {
	r := newRig(b, testConfig())
	hop := hoptest.New(b, hoptest.Options{Discard: true})
	r.route("192.0.2.1", hop.Addr().String())
	m := newMail("bob@there.test")
	m.Message = tenKilobytes()
	ctx := context.Background()
	c, err := r.in.connect(ctx, target{"mx.there.test", netip.MustParseAddrPort("192.0.2.1:25")}, false, span{})
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	b.ReportAllocs()
	b.SetBytes(m.Message.Size())
	for b.Loop() {
		a := r.in.newAttempt(m)
		if c = a.run(ctx, ctx, c); c == nil || a.rcpts[0].outcome.Code != 250 {
			b.Fatalf("not delivered: %+v", a.rcpts[0].outcome)
		}
	}
}

// The whole way of 10 kB mails from the queue to a sink, with twenty lanes.
func BenchmarkQueue(b *testing.B) {
	c := testConfig()
	c.OnSuccess, c.Threads = "", 20
	r := newRig(b, c).run()
	r.zone.Add(b, "there.test. 60 IN MX 10 mx.there.test.", "mx.there.test. 60 IN A 192.0.2.1")
	hop := hoptest.New(b, hoptest.Options{Discard: true})
	r.route("192.0.2.1", hop.Addr().String())
	msg := tenKilobytes()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		m := newMail("bob@there.test")
		m.Message = msg
		r.send(m)
		if n++; n%200 == 0 {
			hop.Wait(b, n)
		}
	}
	hop.Wait(b, n)
}

func BenchmarkDataWriter(b *testing.B) {
	m := tenKilobytes()
	b.SetBytes(m.Size())
	b.ReportAllocs()
	w := bufio.NewWriterSize(io.Discard, writeBuffer)
	for b.Loop() {
		d := &dataWriter{w: w}
		for _, part := range [][]byte{m.Header(), crlf, m.Body().(container.BytesBody)} {
			_, _ = d.Write(part)
		}
	}
}
