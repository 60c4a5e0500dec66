package mailets

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// listen answers each connection with serve; it returns the port.
func listen(t testing.TB, serve func(r *bufio.Reader, w io.Writer)) int {
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
			wg.Go(func() {
				defer c.Close()
				serve(bufio.NewReader(c), c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

// fakeClamd finds a virus where EICAR stands, and fails where ERROR does.
func fakeClamd(t testing.TB) int {
	return listen(t, func(r *bufio.Reader, w io.Writer) {
		if cmd, _ := r.ReadString(0); cmd == "zPING\x00" {
			_, _ = io.WriteString(w, "PONG\x00")
			return
		}
		var text strings.Builder
		for {
			var n uint32
			if binary.Read(r, binary.BigEndian, &n) != nil || n == 0 {
				break
			}
			_, _ = io.CopyN(&text, r, int64(n))
		}
		answer := "stream: OK\x00"
		switch {
		case strings.Contains(text.String(), "ERROR"):
			answer = "stream: trouble ERROR\x00"
		case strings.Contains(text.String(), "EICAR"):
			answer = "stream: Eicar-Test FOUND\x00"
		}
		_, _ = io.WriteString(w, answer)
	})
}

func TestClamAVScan(t *testing.T) {
	port := fakeClamd(t)
	r := testRegistry(t)
	params := fmt.Sprintf("<host>127.0.0.1</host><port>%d</port>", port)
	forged := "X-MessageIsInfected: false\r\n"
	for _, tc := range []struct {
		name, params, header, body, want string
		infected                         any
		err                              bool
	}{
		{name: "clean", body: "x", want: forged, infected: false},
		{name: "infected", body: "EICAR", want: "X-MessageIsInfected: true\r\n", infected: true},
		{name: "forged", header: forged + forged, body: "EICAR", want: "X-MessageIsInfected: true\r\n", infected: true},
		{name: "failure passes", header: forged, body: "ERROR"},
		{name: "failure stops", params: "<onFailure>error</onFailure>", header: forged, body: "ERROR", err: true},
		{name: "large", params: "<maxSize>100</maxSize>", header: forged, body: strings.Repeat("EICAR", 50)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail("bob@example.com")
			m.Message = container.NewMessage([]byte(tc.header+"Subject: x\r\n"), container.BytesBody(tc.body))
			err := mustLoad(t, r, "ClamAVScan", params+tc.params).Service(t.Context(), m, &container.Outbox{})
			if (err != nil) != tc.err {
				t.Errorf("error is %v", err)
			}
			if got := string(m.Message.Header()); got != tc.want+"Subject: x\r\n" || m.Attributes[attrInfected] != tc.infected {
				t.Errorf("header %q, attributes %v", got, m.Attributes)
			}
		})
	}
	m := testMail("bob@example.com")
	m.Set(attrInfected, true)
	serve(t, mustLoad(t, r, "ClamAVScan", params), m)
	if string(m.Message.Header()) != testHeader {
		t.Error("a scanned mail is scanned again")
	}
}

// lines is a log that hands out its lines.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestClamAVScanStart(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, tc := range []struct {
		port int
		want []string
	}{{fakeClamd(t), []string{"clamd is there"}}, {gone.Addr().(*net.TCPAddr).Port, []string{"attempt=1", "attempt=2", "attempt=3"}}} {
		log := make(lines, 10)
		s := testServices(t)
		s.Log = slog.New(slog.NewTextHandler(log, nil))
		reg := container.NewRegistry()
		Register(reg, s)
		ma := mustLoad(t, reg, "ClamAVScan", fmt.Sprintf("<host>127.0.0.1</host><port>%d</port><maxPings>3</maxPings><pingIntervalMilli>1</pingIntervalMilli>", tc.port))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ma.(container.Runner).Run(ctx) }()
		for _, want := range tc.want {
			if line := <-log; !strings.Contains(line, want) {
				t.Errorf("the log has %q, want %s", line, want)
			}
		}
		cancel()
		if err := <-done; err != nil || len(log) > 0 {
			t.Errorf("Run returns %v, %d more lines", err, len(log))
		}
	}
}

