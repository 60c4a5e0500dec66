package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/throttle"
)

// scripted is the server's side of a connection whose client says what it has to
// say in pieces, whatever the replies are.
type scripted struct {
	pieces [][]byte
	out    bytes.Buffer

	secret [][]byte // pieces to say under TLS, when the server is ready for it
	pipe   net.Conn // then
	under  bytes.Buffer
	client sync.WaitGroup
}

const readyForTLS = "220 2.0.0 Ready to start TLS\r\n"

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.pieces) > 0 {
		n := copy(p, s.pieces[0])
		if s.pieces[0] = s.pieces[0][n:]; len(s.pieces[0]) == 0 {
			s.pieces = s.pieces[1:]
		}
		return n, nil
	}
	if s.pipe == nil {
		if s.secret == nil || !bytes.HasSuffix(s.out.Bytes(), []byte(readyForTLS)) {
			return 0, io.EOF
		}
		var client net.Conn
		s.pipe, client = net.Pipe()
		_ = client.SetDeadline(time.Now().Add(patience))
		s.client.Go(func() { s.speakTLS(tls.Client(client, &tls.Config{InsecureSkipVerify: true})) })
	}
	return s.pipe.Read(p)
}

// speakTLS says the rest and collects the replies.
func (s *scripted) speakTLS(c *tls.Conn) {
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(&s.under, c) })
	for _, p := range s.secret {
		if _, err := c.Write(p); err != nil {
			break
		}
	}
	_ = c.CloseWrite()
	reader.Wait()
}

func (s *scripted) Write(p []byte) (int, error) {
	if s.pipe != nil {
		return s.pipe.Write(p)
	}
	return s.out.Write(p)
}

func (s *scripted) Close() error {
	if s.pipe != nil {
		return s.pipe.Close()
	}
	return nil
}

func (s *scripted) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }
func (s *scripted) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1025} }
func (s *scripted) SetDeadline(time.Time) error      { return nil }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// cut makes pieces of size n.
func cut(data []byte, n int) [][]byte {
	var out [][]byte
	for len(data) > 0 {
		m := min(n, len(data))
		out, data = append(out, data[:m:m]), data[m:]
	}
	return out
}

// stage is the servers that conversations are held with: SMTP, SMTP with STARTTLS,
// LMTP.
type stage [3]*harness

const stageLimits = `<maxLineLength>1000</maxLineLength><maxmessagesize>4096B</maxmessagesize><limits><errors>0</errors></limits>` // in LMTP lines have 8192

func newStage(t testing.TB) *stage {
	t.Helper()
	dir := t.TempDir()
	const smtp = stageLimits + `<authorizedAddresses>127.0.0.0/8</authorizedAddresses>
		<auth><announce>always</announce><failures><perAddress>0</perAddress><perUser>0</perUser></failures></auth>`
	lmtp, r := buildLMTP(t, `<lmtpservers><lmtpserver><bind>127.0.0.1:0</bind>`+strings.Replace(stageLimits, "4096B", "4", 1)+lmtpContainerChain+`</handlerchain></lmtpserver></lmtpservers>`)
	if r.HasErrors() {
		t.Fatal(r.Problems())
	}
	s := &stage{nil, nil, lmtp.harness}
	for i, more := range []string{"", tlsXML(t, dir, "startTLS")} {
		if s[i], r = build(t, smtpserverXML(smtp+more), nil, Options{}); r.HasErrors() {
			t.Fatal(r.Problems())
		}
	}
	return s
}

