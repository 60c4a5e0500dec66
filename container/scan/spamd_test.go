package scan

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func TestSpamd(t *testing.T) {
	large := strings.Repeat("All work and no play.\r\n", 20000)
	for _, tc := range []struct {
		name, user, body, answer, err string
		want                          Verdict
	}{
		{name: "ham", user: "bob", body: "x", answer: "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.5 / 5.0\r\n\r\n", want: Verdict{false, "0.5", "5.0"}},
		{name: "spam", user: "bob", body: large, answer: "SPAMD/1.5 0 EX_OK\r\nContent-length: 2\r\nspam: True ; 1015.0 / 5.0\r\n\r\nxx", want: Verdict{true, "1015.0", "5.0"}},
		{name: "yes", body: "", answer: "SPAMD/1.1 0 EX_OK\r\nSpam: Yes ;  -15.0 /  5\r\n", want: Verdict{true, "-15.0", "5"}},
		{name: "hostile user", user: "a\r\nX: y", body: "x", answer: "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0 / 5\r\n\r\n", want: Verdict{false, "0", "5"}},
		{name: "failure", body: "x", answer: "SPAMD/1.0 76 Bad header line: x\r\n", err: "76 Bad header line"},
		{name: "another protocol", body: "x", answer: "220 mx.example.com ESMTP\r\n", err: "220 mx"},
		{name: "no verdict", body: "x", answer: "SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\n\r\n", err: "without a verdict"},
		{name: "bad verdict", body: "x", answer: "SPAMD/1.1 0 EX_OK\r\nSpam: perhaps\r\n\r\n", err: "without a verdict"},
		{name: "nothing", body: "x", err: "unexpected EOF"},
		{name: "endless", body: "x", answer: strings.Repeat("x", 2*maxAnswer), err: "EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := &Spamd{peer(t, 5*time.Second, func(c net.Conn) {
				r := bufio.NewReader(c)
				var head []string
				for {
					l, err := r.ReadString('\n')
					if err != nil || l == "\r\n" {
						break
					}
					head = append(head, strings.TrimSuffix(l, "\r\n"))
				}
				user := strings.ReplaceAll(tc.user, "\r\n", " ")
				want := "Subject: x\r\n\r\n" + tc.body
				if got := strings.Join(head, "|"); got != strings.TrimSpace("CHECK SPAMC/1.2|User: "+user)+"|Content-length: "+strconv.Itoa(len(want)) && user != "" {
					t.Errorf("head is %q", got)
				}
				body := make([]byte, len(want))
				if _, err := io.ReadFull(r, body); err != nil || string(body) != want {
					t.Errorf("body of %d octets, %v", len(body), err)
				}
				_, _ = io.WriteString(c, tc.answer)
			})}
			v, err := d.Check(t.Context(), message(tc.body), tc.user)
			if v != tc.want || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got %+v, %v", v, err)
			}
		})
	}
}

func TestSpamdTrouble(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    *Spamd
		m    container.Message
		want string
	}{
		{"hangs", &Spamd{peer(t, 50*time.Millisecond, hang)}, *message("x"), "timeout"},
		{"refuses", &Spamd{refused(t)}, *message("x"), "refused"},
		{"disk", &Spamd{peer(t, time.Second, hang)}, container.NewMessage(nil, broken{}), "disk on fire"},
		{"answers early", &Spamd{peer(t, 5*time.Second, func(c net.Conn) {
			fmt.Fprint(c, "SPAMD/1.0 69 Service Unavailable\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
			hang(c)
		})}, *message(strings.Repeat("x", 8<<20)), "69 Service Unavailable"},
	} {
		if _, err := tc.d.Check(t.Context(), &tc.m, "bob"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error is %v", tc.name, err)
		}
	}
}