// fakeSpamd takes mail for user spam@example.com for spam, and fails for broken@example.com.
func fakeSpamd(t testing.TB, users chan<- string) int {
	return listen(t, func(r *bufio.Reader, w io.Writer) {
		var user string
		var n int
		for {
			l, err := r.ReadString('\n')
			if l = strings.TrimSpace(l); l == "" || err != nil {
				break
			}
			_, _ = fmt.Sscanf(l, "User: %s", &user)
			_, _ = fmt.Sscanf(l, "Content-length: %d", &n)
		}
		_, _ = io.CopyN(io.Discard, r, int64(n))
		users <- user
		switch user {
		case "broken@example.com":
			_, _ = io.WriteString(w, "SPAMD/1.1 75 EX_TEMPFAIL\r\n\r\n")
		case "spam@example.com":
			_, _ = io.WriteString(w, "SPAMD/1.1 0 EX_OK\r\nSpam: True ; 15.3 / 5.0\r\n\r\n")
		default:
			_, _ = io.WriteString(w, "SPAMD/1.1 0 EX_OK\r\nSpam: False ; 0.1 / 5.0\r\n\r\n")
		}
	})
}

func TestSpamAssassin(t *testing.T) {
	users := make(chan string, 10)
	port := fakeSpamd(t, users)
	params := fmt.Sprintf("<spamdHost>127.0.0.1</spamdHost><spamdPort>%d</spamdPort>", port)
	yes := []container.HeaderField{{Name: headerSpamFlag, Value: "YES"}, {Name: headerSpamStatus, Value: "Yes, hits=15.3 required=5.0"}}
	no := []container.HeaderField{{Name: headerSpamFlag, Value: "NO"}, {Name: headerSpamStatus, Value: "No, hits=0.1 required=5.0"}}
	for _, tc := range []struct {
		name, params, rcpts, asked string
		want                       map[string][]container.HeaderField
		err                        bool
	}{
		{name: "two users", rcpts: "spam@example.com bob@example.com", asked: "spam@example.com bob@example.com",
			want: map[string][]container.HeaderField{"spam@example.com": yes, "bob@example.com": no}},
		{name: "one user, twice", rcpts: "Spam@example.com spam@example.com", asked: "spam@example.com",
			want: map[string][]container.HeaderField{"spam@example.com": yes}},
		{name: "failure", rcpts: "bob@example.com broken@example.com", asked: "bob@example.com broken@example.com", err: true},
		{name: "failure passes", params: "<onFailure>continue</onFailure>", rcpts: "broken@example.com bob@example.com", asked: "broken@example.com"},
		{name: "large", params: "<maxSize>10</maxSize>", rcpts: "spam@example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := testMail(strings.Fields(tc.rcpts)...)
			ma := mustLoad(t, testRegistry(t), "SpamAssassin", params+tc.params)
			for range 2 { // a mail that comes back is marked once
				if err := ma.Service(t.Context(), m, &container.Outbox{}); (err != nil) != tc.err {
					t.Errorf("error is %v", err)
				}
				for _, want := range strings.Fields(tc.asked) {
					if got := <-users; got != want {
						t.Errorf("asked for %s, want %s", got, want)
					}
				}
			}
			if !reflect.DeepEqual(m.RecipientHeaders, tc.want) || len(users) > 0 {
				t.Errorf("headers are %v, %d questions more", m.RecipientHeaders, len(users))
			}
		})
	}
}

