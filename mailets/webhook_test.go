package mailets

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Of 250 recipients each request has 100 at most; the second request is refused,
// the third one is to be repeated.
func TestWebhook(t *testing.T) {
	var sizes []int
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sizes = append(sizes, len(r.Header.Values("Mail-Recipient")))
		w.WriteHeader([]int{200, 400, 503}[len(sizes)-1])
	}))
	t.Cleanup(s.Close)
	var rcpts []string
	for i := range 250 {
		rcpts = append(rcpts, "user"+strings.Repeat("x", i%50)+string(rune('a'+i/50))+"@example.com")
	}
	m := testMail(rcpts...)
	w := mustLoad(t, testRegistry(t), "com.github.mailetd.Webhook", "<url>"+s.URL+"/in?key=1</url><consume>false</consume><onFailure>refused</onFailure>")
	out := serve(t, w, m)
	if !slices.Equal(sizes, []int{100, 100, 50}) || m.State != "root" || len(m.Recipients) != 100 || out.Len() != 2 {
		t.Fatalf("posted %v, state %s, %d recipients, %d mails", sizes, m.State, len(m.Recipients), out.Len())
	}
	refused, again := out.Entries()[0], out.Entries()[1]
	o, _ := refused.Mail.Outcome(refused.Mail.Recipients[0])
	if refused.Mail.State != "refused" || len(refused.Mail.Recipients) != 100 || o.Text != "HTTP status 400 (Bad Request)" {
		t.Errorf("refused: %s, %d, %+v", refused.Mail.State, len(refused.Mail.Recipients), o)
	}
	if again.Mail.State != "root" || again.Delay != time.Minute || len(again.Mail.Recipients) != 50 {
		t.Errorf("again: %s, %s, %d", again.Mail.State, again.Delay, len(again.Mail.Recipients))
	}
	if got := w.(container.StateReferrer).ReferredStates(); !slices.Equal(got, []string{"refused"}) {
		t.Errorf("refers to %v", got)
	}
}

// Two hooks at one place, told apart by what the log does not show, count their
// attempts apart: the success of the first must not begin the retries of the second
// anew for ever.
func TestWebhooksCountApart(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery == "key=2" || r.Header.Get("Content-Type") == "application/json" {
			w.WriteHeader(503)
		}
	}))
	t.Cleanup(s.Close)
	for _, second := range []string{"<url>" + s.URL + "/in?key=2</url>", "<url>" + s.URL + "/in?key=1</url><format>json</format>"} {
		a := mustLoad(t, testRegistry(t), "Webhook", "<url>"+s.URL+"/in?key=1</url><consume>false</consume>")
		b := mustLoad(t, testRegistry(t), "Webhook", second+"<maxRetries>1</maxRetries>")
		m := testMail("bob@example.com")
		for _, want := range []string{"root", "error"} {
			serve(t, a, m)
			if m = serve(t, b, m).Entries()[0].Mail; m.State != want {
				t.Errorf("%s: state %s, want %s", second, m.State, want)
			}
		}
	}
}

func TestWebhookParameters(t *testing.T) {
	for params, want := range map[string]string{
		"":                             "error: <url> is required",
		"<url>ftp://x.test/</url>":     "error: <url>: want http",
		"<url>http://x.test/%zz</url>": "error: <url>: it is not a URL",
		"<url>http://x.test/</url><format>form</format>":                 `error: <format>: "form" is neither message nor json`,
		"<url>http://x.test/</url><timeout>0</timeout>":                  "error: <timeout>: there must be",
		"<url>http://x.test/</url><authorization>\u00fc</authorization>": "error: <authorization>: ",
	} {
		_, problems := load(t, testRegistry(t), "Webhook", params)
		if len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
}
