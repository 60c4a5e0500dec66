package server

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// mailBy hands in one message, raw being everything from DATA or BDAT on.
func mailBy(c *client, raw string, replies ...string) {
	c.t.Helper()
	c.send("MAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\n")
	c.expect("250 2.1.0 ...", "250 2.1.5 ...")
	c.send(raw)
	c.expect(replies...)
}

// However a message is cut into chunks, what is stored is what DATA stores.
func TestChunksAreTheMessage(t *testing.T) {
	h := start(t, "<heloEhloEnforcement>false</heloEhloEnforcement>")
	c := h.dial()
	c.expect("220 ...")
	rnd := rand.New(rand.NewPCG(1, 2))
	messages := []string{
		"Subject: x\r\n\r\n.\r\n..\r\n.hello\r\nQUIT\r\n.\r\n",
		"Subject: x\r\n folded\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 9000),
		"no header here\r\nsecond\r\n", "\r\nbody\r\n", "", "Subject: only\r\n",
	}
	for _, text := range messages {
		stuffed := strings.ReplaceAll("\r\n"+text, "\r\n.", "\r\n..")[2:]
		mailBy(c, "DATA\r\n"+stuffed+".\r\n", "354 ...", "250 2.6.0 ...")
		for round := range 20 {
			var raw strings.Builder
			var replies []string
			left := text
			if round%2 == 1 {
				left = strings.TrimSuffix(text, "\r\n") // the end of the last line may be missing
			}
			for len(left) > 0 && rnd.IntN(4) > 0 {
				n := 1 + rnd.IntN(len(left))
				fmt.Fprintf(&raw, "BDAT %d\r\n%s", n, left[:n])
				replies = append(replies, "250 2.0.0 "+strconv.Itoa(n)+" octets received")
				left = left[n:]
			}
			fmt.Fprintf(&raw, "BDAT %d LAST\r\n%s", len(left), left)
			mailBy(c, raw.String(), append(replies, "250 2.6.0 ...")...)
		}
	}
	mails := h.queue.all()
	if len(mails) != 21*len(messages) {
		t.Fatalf("%d mails, want %d", len(mails), 21*len(messages))
	}
	for i, m := range mails {
		wantHeader, wantBody := content(t, mails[i-i%21])
		header, body := content(t, m)
		_, header, _ = strings.Cut(header, ";")
		_, wantHeader, _ = strings.Cut(wantHeader, ";")
		if header, wantHeader = withoutDate(header), withoutDate(wantHeader); header != wantHeader || body != wantBody {
			t.Fatalf("mail %d: got %.80q, %.80q, want %.80q, %.80q", i, header, body, wantHeader, wantBody)
		}
	}
}

// withoutDate cuts the date line of the Received field.
func withoutDate(s string) string {
	_, rest, _ := strings.Cut(strings.TrimPrefix(s, "\r\n"), "\r\n")
	return rest
}

func TestChunksTooBig(t *testing.T) {
	h := start(t, "<heloEhloEnforcement>false</heloEhloEnforcement><maxmessagesize>1</maxmessagesize><maxLineLength>1000</maxLineLength>")
	c := h.dial()
	c.expect("220 ...")
	line := strings.Repeat("x", 62) + "\r\n"
	kib := "A: b\r\n\r\n" + strings.Repeat(line, 15) + strings.Repeat("y", 54) + "\r\n"
	mailBy(c, "BDAT 1024 LAST\r\n"+kib, "250 2.6.0 ...")
	mailBy(c, "BDAT 1024\r\n"+kib+"BDAT 2 LAST\r\n\r\n", "250 2.0.0 ...", "552 Quota exceeded")
	mailBy(c, "BDAT 1024\r\n"+kib+"BDAT 1\r\nxBDAT 0 LAST\r\n", "250 2.0.0 ...", "250 2.0.0 ...", "552 Quota exceeded")
	mailBy(c, "BDAT 5000 LAST\r\n"+strings.Repeat("z", 5000), "552 Quota exceeded")
	mailBy(c, "BDAT 1010 LAST\r\n\r\n"+strings.Repeat("z", 1008), "500 Line length exceeded. See RFC 2821 #4.5.3.1.")
	mailBy(c, "BDAT 1004 LAST\r\n\r\n"+strings.Repeat("z", 1000)+"\r\n", "250 2.6.0 ...")
	if n := len(h.queue.all()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

// A client that goes away, or resets, leaves nothing; the body is given back.
func TestChunksBrokenOff(t *testing.T) {
	h := start(t, "<heloEhloEnforcement>false</heloEhloEnforcement>")
	c := h.dial()
	c.expect("220 ...")
	mailBy(c, "BDAT 10\r\nA: b\r\n\r\nhi", "250 2.0.0 ...")
	c.send("BDAT 10 LAST\r\nshort")
	c.nc.Close()
	h.stop()
	h.wait()
	if n := len(h.queue.all()); n != 0 {
		t.Errorf("%d mails, want none", n)
	}
}

// FuzzChunk: a size is read only when it is digits and nothing else.
func FuzzChunk(f *testing.F) {
	for _, s := range []string{"1", "1 LAST", "0 last", "-1", "+1", "1 2", "٣", "0x10", "99999999999999999999", "1 LAST LAST", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, arg string) {
		size, last, err := parseChunk(arg)
		if err != nil {
			return
		}
		words := strings.Fields(strings.ToUpper(arg))
		if size < 0 || strings.TrimLeft(words[0], "0") != strings.TrimLeft(strconv.FormatInt(size, 10), "0") ||
			last != (len(words) == 2 && words[1] == "LAST") || len(words) > 2 {
			t.Errorf("%q gives %d, %v", arg, size, last)
		}
	})
}
