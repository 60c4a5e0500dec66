package server

import (
	"crypto/tls"
	"flag"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what the server replies into docs/differences.md")

const (
	replyTable      = "../../docs/differences.md"
	replyTableBegin = "<!-- replies:begin -->"
	replyTableEnd   = "<!-- replies:end -->"
)

// TestReplyTable holds every conversation of the tables "SMTP replies" in
// docs/differences.md and compares the last reply with the last column, "same"
// being what James replies. A block of XML has the elements of the server that the
// rows below it are about. With -update the column is written.
func TestReplyTable(t *testing.T) {
	doc, err := os.ReadFile(replyTable)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(doc), replyTableBegin)
	table, tail, ok2 := strings.Cut(rest, replyTableEnd)
	if !ok || !ok2 {
		t.Fatalf("no %s … %s in %s", replyTableBegin, replyTableEnd, replyTable)
	}
	lines := strings.Split(table, "\n")
	p := &replyPlayer{t: t}
	rows := 0
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "```xml"):
			p.server(lines[i+1:])
		case strings.HasPrefix(line, "| `"):
			lines[i] = p.row(line)
			rows++
		}
	}
	if rows < 150 {
		t.Errorf("only %d rows were found", rows)
	}
	if got := strings.Join(lines, "\n"); got != table && *update {
		if err := os.WriteFile(replyTable, []byte(head+replyTableBegin+got+replyTableEnd+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// replyPlayer holds the conversations of the rows.
type replyPlayer struct {
	t    *testing.T
	addr string // of the server of the table
}

// server starts the server of the block of XML that lines begin with.
func (p *replyPlayer) server(lines []string) {
	p.t.Helper()
	var xml strings.Builder
	for _, l := range lines {
		if l == "```" {
			break
		}
		xml.WriteString(l + "\n")
	}
	dir := p.t.TempDir()
	text := strings.TrimSpace(xml.String())
	key, cert := writeCertificate(p.t, dir, 1)
	text = strings.NewReplacer("file://conf/key.pem", "file://"+key, "file://conf/cert.pem", "file://"+cert).Replace(text)
	if lmtp, ok := strings.CutPrefix(text, "<lmtpserver>"); ok {
		p.addr = startLMTP(p.t, strings.TrimSuffix(lmtp, "</lmtpserver>")).Addrs()[0].String()
		return
	}
	smtp := strings.TrimSuffix(strings.TrimPrefix(text, "<smtpserver>"), "</smtpserver>")
	p.addr = start(p.t, smtp).Addrs()[0].String()
}

var (
	codeSpan = regexp.MustCompile("`([^`]*)`")
	repeated = regexp.MustCompile(`\{(\d+) (.)\}`)
)

// row holds the conversation of a row and returns what it should look like.
func (p *replyPlayer) row(line string) string {
	p.t.Helper()
	cells := strings.Split(strings.Trim(line, "| "), " | ")
	if len(cells) < 2 {
		p.t.Fatalf("not a row: %s", line)
	}
	if len(cells) == 2 {
		cells = append(cells, "")
	}
	james, want := cells[1], cells[2]
	if want == "same" {
		want = james
	}
	got := p.talk(cells[0], max(len(codeSpan.FindAllString(want, -1)), 1))
	if sameReplies(got, want) {
		return line
	}
	if !*update {
		p.t.Errorf("%s\n got %s\nwant %s", cells[0], got, want)
	}
	if cells[2] = got; sameReplies(got, james) {
		cells[2] = "same"
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

// sameReplies compares replies; in want, "..." at the end of one stands for
// anything.
func sameReplies(got, want string) bool {
	g, w := codeSpan.Split(got, -1), codeSpan.Split(want, -1)
	if strings.Join(g, "`") != strings.Join(w, "`") {
		return false
	}
	gs, ws := codeSpan.FindAllStringSubmatch(got, -1), codeSpan.FindAllStringSubmatch(want, -1)
	for i := range gs {
		if !matches(gs[i][1], ws[i][1]) {
			return false
		}
	}
	return true
}

// talk says the code spans of a cell, one after the other, and returns n lines of
// the reply to the last of them, and whether the server closed the connection.
func (p *replyPlayer) talk(cell string, n int) string {
	p.t.Helper()
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	c := newClient(p.t, nc)
	last := replyOf(c) // the banner
	inData := false
	spans := codeSpan.FindAllStringSubmatch(cell, -1)
	for i, s := range spans {
		text := s[1]
		if text == "" || text == "(connects)" {
			break
		}
		_, _ = io.WriteString(c.nc, spell(text)+"\r\n") // may be closed
		if strings.HasPrefix(text, "PROXY ") || inData && text != "." && i < len(spans)-1 {
			continue
		}
		last = replyOf(c)
		inData = strings.HasPrefix(last, "`354")
		if strings.HasPrefix(text, "STARTTLS") && strings.HasPrefix(last, "`220") {
			c.startTLS(&tls.Config{InsecureSkipVerify: true})
		}
	}
	for strings.Count(last, "`") < 2*n {
		next := replyOf(c)
		if next == "closed" {
			return last + ", " + next
		}
		last += " " + next
	}
	return last + p.after(c, last)
}

// after looks whether the connection is as it should be behind a reply.
func (p *replyPlayer) after(c *client, last string) string {
	if strings.HasPrefix(last, "`334") || strings.HasPrefix(last, "`354") || last == "closed" {
		return ""
	}
	_, _ = io.WriteString(c.nc, "NOOP\r\n") // may be closed
	switch next := replyOf(c); next {
	case "closed":
		return ", closed"
	case "`250 2.0.0 OK`":
		return ""
	default:
		return " " + next
	}
}

// spell expands {9000 x} and Go's escapes.
func spell(s string) string {
	s = repeated.ReplaceAllStringFunc(s, func(m string) string {
		parts := repeated.FindStringSubmatch(m)
		n, _ := strconv.Atoi(parts[1])
		return strings.Repeat(parts[2], n)
	})
	if !strings.Contains(s, `\`) {
		return s
	}
	text, err := strconv.Unquote(`"` + strings.ReplaceAll(s, `"`, `\"`) + `"`)
	if err != nil {
		return s
	}
	return text
}

// replyOf reads a reply, each line a code span.
func replyOf(c *client) string {
	var out []string
	for {
		line, err := c.br.ReadString('\n')
		if err == io.EOF || err != nil && len(out) == 0 {
			return strings.Join(append(out, "closed"), " ")
		}
		line = strings.TrimRight(line, "\r\n")
		out = append(out, "`"+line+"`")
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(out, " ")
		}
	}
}
