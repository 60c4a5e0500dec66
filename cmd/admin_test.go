package cmd

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	state := func(status string, initial, remaining int64) taskState {
		s := taskState{Type: "clear", Status: status}
		s.Info.Initial, s.Info.Remaining = initial, remaining
		return s
	}
	for _, tc := range []struct {
		state taskState
		want  string
	}{
		{state("waiting", 0, 0), "clear waiting"},
		{state("inProgress", 100, 100), "clear inProgress [                              ] 0/100"},
		{state("inProgress", 100, 75), "clear inProgress [=======                       ] 25/100, 30s left"},
		{state("completed", 100, 0), "clear completed [==============================] 100/100"},
		{state("completed", 100, -5), "clear completed [==============================] 100/100"},
		{state("\x1b[2J", 0, 0), "clear ?[2J"},
		{state("inProgress", 100, 200), "clear inProgress [                              ] 0/100"},
	} {
		if got := progress(tc.state, 10*time.Second); got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

func TestShow(t *testing.T) {
	for _, tc := range []struct {
		name, answer string
		columns      []string
		json         bool
		want         string
	}{
		{"nothing", "", nil, false, ""},
		{"texts", `["a","b"]`, nil, false, "a\nb\n"},
		{"empty list", `[]`, nil, false, ""},
		{"empty table", `[]`, []string{"name"}, false, "NAME\n"},
		{"table", `[{"name":"a","nextDelivery":null,"recipients":["x","y"]}]`, []string{"name", "nextDelivery", "recipients"}, false,
			"NAME  NEXT DELIVERY  RECIPIENTS\na     -              x y\n"},
		{"object", `{"b":1,"a":{"y":[1,2],"x":true},"c":{"d":{"e":1}}}`, nil, false, "a.x  true\na.y  1 2\nb    1\nc.d  {\"e\":1}\n"},
		{"bare text", "5\n", nil, false, "5\n"},
		{"hostile to a terminal", `["\u001b[2J\u009b1m"]`, nil, false, "?[2J?1m\n"},
		{"hostile to a reader", `["\u202egro.live\u2066\u2028x"]`, nil, false, "?gro.live??x\n"},
		{"hostile to a terminal, as JSON", "[\"\u009b1m\u007fé\"]", nil, true, "[\"\\u009b1m\\u007fé\"]\n"},
		{"hostile object", `{"\u001b":"\u0007"}`, nil, false, "?  ?\n"},
		{"json", `{"a":1}`, nil, true, "{\"a\":1}\n"},
	} {
		var out bytes.Buffer
		a := &admin{p: &program{stdout: &out}, json: tc.json}
		if err := a.show(strings.NewReader(tc.answer), tc.columns); err != nil || out.String() != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.name, out.String(), err, tc.want)
		}
	}
	a := &admin{p: &program{stdout: &bytes.Buffer{}}}
	if err := a.show(strings.NewReader(`["a"`), nil); err == nil {
		t.Error("an answer that was cut off is shown as if it were whole")
	}
}

func TestFill(t *testing.T) {
	for _, tc := range []struct {
		template string
		operands []string
		want     string
	}{
		{"/a/{0}/mails/{1}", []string{"var/mail"}, "/a/<var/mail>/mails"},
		{"/a/{0}/mails/{1}", []string{"x", "k"}, "/a/<x>/mails/<k>"},
		{"{0} {1}", []string{"{1}", "{0}"}, "<{1}> <{0}>"},
	} {
		if got := fill(tc.template, tc.operands, func(s string) string { return "<" + s + ">" }); got != tc.want {
			t.Errorf("fill %q %q: got %q, want %q", tc.template, tc.operands, got, tc.want)
		}
	}
}

// TestTableAsItComes: a table of any length is shown while it is read.
func TestTableAsItComes(t *testing.T) {
	in, out := io.Pipe()
	defer in.Close()
	shown := &countLines{enough: make(chan struct{})}
	a := &admin{p: &program{stdout: shown}}
	ended := make(chan error, 1)
	go func() { ended <- a.show(in, []string{"name", "sender"}) }()
	fmt.Fprint(out, "[")
	for i := range 3 * tablePart {
		fmt.Fprintf(out, `{"name":"mail-%d","sender":"ann@far.test"},`, i)
	}
	select {
	case <-shown.enough:
	case <-time.After(10 * time.Second):
		t.Error("nothing is shown before the end")
	}
	fmt.Fprint(out, `{}]`)
	if err := <-ended; err != nil || shown.n != 3*tablePart+2 {
		t.Errorf("got %d lines, %v", shown.n, err)
	}
}

// countLines counts lines, and tells when there are tablePart.
type countLines struct {
	n      int
	enough chan struct{}
}

func (c *countLines) Write(p []byte) (int, error) {
	before := c.n
	if c.n += bytes.Count(p, []byte("\n")); before < tablePart && c.n >= tablePart {
		close(c.enough)
	}
	return len(p), nil
}

// TestSecretsStayWithTheServer: a server that sends clients elsewhere does not get
// their password sent there.
func TestSecretsStayWithTheServer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another server got %v", r.Header)
	}))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	a := remoteAccounts{base: server.URL, secret: "secret", token: "token"}
	if err := a.call(t.Context(), "GET", "/users", nil, nil); err == nil || !strings.Contains(err.Error(), other.URL) {
		t.Errorf("got %v, want an error that says where", err)
	}
}

// TestHostileErrors: what a server says cannot command the terminal.
func TestHostileErrors(t *testing.T) {
	for _, body := range []string{"\x1b[2Jno", `{"message":"\u001b[2Jno"}`, `{"message":"no","details":"\u009b2J"}`} {
		if got := refusal(500, []byte(body)).Error(); strings.ContainsAny(got, "\x1b\u009b") || !strings.Contains(got, "no") {
			t.Errorf("%q: got %q", body, got)
		}
	}
	if got := refusal(400, []byte(`{"message":"a\nb\tc"}`)).Error(); got != "a\nb\tc" {
		t.Errorf("got %q", got)
	}
}

// TestOperandsAreThere: a variable that a script left empty is a mistake, not the
// name of something larger.
func TestOperandsAreThere(t *testing.T) {
	for _, args := range [][]string{{"repository", "remove", "var/mail/error", ""}, {"repository", "clear", ""}, {"queue", "remove", "-all", ""},
		{"queue", "remove", "spool", "-host", ""}, {"repository", "reprocess", "var/mail/error", "-sender="}} {
		var out, errs bytes.Buffer
		args = append(args, "-url", "http://127.0.0.1:1")
		if code := Run(t.Context(), args, strings.NewReader(""), &out, &errs); code != 2 || !strings.Contains(errs.String(), "empty") {
			t.Errorf("%q: got %d %s", args, code, errs.String())
		}
	}
}

// TestUnknownCertificate: who meets a certificate that nobody vouches for learns
// what to do.
func TestUnknownCertificate(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer server.Close()
	a := remoteAccounts{base: server.URL}
	if err := a.call(t.Context(), "GET", "/users", nil, nil); err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("got %v", err)
	}
}