// play holds a conversation and lets the model judge it. The lowest bits of mode
// choose the server; with the next one, what follows the first STARTTLS line is
// said under TLS.
func (s *stage) play(data []byte, size int, mode byte) error {
	h := s[int(mode&3)%len(s)]
	size = 1 + size&0xfff
	segments := [][]byte{data}
	conn := &scripted{}
	if i := bytes.Index(data, []byte("STARTTLS\r\n")); mode&4 != 0 && i >= 0 {
		i += len("STARTTLS\r\n")
		segments = [][]byte{data[:i], data[i:]}
		conn.secret = append(cut(data[i:], size), []byte{})
	}
	conn.pieces = cut(segments[0], size)

	h.queue.mu.Lock()
	h.queue.mails = nil
	h.queue.mu.Unlock()
	h.limiter = throttle.New(nil)
	e := h.endpoints[0]
	newConn(e, conn, netip.AddrFrom4([4]byte{127, 0, 0, 1})).serve(context.Background())
	conn.client.Wait()

	m := &model{segments: segments, lmtp: e.cfg.LMTP, longest: e.cfg.MaxLineLength, startTLS: e.cfg.TLS != nil && e.cfg.TLS.StartTLS}
	for _, b := range [][]byte{conn.out.Bytes(), conn.under.Bytes()} {
		replies, err := parseReplies(b)
		if err != nil {
			return err
		}
		m.replies = append(m.replies, replies...)
	}
	for _, mail := range h.queue.all() {
		got := modelMail{sender: mail.Sender.Path()}
		for _, r := range mail.Recipients {
			got.rcpts = append(got.rcpts, r.Path())
		}
		header, body := string(mail.Message.Header()), string(mail.Message.Body().(container.BytesBody))
		own := receivedField.FindString(header)
		if own == "" || strings.Contains(own, "\n\r") {
			return fmt.Errorf("no Received field in %q", header)
		}
		got.header, got.body = header[len(own):], body
		m.mails = append(m.mails, got)
	}
	return m.check()
}

// parseReplies reads what the server said: every line is one of a reply, and no
// line has a control character. A TLS alert ends it.
func parseReplies(b []byte) ([]modelReply, error) {
	var out []modelReply
	open := 0
	for len(b) > 0 && b[0] != 0x15 {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok || len(line) < 4 || bytes.ContainsAny(line, "\r\n\x00\x7f") || len(line) > 2000 {
			return nil, fmt.Errorf("not a line of a reply: %q", line)
		}
		b = rest
		code := 0
		if _, err := fmt.Sscanf(string(line[:3]), "%3d", &code); err != nil || code < 200 || code > 599 || line[3] != ' ' && line[3] != '-' || open != 0 && open != code {
			return nil, fmt.Errorf("not a line of a reply: %q", line)
		}
		if open = code; line[3] == ' ' {
			out = append(out, modelReply{code, string(line[4:])})
			open = 0
		}
	}
	return out, nil
}

// words are what conversations are made of: commands in and out of place, good and
// bad messages, and every way to hide one message in another.
// The first ones are whole mails.
var words = strings.Split(strings.TrimSpace(strings.ReplaceAll(`EHLO client.test~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~DATA~Subject: x~~hello~.~|LHLO client.test~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~RCPT TO:<alice@here.test>~DATA~Subject: x~~..hello~.~
RSET~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~DATA~.~|RSET~MAIL FROM:<>~RCPT TO:<bob@here.test>~BDAT 15~A: b~~hello~BDAT 7 LAST~there~|RSET~MAIL FROM:<bob@here.test>~RCPT TO:<alice@here.test>~RCPT TO:<bob@here.test>~BDAT 15 LAST~A: b~~QUIT .~
EHLO client.test~|HELO x~|LHLO x~|EHLO~|HELO sub..bad~|helo x ~| EHLO x~
MAIL FROM:<a@far.test>~|MAIL FROM:<>~|mail from: <bob@here.test>~|MAIL FROM:<evil@far.test>~|MAIL FROM:<a@far.test> BODY=8BITMIME SIZE=9~|MAIL FROM:<a@far.test> SIZE=9999999~|MAIL FROM:a@far.test~|MAIL FROM:<"a>b"@far.test>~|MAIL FROM:<bob~|MAIL~
RCPT TO:<bob@here.test>~|RCPT TO:<alice@here.test>~|RCPT TO:<bob@here.test>~RCPT TO:<carol@here.test>~|RCPT TO:<postmaster>~|RCPT TO:<x@far.test>~|RCPT TO:<bob@here.test> FOO=1~|RCPT TO:<a"b@here.test>~|RCPT TO:<failing@here.test>~|RCPT~
DATA~|DATA~|DATA~|data ~|DATA x~|BDAT 0~|BDAT 0 LAST~|BDAT 5~|BDAT 5 LAST~|BDAT 26 LAST~|BDAT 26~|bdat 7 last~|BDAT 99999999~|BDAT~|BDAT x~|BDAT 5 5~|BDAT -1~
RSET~|RSET~|RSET x~|NOOP~|NOOP x~|VRFY bob~|EXPN x~|HELP~|QUIT~|QUIT x~|FOO~|~| ~|RSET~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~DATA~
EHLO client.test~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~DATA~|LHLO client.test~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~RCPT TO:<alice@here.test>~DATA~|EHLO c~MAIL FROM:<a@far.test>~RCPT TO:<bob@here.test>~
Subject: x~~hello~.~|Subject: x~~hello~.~|.~|~.~|..~|.MAIL FROM:<evil@far.test>~|To: x~ folded~|Received: from x by y; z~|hello~|a~.b~
^.^|^.~|§.§|~.^|~.§|~§.~|^^.~~|§~.~|§§.~|^|§|~^.~|^.^MAIL FROM:<evil@far.test>^RCPT TO:<bob@here.test>^DATA^|^.~MAIL FROM:<evil@far.test>~RCPT TO:<bob@here.test>~DATA~|~.§MAIL FROM:<evil@far.test>~RCPT TO:<bob@here.test>~DATA~hi~.~
¤|¤.~|~¤.~|~.¤~|.¤~|ÿ|ſ|RſET~|QUıT~|ſTARTTLS~|BDAT 5 LAſT~|NOOP`+"\u00a0"+`x~|BDAT`+"\u00a0"+`5~
STARTTLS~|STARTTLS~|starttls~|STARTTLS x~|STARTTLSX~|STARTTLS~NOOP~|STARTTLS^|STARTTLS
AUTH PLAIN AGJvYkBoZXJlLnRlc3QAc2VjcmV0~|AUTH PLAIN~|AGJvYkBoZXJlLnRlc3QAc2VjcmV0~|AUTH LOGIN~|Ym9iQGhlcmUudGVzdA==~|c2VjcmV0~|AUTH PLAIN AGJvYkBoZXJlLnRlc3QAd3Jvbmc=~|AUTH LOGIN Ym9iQGhlcmUudGVzdA==~|*~|AUTH~|AUTH FOO~|AUTH PLAIN !~|AUTH PLAIN =~|=~
LONG~|LONG|NOOP LONG~|LONGLONGLONG~|LONGLONGLONGLONGLONGLONGLONGLONGLONGLONGLONGLONGLONG~
`, "\n", "|")), "|")

