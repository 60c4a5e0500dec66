package remote

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// script is what a peer does. Replies are by command word; "." has the replies
// to the message, in order.
type script struct {
	ext     string              // lines behind LHLO, separated by blanks
	reply   map[string][]string // used up from the front; the last one stays
	hangAt  string              // never answers this command
	closeAt string              // closes instead of answering
}

// lmtpPeer is a scripted LMTP server for one test.
type lmtpPeer struct {
	script

	mu       sync.Mutex
	commands []string
	data     string
}

func (p *lmtpPeer) next(word, def string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.reply[word]
	if len(list) == 0 {
		return def
	}
	if len(list) > 1 {
		p.reply[word] = list[1:]
	}
	return list[0]
}

// listen starts the peer and returns its address; it ends with the test.
func (p *lmtpPeer) listen(t *testing.T, network string) string {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "lmtp")
	}
	l, err := net.Listen(network, addr)
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
				p.session(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func (p *lmtpPeer) session(c net.Conn) {
	r := bufio.NewReader(c)
	fmt.Fprintf(c, "%s\r\n", p.next("CONNECT", "220 store LMTP"))
	rcpts := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		word := strings.ToUpper(strings.Fields(line + " ?")[0])
		p.mu.Lock()
		p.commands = append(p.commands, line)
		p.mu.Unlock()
		switch word {
		case p.hangAt:
			_, _ = io.Copy(io.Discard, r)
			return
		case p.closeAt:
			return
		}
		rep := p.next(word, "250 2.0.0 ok")
		switch word {
		case "LHLO":
			for _, e := range strings.Fields(p.ext) {
				fmt.Fprintf(c, "250-%s\r\n", e)
			}
		case "RCPT":
			if rep[0] == '2' {
				rcpts++
			}
		case "DATA":
			if rep = p.next(word, "354 go"); rep[0] == '3' {
				fmt.Fprintf(c, "%s\r\n", rep)
				if !p.message(c, r, rcpts) {
					return
				}
				rcpts = 0
				continue
			}
		}
		fmt.Fprintf(c, "%s\r\n", rep)
		if word == "QUIT" {
			return
		}
	}
}

// message reads a message and answers for each recipient.
func (p *lmtpPeer) message(c net.Conn, r *bufio.Reader, rcpts int) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	p.mu.Lock()
	p.data = b.String()
	p.mu.Unlock()
	for range rcpts {
		switch rep := p.next(".", "250 2.0.0 stored"); rep {
		case "close":
			return false
		case "hang":
			_, _ = io.Copy(io.Discard, r)
			return false
		default:
			fmt.Fprintf(c, "%s\r\n", rep)
		}
	}
	return true
}

func lmtpMail(rcpts ...string) *container.Mail {
	var list []container.Address
	for _, r := range rcpts {
		list = append(list, container.MustAddress(r+"@example.com"))
	}
	return container.NewMail(container.MustAddress("sender@example.org"), list,
		container.ParseMessage([]byte("Subject: x\r\n\r\n.dot\r\nlast\r\n")))
}

