package responder_test

import (
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/responder"
)

// An entity whose fields do not say what it holds is sent as what it is, and
// nothing in it becomes a field of the answer.
func TestEntityLabels(t *testing.T) {
	const eight, plain = "Content-Transfer-Encoding: 8bit\r\n", "Content-Type: text/plain; charset=utf-8\r\n"
	for _, tc := range []struct{ mime, fields, body string }{
		{"Grüße", plain + eight, "Grüße"},
		{"\nGrüße", plain + eight, "Grüße"},
		{"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\nGrüße", "Content-Type: text/html; charset=utf-8\r\n" + eight, "Grüße"},
		{"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: Quoted-Printable\n\nGr=C3=BC", plain + "Content-Transfer-Encoding: Quoted-Printable\r\n", "Gr=C3=BC"},
		{"Subject: x\nBcc: eve@far.test\n\nHello", "", "Hello"},
		{"Hello", "", "Hello"},
	} {
		m, why := reply(t, newResponder(&notes{}), mailOf("alice@far.test", "To: bob@here.test"), responder.Answer{User: bob, MIME: []byte(tc.mime), Period: time.Hour})
		if why != "" {
			t.Fatal(why)
		}
		_, body, _ := strings.Cut(text(t, m), "\r\n\r\n")
		fields := strings.TrimPrefix(string(mime.ContentFields(m.Message.Header())), "\r\n")
		if fields != tc.fields || body != tc.body || mime.Has(m.Message.Header(), "Bcc") {
			t.Errorf("%q: got %q, %q, want %q, %q", tc.mime, fields, body, tc.fields, tc.body)
		}
	}
}
