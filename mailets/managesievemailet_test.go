package mailets

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/mime"
)

// manageRig is a ManageSieveMailet over a store in memory, with a web server for
// its help, which counts its requests.
func manageRig(t *testing.T, params string) (*ManageSieveMailet, *localtest.Said, *int) {
	t.Helper()
	reads := 0
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reads++; r.URL.Path != "/help" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte("Send commands.\n"))
	}))
	t.Cleanup(web.Close)
	said := &localtest.Said{}
	s := testServices(t)
	s.Sieve = said
	r := container.NewRegistry()
	Register(r, s)
	m, ok := mustLoad(t, r, "managesieve.ManageSieveMailet", strings.ReplaceAll(params, "WEB", web.URL)).(*ManageSieveMailet)
	if !ok {
		t.Fatal("no ManageSieveMailet")
	}
	return m, said, &reads
}

const manageParams = "<helpURL>WEB/help</helpURL>"

// command is a mail of an authenticated user with a command, and a script unless
// it is "".
func command(user, sender, subject, script string) *container.Mail {
	head := "From: " + sender + "\r\nTo: sieve@example.com\r\nSubject: " + subject + "\r\nMessage-ID: <1@example.com>\r\n"
	body := "\r\n"
	if script != "" {
		body = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b\r\nContent-Type: application/octet-stream; name=\"x.Sieve\"\r\n" +
			"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + script + "\r\n--b--\r\n"
	}
	m := container.NewMail(container.MustAddress(sender), []container.Address{container.MustAddress("sieve@example.com")}, container.ParseMessage([]byte(head+body)))
	if user != "" {
		m.Set(container.AttrSMTPAuthUser, user)
	}
	return m
}

// ask hands a command in and returns the text of the answer; "" for none.
func ask(t *testing.T, s *ManageSieveMailet, m *container.Mail) string {
	t.Helper()
	out := serve(t, s, m)
	if out.Len() == 0 {
		if m.State == container.StateGhost {
			t.Error("a mail ended without an answer")
		}
		return ""
	}
	answer := out.Entries()[0].Mail
	if m.State != container.StateGhost || !answer.Sender.IsNull() || !answer.Recipients[0].Equal(m.Sender) {
		t.Errorf("state %s, answer from %q to %v", m.State, answer.Sender, answer.Recipients)
	}
	if from, _ := mime.Get(answer.Message.Header(), "From"); from != "sieve@example.com" {
		t.Errorf("answer From: %s", from)
	}
	text, err := mime.PlainText(&answer.Message, 10000)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(text, "\r\n")
}

func TestManageSieveMailet(t *testing.T) {
	s, said, _ := manageRig(t, manageParams)
	const bob = "bob@example.com"
	for _, tc := range []struct{ user, sender, subject, script, want string }{
		{bob, bob, `PUTSCRIPT "main"`, "discard;=0D=0Akeep;", "OK"},
		{bob, "Bob@Example.com", "SETACTIVE main", "", "OK"},
		{bob, bob, "GETSCRIPT main", "", "{15}\r\ndiscard;\r\nkeep;\r\nOK"},
		{bob, bob, "CHECKSCRIPT", "frobnicate;", "NO \"Syntax Error: "},
		{bob, bob, "PUTSCRIPT x", "", `NO "There is no script with the command"`},
		{bob, bob, "help me", "", "Send commands."},
		{"", bob, "GETSCRIPT main", "", `NO "Authenticate first"`},
		{bob, "alice@example.com", "LISTSCRIPTS", "", `NO "Authenticate first"`}, // an authenticated user with the address of another one
		{"alice@example.com", bob, "GETSCRIPT main", "", `NO "Authenticate first"`},
		{"alice@example.com", "alice@example.com", "LISTSCRIPTS", "", "OK"},
		{bob, "bob@far.test", "LISTSCRIPTS", "", ""},
	} {
		if got := ask(t, s, command(tc.user, tc.sender, tc.subject, tc.script)); got != tc.want && (!strings.HasPrefix(tc.want, "NO \"S") || !strings.HasPrefix(got, tc.want)) {
			t.Errorf("%s by %q from %s\ngot  %q\nwant %q", tc.subject, tc.user, tc.sender, got, tc.want)
		}
	}
	if _, text, err := said.ActiveSieveScript(t.Context(), bob); string(text) != "discard;\r\nkeep;" || err != nil {
		t.Errorf("active script: got %q, %v", text, err)
	}
	m := command(bob, bob, "LISTSCRIPTS", "")
	m.Message.SetHeader(mime.Add(m.Message.Header(), "Auto-Submitted", "auto-replied"))
	if got := ask(t, s, m); got != "" {
		t.Errorf("an automatic mail was answered: %q", got)
	}
	said.FailWith(errors.New("disk full"))
	var out container.Outbox
	if err := s.Service(t.Context(), command(bob, bob, "LISTSCRIPTS", ""), &out); err == nil || out.Len() > 0 {
		t.Errorf("without a disk: got %v and %d answers", err, out.Len())
	}
}

func TestManageSieveHelp(t *testing.T) {
	help := func(s *ManageSieveMailet) string {
		return ask(t, s, command("", "bob@example.com", "HELP", ""))
	}
	for params, want := range map[string]int{manageParams: 1, manageParams + "<cache>false</cache>": 2} {
		s, _, reads := manageRig(t, params)
		for range 2 {
			if got := help(s); got != "Send commands." {
				t.Errorf("%s: got %q", params, got)
			}
		}
		if *reads != want {
			t.Errorf("%s: read %d times, want %d", params, *reads, want)
		}
	}
	s, _, _ := manageRig(t, "<helpURL>WEB/missing</helpURL>")
	if got := help(s); got != `NO "There is no help at the moment"` {
		t.Errorf("got %q", got)
	}
	for params, want := range map[string]string{
		"":                                       "error: <helpURL> is required",
		"<helpURL>ftp://x/</helpURL>":            "error: <helpURL>: want a URL",
		"<helpURL>help.txt</helpURL>":            "error: <helpURL>: want a URL",
		"<helpURL>file://conf/missing</helpURL>": "error: <helpURL>: open file://conf/missing",
		"<helpURL>https://example.com/</helpURL>": "",
	} {
		_, problems := load(t, testRegistry(t), "ManageSieveMailet", params)
		if got := strings.Join(problems, "\n"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", params, got, want)
		}
	}
}