const wholeMails = 5

// binaryWords are messages with BODY=BINARYMIME.
var binaryWords = func() (out []string) {
	const binary, part = "Content-Type: x/y~Content-Transfer-Encoding: binary~~", "~--b~"
	const multipart = "MIME-Version: 1.0~Content-Type: multipart/mixed; boundary=b~Content-Transfer-Encoding: binary~"
	for _, text := range []string{
		binary + "¤§^~.~ÿ", "Content-Transfer-Encoding: binary~~te^xt =§~.~MAIL FROM:<evil@far.test>~", binary + "LONGLONG",
		binary, "Subject: x~~hel^lo", "Subject: x~~hello", "Subject: x~^" + binary + "x", "Sub§ject: x~" + binary,
		multipart + part + binary + "^--b^~.~¤" + part + "~text" + part + "Content-Transfer-Encoding: binary~~x ~--b--~after",
		multipart + part + binary + "¤" + part + "~te§xt~--b--", multipart + part + binary + "¤~--b--~^", multipart + part + binary + "x~--b^~.~--b~~--b--~",
		multipart + part + "Content-Type: message/rfc822~Content-Transfer-Encoding: binary~~" + binary + "¤^" + part + binary + "x", "Content-Type: multipart/mixed~~",
	} {
		octets := len(spelled.Replace(text))
		begin := "RSET~MAIL FROM:<a@far.test> BODY=BINARYMIME~RCPT TO:<bob@here.test>~"
		out = append(out, begin+fmt.Sprintf("BDAT %d LAST~%s", octets, text), begin+fmt.Sprintf("BDAT %d~%sBDAT 0 LAST~", octets, text))
	}
	return append(out, "MAIL FROM:<a@far.test> BODY=BINARYMIME~", "RSET~MAIL FROM:<> body=binarymime~RCPT TO:<bob@here.test>~DATA~")
}()

var spelled = strings.NewReplacer("~", "\r\n", "^", "\n", "§", "\r", "¤", "\x00", "ÿ", "\xff", "LONG", strings.Repeat("x", 990))

// compose makes a conversation of words; the octet 255 stands for the following
// two, as they are.
func compose(program []byte) []byte {
	var out []byte
	for i := 0; i < len(program); i++ {
		if program[i] == 255 && i+2 < len(program) {
			out = append(out, program[i+1:i+3]...)
			i += 2
			continue
		}
		n := int(program[i]) % (len(words) + len(binaryWords))
		if n < len(words) {
			out = append(out, spelled.Replace(words[n])...)
		} else {
			out = append(out, spelled.Replace(binaryWords[n-len(words)])...)
		}
	}
	return out
}