// fakeRspamd answers by the Deliver-To field, or by the body.
func fakeRspamd(t testing.TB) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		text := r.Header.Get("Deliver-To") + string(body)
		answer := `{"action":"no action","score":0.5,"required_score":15}`
		switch {
		case strings.Contains(text, "virus"):
			answer = `{"action":"reject","score":3,"required_score":15,"symbols":{"CLAM_VIRUS":{"options":["Eicar"]}}}`
		case strings.Contains(text, "spam"):
			answer = `{"action":"reject","score":20.25,"required_score":15}`
		case strings.Contains(text, "subject"):
			answer = `{"action":"rewrite subject","score":8,"required_score":15,"subject":"*** SPAM\r\nX: y"}`
		case strings.Contains(text, "broken"):
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestRspamdScanner(t *testing.T) {
	url := fakeRspamd(t)
	for _, tc := range []struct {
		name, params, body, state, message, status, subject string
		err                                                 bool
	}{
		{name: "ham", body: "hi", state: "root", status: "No, actions=no action score=0.5 requiredScore=15.0"},
		{name: "spam", body: "spam", state: "junk", status: "Yes, actions=reject score=20.25 requiredScore=15.0"},
		{name: "virus", body: "virus", state: "sick", message: `{"options":["Eicar"]}`, status: "Yes, actions=reject score=3.0 requiredScore=15.0"},
		{name: "subject", body: "subject", params: "<rewriteSubject>true</rewriteSubject>", state: "root", status: "Yes, actions=rewrite subject score=8.0 requiredScore=15.0", subject: "*** SPAM X: y"},
		{name: "subject kept", body: "subject", state: "root", status: "Yes, actions=rewrite subject score=8.0 requiredScore=15.0"},
		{name: "broken", body: "broken", state: "root", err: true},
		{name: "broken passes", body: "broken", params: "<onFailure>continue</onFailure>", state: "root"},
		{name: "large", body: "spam", params: "<maxSize>10</maxSize>", state: "root"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ma := mustLoad(t, testRegistry(t), "RspamdScanner", "<rspamdUrl>"+url+"</rspamdUrl><virusProcessor>sick</virusProcessor><rejectSpamProcessor>junk</rejectSpamProcessor>"+tc.params)
			m := testMail("bob@example.com", "alice@example.com")
			m.Message = container.NewMessage([]byte(testHeader), container.BytesBody(tc.body))
			m.Set(container.AttrHELO, "h\x00elo\r\nX: y")
			out := &container.Outbox{}
			if err := ma.Service(t.Context(), m, out); (err != nil) != tc.err || out.Len() > 0 {
				t.Errorf("error is %v, outbox %v", err, out.Entries())
			}
			if m.State != tc.state || m.ErrorMessage != tc.message {
				t.Errorf("state %s, error message %q", m.State, m.ErrorMessage)
			}
			for _, rcpt := range m.Recipients {
				got := m.RecipientHeaders[rcpt.Key()]
				if tc.status == "" && len(got) > 0 || tc.status != "" && (len(got) != 2 || got[1].Value != tc.status || got[0].Value != strings.ToUpper(tc.status[:strings.Index(tc.status, ",")])) {
					t.Errorf("headers of %s are %v", rcpt, got)
				}
			}
			want := testHeader
			if tc.subject != "" {
				want = strings.Replace(testHeader, "hello", tc.subject, 1)
			}
			if got := string(m.Message.Header()); got != want {
				t.Errorf("header is %q", got)
			}
		})
	}
}

func TestRspamdScannerPerUser(t *testing.T) {
	params := "<rspamdUrl>" + fakeRspamd(t) + "</rspamdUrl><perUserBayes>true</perUserBayes><virusProcessor>sick</virusProcessor>"
	m := testMail("bob@example.com", "virus@example.com", "spam@example.com", "alice@example.com")
	out := serve(t, mustLoad(t, testRegistry(t), "RspamdScanner", params+"<rejectSpamProcessor>junk</rejectSpamProcessor>"), m)
	if got := fmt.Sprint(m.Recipients); got != "[bob@example.com alice@example.com]" || m.State != "root" || m.ErrorMessage != "" {
		t.Errorf("the mail keeps %s, state %s, %q", got, m.State, m.ErrorMessage)
	}
	var got []string
	for _, e := range out.Entries() {
		status := e.Mail.RecipientHeaders[e.Mail.Recipients[0].Key()][1].Value
		got = append(got, fmt.Sprint(e.Mail.Recipients, e.Mail.State, e.Mail.ErrorMessage, status[:3]))
	}
	if want := `[virus@example.com]sick{"options":["Eicar"]}Yes|[spam@example.com]junkYes`; strings.Join(got, "|") != want {
		t.Errorf("outbox has %s", strings.Join(got, "|"))
	}
	m = testMail("spam@example.com", "bob@example.com", "broken@example.com")
	out = &container.Outbox{}
	err := mustLoad(t, testRegistry(t), "RspamdScanner", params).Service(t.Context(), m, out)
	if err == nil || out.Len() > 0 || len(m.Recipients) != 3 || m.RecipientHeaders != nil {
		t.Errorf("after an error %v: outbox %v, recipients %v, headers %v", err, out.Entries(), m.Recipients, m.RecipientHeaders)
	}
}

