package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"
)

const dropsDuplicates = `<handler class="org.apache.james.protocols.smtp.core.fastfail.SupressDuplicateRcptHandler"/>`

// A client waits for one reply for each RCPT that got 250 (RFC 2033 §4.2), also
// when a handler takes the second of two equal ones for granted.
func TestLMTPRepliesToDroppedDuplicates(t *testing.T) {
	for name, chain := range map[string]string{
		"mailbox":   "<handlerchain>" + dropsDuplicates + "</handlerchain>",
		"container": lmtpContainerChain + dropsDuplicates + "</handlerchain>",
		"each": lmtpContainerChain + dropsDuplicates +
			`<handler class="org.apache.james.lmtpserver.MailetContainerHandler"><splitExecution>true</splitExecution></handler></handlerchain>`,
	} {
		t.Run(name, func(t *testing.T) {
			h := startLMTP(t, chain)
			c := h.dial()
			lmtpMessage(c, []string{"bob@here.test", "alice@here.test", "BOB@here.test"}, "Subject: x\r\n\r\nhello\r\n.\r\n",
				"250 2.6.0 ...", "250 2.6.0 ...", "250 2.6.0 ...")
			c.send("NOOP\r\n")
			c.expect("250 2.0.0 OK")
			got := len(h.boxes.of("bob@here.test"))
			for _, m := range h.queue.all() {
				for _, r := range m.Recipients {
					if r.Key() == "bob@here.test" {
						got++
					}
				}
			}
			if got != 1 {
				t.Errorf("bob gets %d copies, want 1", got)
			}
		})
	}
}

// stuck takes nothing that is written.
type stuck struct {
	net.Conn
	writes int
	closed bool
}

func (s *stuck) Write([]byte) (int, error) {
	s.writes++
	if s.closed {
		return 0, net.ErrClosed
	}
	return 0, errors.New("i/o timeout")
}
func (s *stuck) SetWriteDeadline(time.Time) error { return nil }
func (s *stuck) Close() error                     { s.closed = true; return nil }

// Thousands of replies to a client that reads none cost the time limit of a
// write once.
func TestRepliesToClientThatDoesNotRead(t *testing.T) {
	nc := &stuck{}
	c := &conn{nc: nc, raw: nc}
	for i := range 20000 {
		c.reply(250, "2.6.0", fmt.Sprintf("Message received <user%d@here.test>", i))
	}
	if !c.closing || !nc.closed {
		t.Errorf("closing %t, closed %t, want both", c.closing, nc.closed)
	}
}

// However commands, chunks and refused recipients are mixed and sent at once, each
// command has its replies, and no octet of a chunk is taken for a command.
func TestPipelinedChunksStayInStep(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	h := startLMTP(t, "<handlerchain/>")
	c := h.dial()
	c.expect("220 ...")
	hostile := "A: b\r\n\r\nQUIT\r\nMAIL FROM:<x@far.test>\r\n.\r\nRSET\r\n"
	for range 300 {
		var raw strings.Builder
		var want []string
		say := func(line string, replies ...string) {
			raw.WriteString(line)
			want = append(want, replies...)
		}
		say("MAIL FROM:<a@far.test>\r\n", "250 2.1.0 ...")
		good := 0
		for range rnd.IntN(4) {
			if rnd.IntN(2) == 0 {
				say("RCPT TO:<nobody@here.test>\r\n", "550 ...")
				continue
			}
			good++
			say("RCPT TO:<bob@here.test>\r\n", "250 2.1.5 ...")
		}
		alive, refused := true, []string{"503 5.5.0 ..."}
		for range rnd.IntN(5) {
			n := rnd.IntN(len(hostile) + 1)
			reply := []string{fmt.Sprintf("250 2.0.0 %d octets received", n)}
			if good == 0 || !alive {
				reply = refused
			}
			say(fmt.Sprintf("BDAT %d\r\n%s", n, hostile[:n]), reply...)
			switch rnd.IntN(5) {
			case 0:
				say("NOOP\r\n", "250 2.0.0 OK")
			case 1:
				say("RSET\r\n", "250 2.0.0 OK")
				alive = false
			case 2:
				if good > 0 && alive {
					say("DATA\r\n", "503 5.5.1 ...")
					say("RCPT TO:<alice@here.test>\r\n", "503 5.5.1 ...")
				}
			}
		}
		last := refused
		if good > 0 && alive {
			last = nil
			for range good {
				last = append(last, "...")
			}
		}
		say(fmt.Sprintf("BDAT %d LAST\r\n%s", len(hostile), hostile), last...)
		say("RSET\r\n", "250 2.0.0 OK")
		c.send(raw.String())
		c.expect(want...)
	}
}

// With splitExecution, a recipient whose run panics costs the others nothing.
func TestLMTPPanicOfOneRun(t *testing.T) {
	h := startLMTP(t, lmtpContainerChain+`<handler class="org.apache.james.lmtpserver.MailetContainerHandler"><splitExecution>true</splitExecution></handler></handlerchain>`)
	lmtpMessage(h.dial(), []string{"bob@here.test", "panicking@here.test", "alice@here.test"}, "Subject: x\r\n\r\nhello\r\n.\r\n",
		"250 2.6.0 ...", "451 4.0.0 Temporary error deliver message <panicking@here.test>", "250 2.6.0 ...")
	if n := len(h.queue.all()); n != 2 {
		t.Errorf("%d mails are stored, want 2", n)
	}
}

// The order of the replies is that of the recipients, however many there are, and
// all of them come when the client sends everything at once.
func TestLMTPManyRecipients(t *testing.T) {
	const n = 8000
	names := []string{"bob@here.test", "full@here.test", "alice@here.test", "panicking@here.test", "alias@here.test"}
	want := []string{"250 2.6.0 Message received <bob@", "552 5.2.2 ", "250 2.6.0 Message received <alice@", "451 ", "250 2.6.0 Message received <alias@"}
	for _, end := range []string{"DATA\r\nSubject: x\r\n\r\nhi\r\n.\r\n", "BDAT 16 LAST\r\nSubject: x\r\n\r\nhi"} {
		h := startLMTP(t, "<handlerchain/>")
		c := h.dial()
		c.expect("220 ...")
		go func() {
			var raw strings.Builder
			raw.WriteString("MAIL FROM:<a@far.test>\r\n")
			for i := range n {
				raw.WriteString("RCPT TO:<" + names[i%len(names)] + ">\r\n")
			}
			raw.WriteString(end + "NOOP\r\n")
			_, _ = c.nc.Write([]byte(raw.String())) // the replies tell
		}()
		c.expect("250 2.1.0 ...")
		for range n {
			c.expect("250 2.1.5 ...")
		}
		if end[0] == 'D' {
			c.expect("354 ...")
		}
		for i := range n {
			c.expect(want[i%len(want)] + "...")
		}
		c.expect("250 2.0.0 OK")
		if got := len(h.boxes.of("bob@here.test")); got != 1 {
			t.Errorf("bob has %d copies, want 1", got)
		}
		c.nc.Close()
	}
}