// TestConversations: see FuzzWords. Every run of the tests holds some thousands.
func TestConversations(t *testing.T) {
	s := newStage(t)
	rnd := rand.New(rand.NewPCG(7, 9))
	accepted := 0
	for i := range 2000 {
		program := make([]byte, 1+rnd.IntN(40))
		for j := range program {
			switch program[j] = byte(rnd.IntN(len(words))); rnd.IntN(8) {
			case 0, 1, 2, 3:
				program[j] %= wholeMails
			case 4:
				program[j] = byte(len(words) + rnd.IntN(len(binaryWords)))
			}
		}
		data, size, mode := compose(program), rnd.IntN(60), byte(rnd.IntN(8))
		if i%3 == 0 {
			size = 4000
		}
		if mode == 5 {
			clear := []string{"", "EHLO x\r\n", "EHLO x\r\nMAIL FROM:<evil@far.test>\r\n", "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<evil@far.test>\r\nBDAT 1\r\nx"}[rnd.IntN(4)]
			data = slices.Concat([]byte(clear), []byte("STARTTLS\r\n"), data)
		}
		if err := s.play(data, size, mode); err != nil {
			t.Fatalf("conversation %d: %v\n%q\nin pieces of %d, mode %d", i, err, data, 1+size&0xfff, mode)
		}
		accepted += len(s[int(mode&3)%len(s)].queue.all())
	}
	if accepted < 1500 {
		t.Errorf("only %d mails were accepted: nothing was tried", accepted)
	}
}

// FuzzWords: whatever a client says, what is accepted is what a strict reading of
// the standards gives (see model), in SMTP and in LMTP, with and without TLS.
// Conversations are made of words.
func FuzzWords(f *testing.F) {
	for i := range words {
		f.Add([]byte{0, 7, 17, 26, byte(i), byte(i + 1)}, i, byte(i))
	}
	s := newStage(f)
	f.Fuzz(func(t *testing.T, program []byte, size int, mode byte) {
		if data := compose(program[:min(len(program), 64)]); len(data) < 64<<10 {
			if err := s.play(data, size, mode); err != nil {
				t.Errorf("%v\n%q", err, data)
			}
		}
	})
}

// FuzzOctets is FuzzWords with any octets.
func FuzzOctets(f *testing.F) {
	const head, hidden = "MAIL FROM:<a@far.test>\r\nRCPT TO:<bob@here.test>\r\nDATA\r\nSubject: x\r\n\r\nbody", "MAIL FROM:<evil@far.test>\r\nRCPT TO:<alice@here.test>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n"
	for i, end := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\r\n\x00.\r\n", "\r\n.\x00\r\n", "\n\n.\r\n", "\r\r\n.\r\n", "\r\n.\r\n", "\r\n..\r\n", "\r\n.\r\r\n"} {
		f.Add([]byte("EHLO x\r\n"+head+end+hidden), i, byte(0))
		f.Add([]byte("LHLO x\r\n"+head+end+hidden), 4000, byte(2))
	}
	f.Add([]byte("EHLO x\r\nSTARTTLS\r\nEHLO x\r\n"+head+"\r\n.\r\n"), 4000, byte(5))
	f.Add([]byte("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@here.test>\r\nBDAT 9\r\na: b\r\n.\r\nBDAT 3 LAST\r\n.\r\nQUIT\r\n"), 3, byte(0))
	for i := 0; i < len(binaryWords)-2; i += 2 {
		for mode := range byte(3) {
			f.Add([]byte("EHLO x\r\nLHLO x\r\n"+spelled.Replace(binaryWords[i])), 1+40*i, mode)
		}
	}
	f.Add([]byte("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<bob@here.test\v>\r\nRCPT TO:<bob@here.test\u00a0>\r\nBDAT 0 LAST\r\n"), 4000, byte(0))
	f.Add([]byte("EHLO x\r\nAUTH LOGIN\r\nMAIL FROM:<>\r\n*\r\nRCPT TO:<bob@here.test>\r\n"), 3, byte(0))
	s := newStage(f)
	f.Fuzz(func(t *testing.T, data []byte, size int, mode byte) {
		if len(data) < 64<<10 {
			if err := s.play(data, size, mode); err != nil {
				t.Error(err)
			}
		}
	})
}
