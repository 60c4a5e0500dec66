package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// spamd answers every message with answer; messages get what was asked.
func spamd(t *testing.T, answer string, asked *[]string) (port int) {
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
			r, size := bufio.NewReader(c), 0
			for line := "-"; line != "\r\n"; {
				if line, err = r.ReadString('\n'); err != nil {
					break
				}
				_, _ = fmt.Sscanf(line, "Content-length: %d", &size)
			}
			text := make([]byte, size)
			_, _ = io.ReadFull(r, text)
			*asked = append(*asked, string(text))
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestSpamAssassinHandler(t *testing.T) {
	const ham, spam = "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.5 / 5.0\r\n\r\n", "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.0 / 5.0\r\n\r\n"
	const refused = "554 5.7.0 This message reach the spam hits treshold. Please contact the Postmaster if the email is not SPAM. Message rejected"
	for _, tc := range []struct {
		name, answer, params, reply, flag, status string
	}{
		{"ham", ham, "<spamdRejectionHits>15</spamdRejectionHits>", "250 2.6.0 Message received", "NO", "No, hits=0.5 required=5.0"},
		{"spam is marked", spam, "", "250 2.6.0 Message received", "YES", "Yes, hits=15.0 required=5.0"},
		{"spam below", spam, "<spamdRejectionHits>15.1</spamdRejectionHits>", "250 2.6.0 Message received", "YES", "Yes, hits=15.0 required=5.0"},
		{"spam refused", spam, "<spamdRejectionHits>15.0</spamdRejectionHits>", refused, "", ""},
		{"too large", spam, "<spamdRejectionHits>1</spamdRejectionHits><maxSize>10</maxSize>", "250 2.6.0 Message received", "", ""},
		{"trouble", "SPAMD/1.0 76 Bad header line\r\n", "<spamdRejectionHits>1</spamdRejectionHits>", "250 2.6.0 Message received", "", ""},
		{"trouble defers", "", "<onFailure>defer</onFailure>", "451 Unable to process request", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			port := spamd(t, tc.answer, &asked)
			h := start(t, fmt.Sprintf(`<handlerchain><handler class="org.apache.james.spamassassin.SpamAssassinHandler"><spamdHost>127.0.0.1</spamdHost><spamdPort>%d</spamdPort>%s</handler></handlerchain>`, port, tc.params))
			c := h.begin()
			c.send("Subject: s\r\n\r\nbody\r\n.\r\n")
			c.expect(tc.reply)
			if !strings.HasPrefix(tc.reply, "250") {
				if n := len(h.queue.all()); n != 0 {
					t.Errorf("%d mails taken", n)
				}
				return
			}
			m := h.one()
			flag, _ := m.Attributes.String("org.apache.james.spamassassin.flag")
			status, _ := m.Attributes.String("org.apache.james.spamassassin.status")
			if flag != tc.flag || status != tc.status {
				t.Errorf("attributes %q, %q", flag, status)
			}
			if tc.flag != "" && (len(asked) != 1 || !strings.HasPrefix(asked[0], "Received: ") || !strings.HasSuffix(asked[0], "\r\nSubject: s\r\n\r\nbody\r\n")) {
				t.Errorf("asked about %q", asked)
			}
		})
	}
}