func TestScannerFiles(t *testing.T) {
	users := make(chan string, 1)
	files := map[string]string{
		"file://conf/rspamd.properties":       "rspamdUrl = " + fakeRspamd(t) + "\nrspamdPassword=a,b\nrspamdTimeout=20\nperUserBayes=false\n",
		"file://conf/spamassassin.properties": fmt.Sprintf("spamassassin.host=127.0.0.1\nspamassassin.port=%d\n", fakeSpamd(t, users)),
	}
	s := testServices(t)
	s.ReadFile = func(url string) ([]byte, error) {
		if text, ok := files[url]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
	r := container.NewRegistry()
	Register(r, s)
	for class, header := range map[string]string{"RspamdScanner": headerRspamdFlag, "SpamAssassin": headerSpamFlag} {
		m := testMail("bob@example.com")
		serve(t, mustLoad(t, r, class, ""), m)
		if got := m.RecipientHeaders["bob@example.com"]; len(got) != 2 || got[0].Name != header {
			t.Errorf("%s: headers are %v", class, got)
		}
	}
	files["file://conf/rspamd.properties"] = "rspamdUrl=http://x\nperUserBayes=perhaps\nrspamdTimeout=soon\n"
	if _, problems := load(t, r, "RspamdScanner", ""); len(problems) != 2 || !strings.Contains(strings.Join(problems, "\n"), "rspamd.properties:2") {
		t.Errorf("got %v", problems)
	}
	s.ReadFile = func(string) ([]byte, error) { return nil, fs.ErrPermission }
	r = container.NewRegistry()
	Register(r, s)
	if _, problems := load(t, r, "SpamAssassin", ""); len(problems) != 1 || !strings.Contains(problems[0], "spamassassin.properties: permission denied") {
		t.Errorf("got %v", problems)
	}
}

func TestScannerParameters(t *testing.T) {
	for _, tc := range []struct{ class, params, want string }{
		{"ClamAVScan", "<port>0</port>", "error: <port>: 0 is no port"},
		{"ClamAVScan", "<port>x</port>", "error: <port> is"},
		{"ClamAVScan", "<socketTimeout>0</socketTimeout>", "error: <socketTimeout>: want"},
		{"ClamAVScan", "<streamBufferSize>-1</streamBufferSize>", "warning: <streamBufferSize> is"},
		{"ClamAVScan", "<maxSize>big</maxSize>", "error: <maxSize>"},
		{"ClamAVScan", "<onFailure>panic</onFailure>", "error: <onFailure>: want"},
		{"ClamAVScan", "<hots>x</hots>", "error: <hots> is not a parameter"},
		{"SpamAssassin", "<spamdPort>70000</spamdPort>", "error: <spamdPort>: 70000"},
		{"SpamAssassin", "<timeout>never</timeout>", "error: <timeout>: "},
		{"RspamdScanner", "", "error: RspamdScanner: <rspamdUrl> is required"},
		{"RspamdScanner", "<rspamdUrl>localhost</rspamdUrl>", "error: <rspamdUrl>: "},
		{"RspamdScanner", "<rspamdUrl>http://x</rspamdUrl><rspamdTimeout>0</rspamdTimeout>", "error: <rspamdTimeout>: want"},
		{"RspamdScanner", "<rspamdUrl>http://x</rspamdUrl><perUserBayes>x</perUserBayes>", "warning: <perUserBayes> is"},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
	ma := mustLoad(t, testRegistry(t), "RspamdScanner", "<rspamdUrl>http://x</rspamdUrl><virusProcessor>v</virusProcessor>")
	if got := fmt.Sprint(ma.(container.StateReferrer).ReferredStates()); got != "[v]" {
		t.Errorf("referred states are %s", got)
	}
}