func lmtpClient(t *testing.T, addr string, timeout time.Duration) *LMTP {
	t.Helper()
	l, err := NewLMTP(LMTPConfig{Address: addr, Hello: "mx.example.com", Timeout: timeout, ConnectTimeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// results describes outcomes: result, status and code.
func results(list []container.Outcome) string {
	var out []string
	for _, o := range list {
		out = append(out, fmt.Sprintf("%s %s %d", o.Result, o.Enhanced, o.Code))
	}
	return strings.Join(out, ", ")
}

func TestLMTP(t *testing.T) {
	const ok = "delivered 2.0.0 250"
	for _, tc := range []struct {
		name  string
		peer  script
		want  string // for the recipients a, b, c
		short bool   // the peer says nothing until the time is up
	}{
		{name: "good", want: ok + ", " + ok + ", " + ok},
		{name: "pipelining", peer: script{ext: "PIPELINING 8BITMIME SIZE"}, want: ok + ", " + ok + ", " + ok},
		{name: "each its own reply", peer: script{ext: "PIPELINING", reply: map[string][]string{".": {"250 2.1.5 one", "452 4.2.2 full", "550 5.7.1 virus"}}},
			want: "delivered 2.1.5 250, deferred 4.2.2 452, failed 5.7.1 550"},
		{name: "one unknown", peer: script{ext: "PIPELINING", reply: map[string][]string{"RCPT": {"250 ok", "550 5.1.1 nobody", "250 ok"}, ".": {"250 one", "451 4.3.0 three"}}},
			want: "delivered 2.0.0 250, failed 5.1.1 550, deferred 4.3.0 451"},
		{name: "none known", peer: script{reply: map[string][]string{"RCPT": {"550 nobody"}}}, want: "failed 5.1.1 550, failed 5.1.1 550, failed 5.1.1 550"},
		{name: "none known, pipelining", peer: script{ext: "PIPELINING", reply: map[string][]string{"RCPT": {"550 nobody"}, "DATA": {"503 5.5.1 no"}}},
			want: "failed 5.1.1 550, failed 5.1.1 550, failed 5.1.1 550"},
		{name: "too many", peer: script{reply: map[string][]string{"RCPT": {"250 ok", "452 4.5.3 enough", "452 4.5.3 enough"}}},
			want: ok + ", deferred 4.5.3 452, deferred 4.5.3 452"},
		{name: "greeting", peer: script{reply: map[string][]string{"CONNECT": {"554 5.3.2 away"}}}, want: three("deferred 5.3.2 554")},
		{name: "SMTP", peer: script{reply: map[string][]string{"LHLO": {"500 5.5.1 what"}}}, want: three("deferred 4.3.5 500")},
		{name: "sender refused", peer: script{reply: map[string][]string{"MAIL": {"550 5.7.1 not you"}}}, want: three("failed 5.7.1 550")},
		{name: "data refused", peer: script{reply: map[string][]string{"DATA": {"451 4.3.0 later"}}}, want: three("deferred 4.3.0 451")},
		{name: "shutting down", peer: script{reply: map[string][]string{"RCPT": {"250 ok", "421 4.3.2 bye"}}}, want: three("deferred 4.3.2 421")},
		{name: "closes at RCPT", peer: script{closeAt: "RCPT"}, want: three("deferred 4.4.2 0")},
		{name: "closes behind the first reply", peer: script{reply: map[string][]string{".": {"250 2.0.0 one", "close"}}},
			want: ok + ", deferred 4.4.2 0, deferred 4.4.2 0"},
		{name: "talks nonsense", peer: script{reply: map[string][]string{".": {"250 2.0.0 one", "hello"}}}, want: ok + ", deferred 4.5.0 0, deferred 4.5.0 0"},
		{name: "hangs at MAIL", peer: script{hangAt: "MAIL"}, want: three("deferred 4.4.2 0"), short: true},
		{name: "hangs behind the first reply", peer: script{reply: map[string][]string{".": {"250 2.0.0 one", "hang"}}},
			want: ok + ", deferred 4.4.2 0, deferred 4.4.2 0", short: true},
	} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(tc.name+" over "+network, func(t *testing.T) {
				peer := &lmtpPeer{script: tc.peer}
				peer.reply = maps.Clone(tc.peer.reply)
				timeout := 20 * time.Second
				if tc.short {
					timeout = 200 * time.Millisecond
				}
				l := lmtpClient(t, peer.listen(t, network), timeout)
				m := lmtpMail("a", "b", "c")
				got := l.Deliver(t.Context(), m, m.Recipients)
				if results(got) != tc.want {
					t.Errorf("got %+v\nas   %s\nwant %s", got, results(got), tc.want)
				}
				if got[0].Host == "" || (got[0].Addr == "127.0.0.1") != (network == "tcp") || network == "unix" && got[0].Addr != "" {
					t.Errorf("host %q, address %q", got[0].Host, got[0].Addr)
				}
			})
		}
	}
}

func three(s string) string { return s + ", " + s + ", " + s }

// What the server sees.
func TestLMTPConversation(t *testing.T) {
	peer := &lmtpPeer{script: script{ext: "PIPELINING 8BITMIME SIZE DSN"}}
	l := lmtpClient(t, peer.listen(t, "unix"), 20*time.Second)
	m := lmtpMail("a", "b")
	m.Sender = container.Address{}
	m.Set(container.AttrRequireTLS, true) // nothing is relayed here
	m.Set(container.AttrDSNNotify, map[string]container.Value{"b@example.com": "NEVER"})
	if got := l.Deliver(t.Context(), m, m.Recipients[1:]); results(got) != "delivered 2.0.0 250" || !got[0].DSN {
		t.Errorf("got %+v", got)
	}
	peer.mu.Lock()
	defer peer.mu.Unlock()
	want := "LHLO mx.example.com|MAIL FROM:<> SIZE=26|RCPT TO:<b@example.com> NOTIFY=NEVER|DATA"
	if got := strings.Join(peer.commands[:4], "|"); got != want {
		t.Errorf("said %s\nwant %s", got, want)
	}
	if peer.data != "Subject: x\r\n\r\n.dot\r\nlast\r\n" {
		t.Errorf("data %q", peer.data)
	}
}

func TestLMTPUnreachable(t *testing.T) {
	for _, addr := range []string{filepath.Join(t.TempDir(), "none"), "127.0.0.1:1"} {
		m := lmtpMail("a")
		got := lmtpClient(t, addr, 20*time.Second).Deliver(t.Context(), m, m.Recipients)
		if results(got) != "deferred 4.4.1 0" || got[0].Host == "" || strings.Contains(got[0].Text, addr) {
			t.Errorf("%s: got %+v", addr, got)
		}
	}
}

func TestNewLMTP(t *testing.T) {
	for addr, want := range map[string]string{
		"/run/dovecot/lmtp": "unix /run/dovecot/lmtp true", "unix:/x": "unix /x true", "store.test": "tcp store.test:24 false",
		"127.0.0.1:2424": "tcp 127.0.0.1:2424 true", "[::1]:24": "tcp [::1]:24 true", "localhost": "tcp localhost:24 true",
		"unix:x": "", "": "", "a b": "", "host:x": "",
	} {
		l, err := NewLMTP(LMTPConfig{Address: addr})
		switch {
		case err != nil && want == "":
		case err != nil:
			t.Errorf("%s: %v", addr, err)
		default:
			if got := fmt.Sprintf("%s %s %t", l.network, l.addr, l.near); got != want {
				t.Errorf("%s: got %s, want %s", addr, got, want)
			}
		}
	}
}
