package server

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// binaryBy hands in one message with BODY=BINARYMIME.
func binaryBy(c *client, raw string, replies ...string) {
	c.t.Helper()
	c.send("MAIL FROM:<a@far.test> BODY=BINARYMIME\r\nRCPT TO:<bob@here.test>\r\n")
	c.expect("250 2.1.0 ...", "250 2.1.5 ...")
	c.send(raw)
	c.expect(replies...)
}

// However a binary message is cut into chunks, its octets arrive, and nothing
// behind the server hears that it was binary.
func TestBinaryInChunks(t *testing.T) {
	h := start(t, "<heloEhloEnforcement>false</heloEhloEnforcement>")
	c := h.dial()
	c.expect("220 ...")
	rnd := rand.New(rand.NewPCG(1, 2))
	const header = "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n"
	for round := range 100 {
		image := make([]byte, 1+rnd.IntN(100)*(1+round*round/50))
		for i := range image {
			image[i] = "\x00\r\n.x\xff"[rnd.IntN(6)]
		}
		left := header + "\r\n" + string(image)
		var raw strings.Builder
		var replies []string
		for len(left) > 0 && rnd.IntN(6) > 0 {
			n := 1 + rnd.IntN(min(len(left), 90))
			fmt.Fprintf(&raw, "BDAT %d\r\n%s", n, left[:n])
			replies = append(replies, "250 2.0.0 "+strconv.Itoa(n)+" octets received")
			left = left[n:]
		}
		fmt.Fprintf(&raw, "BDAT %d LAST\r\n%s", len(left), left)
		binaryBy(c, raw.String(), append(replies, "250 2.6.0 ...")...)
		mails := h.queue.all()
		m := mails[len(mails)-1]
		got, body := content(t, m)
		if want := strings.Replace(header, "binary", "base64", 1); !strings.HasSuffix(got, want) {
			t.Fatalf("header %q, want %q", got, want)
		}
		if b, err := base64.StdEncoding.DecodeString(body); err != nil || string(b) != string(image) {
			t.Fatalf("got %q, %v, want %q", b, err, image)
		}
		if v, ok := m.Attributes[container.AttrBodyType]; ok {
			t.Errorf("the mail says that its body is %v", v)
		}
	}
}

// The size limit is for what is received, the limit of lines for what is none.
func TestBinaryLimits(t *testing.T) {
	h := start(t, "<heloEhloEnforcement>false</heloEhloEnforcement><maxmessagesize>1</maxmessagesize><maxLineLength>1000</maxLineLength>")
	c := h.dial()
	c.expect("220 ...")
	const header = "Content-Transfer-Encoding: binary\r\nContent-Type: x/y\r\n\r\n"
	fits := header + strings.Repeat("\x00", 1024-len(header))
	binaryBy(c, "BDAT 1024 LAST\r\n"+fits, "250 2.6.0 ...")
	binaryBy(c, "BDAT 1024\r\n"+fits+"BDAT 1 LAST\r\nx", "250 2.0.0 ...", "552 Quota exceeded")
	binaryBy(c, "BDAT 1008 LAST\r\n\r\n"+strings.Repeat("z", 1004)+"\r\n", "500 Line length exceeded. See RFC 2821 #4.5.3.1.")
	if mails := h.queue.all(); len(mails) != 1 || mails[0].Message.Body().Size() < 1024 {
		t.Errorf("%d mails, want 1 that has grown", len(mails))
	}
}

// A disk that is full puts the message off, and the next one arrives.
func TestBinaryNotStored(t *testing.T) {
	h := start(t, "<heloEhloEnforcement>false</heloEhloEnforcement>")
	c := h.dial()
	c.expect("220 ...")
	const message = "BDAT 62 LAST\r\nContent-Transfer-Encoding: binary\r\nContent-Type: x/y\r\n\r\n\x00\r\n\x00\r\n"
	for _, after := range []int{0, 1} {
		h.queue.mu.Lock()
		h.queue.writeErr, h.queue.goodBodies = errors.New("disk full"), after
		h.queue.mu.Unlock()
		binaryBy(c, message, "451 4.0.0 Error processing message.")
	}
	h.queue.mu.Lock()
	h.queue.writeErr = nil
	h.queue.mu.Unlock()
	binaryBy(c, message, "250 2.6.0 ...")
	if n := len(h.queue.all()); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

// Without CHUNKING there is no way to send binary messages.
func TestBinaryDisabled(t *testing.T) {
	for _, hidden := range []string{"BINARYMIME", "CHUNKING"} {
		h := start(t, "<disabledFeatures>"+hidden+"</disabledFeatures>")
		c := h.dial()
		c.expect("220 ...")
		c.send("EHLO x\r\n")
		lines := []string{"250-...", "250-SMTPUTF8", "250-PIPELINING", "250-ENHANCEDSTATUSCODES"}
		if hidden == "CHUNKING" {
			c.expect(append(lines, "250 8BITMIME")...)
		} else {
			c.expect(append(lines, "250-8BITMIME", "250 CHUNKING")...)
		}
		c.send("MAIL FROM:<a@far.test> BODY=BINARYMIME\r\n")
		c.expect("501 5.5.4 Unsupported value for BODY parameter")
	}
}
