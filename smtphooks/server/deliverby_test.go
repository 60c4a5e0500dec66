package server

import (
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func deliverByChain(params string) string {
	return `<handlerchain><handler class="com.github.mailetd.DeliverByHook">` + params + `</handler></handlerchain>`
}

// TestDeliverByReplies: the grammar of RFC 2852 §4.
func TestDeliverByReplies(t *testing.T) {
	const bad = "501 5.5.4 Syntax error in parameters: BY must be a number of seconds, ..."
	h := start(t, deliverByChain("<minimum>60</minimum>"))
	c := h.dial()
	c.talk(`
		S: 220 ...
		C: EHLO x
		S: 250-...
		S: 250-SMTPUTF8
		S: 250-PIPELINING
		S: 250-ENHANCEDSTATUSCODES
		S: 250-8BITMIME
		S: 250-DELIVERBY 60
		S: 250-CHUNKING
		S: 250 BINARYMIME`)
	for _, tc := range []struct{ params, want string }{
		{"BY=", bad}, {"BY", bad}, {"BY=60", bad}, {"BY=60;", bad}, {"BY=;R", bad}, {"BY=60;X", bad}, {"BY=60;T", bad}, {"BY=60;RTT", bad},
		{"BY=6 0;R", bad}, {"BY=1234567890;N", bad}, {"BY=+-60;N", bad}, {"BY=6.5;N", bad}, {"BY=60;R;T", bad}, {"BY=-;N", bad},
		{"BY=0;R", "501 5.5.4 Syntax error in parameters: BY with R must be more than 0 seconds"},
		{"BY=-60;RT", "501 5.5.4 Syntax error in parameters: BY with R must be more than 0 seconds"},
		{"BY=59;R", "555 5.5.4 BY with R must be at least 60 seconds"},
		{"BY=60;R BY=60;R", "501 5.5.4 Syntax error in parameters: BY given twice"},
		{"BY=60;R", "250 ..."}, {"by=+000000060;rt", "250 ..."}, {"BY=999999999;NT", "250 ..."}, {"BY=-999999999;N", "250 ..."}, {"BY=0;n", "250 ..."},
	} {
		c.send("MAIL FROM:<a@far.test> " + tc.params + "\r\n")
		if got := c.line(); !matches(got, tc.want) {
			t.Errorf("%s: got %s, want %s", tc.params, got, tc.want)
		}
		c.send("RSET\r\n")
		c.expect("250 ...")
	}
}

// TestDeliverByAttributes: what is on the mail, and that the next mail has none of
// it, nor one whose MAIL was refused at first.
func TestDeliverByAttributes(t *testing.T) {
	h := start(t, deliverByChain(""))
	c := h.dial()
	const rest = "RCPT TO:<bob@here.test>\r\nDATA\r\n.\r\n"
	before := time.Now()
	c.send("EHLO x\r\nMAIL FROM:<a@far.test> BY=120;rT\r\n" + rest + "MAIL FROM:<a@far.test>\r\n" + rest +
		"MAIL FROM:<a b@far.test> BY=120;R\r\nMAIL FROM:<a@far.test>\r\n" + rest + "QUIT\r\n")
	var replies []string
	for line := c.line(); !strings.HasPrefix(line, "221"); line = c.line() {
		replies = append(replies, line)
	}
	mails := h.queue.all()
	if len(mails) != 3 {
		t.Fatalf("%d mails: %q", len(mails), replies)
	}
	by, _ := mails[0].Attributes.Time(container.AttrDeliverBy)
	mode, _ := mails[0].Attributes.String(container.AttrDeliverByMode)
	if left := by.Sub(before); left < 2*time.Minute || left > 2*time.Minute+patience || mode != "RT" {
		t.Errorf("%v, mode %s", left, mode)
	}
	for _, m := range mails[1:] {
		if _, ok := m.Attributes[container.AttrDeliverBy]; ok {
			t.Error("the attribute is on another mail")
		}
	}
}

// TestLimits: EHLO and LHLO tell how many recipients a mail may have.
func TestLimits(t *testing.T) {
	two := chainXML("fastfail.MaxRcptHandler <maxRcpt>20</maxRcpt>", "fastfail.MaxRcptHandler <maxRcpt>2</maxRcpt>")
	for elements, want := range map[string]string{
		two: "250-LIMITS RCPTMAX=2", "<disabledFeatures>LIMITS</disabledFeatures>" + two: "", "": "", chainXML("fastfail.MaxRcptHandler <maxRcpt>0</maxRcpt>"): "",
	} {
		h := start(t, elements)
		c := h.dial()
		c.send("EHLO x\r\nMAIL FROM:<a@far.test>\r\n" + strings.Repeat("RCPT TO:<bob@here.test>\r\n", 3) + "QUIT\r\n")
		said, refused := "", false
		for line := c.line(); !strings.HasPrefix(line, "221"); line = c.line() {
			if strings.Contains(line, "LIMITS") {
				said = line
			}
			refused = refused || strings.HasPrefix(line, "452")
		}
		if said != want || refused != strings.HasSuffix(elements, two) {
			t.Errorf("%s: got %q, refused %t", elements, said, refused)
		}
	}
}
