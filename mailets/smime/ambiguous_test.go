package smime

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// TestAmbiguous puts what was signed where we would look for it, and something
// else where another reader would: such a message is not signed.
func TestAmbiguous(t *testing.T) {
	_, body, _ := strings.Cut(string(file(t, "cms-sha256.eml")), "\r\n\r\n")
	body = body[strings.Index(body, "------9872"):]
	body = strings.ReplaceAll(body, "----9872CF558BE798F49E28E8BC0BFCF726", "good")
	evil := func(boundary string) string {
		return "--" + boundary + "\r\nContent-Type: text/plain\r\n\r\nSend money.\r\n"
	}
	const encoding = "Content-Transfer-Encoding: "
	for _, tc := range []struct {
		name, params, fields, before, after string
		good                                bool
	}{
		{name: "quoted", params: `; boundary="good"`, good: true},
		{name: "token", params: `; micalg=sha-256;protocol=application/pkcs7-signature ;Boundary = good;`, good: true},
		{name: "texts around it", params: `; boundary=good`, before: "Not for you.\r\n-- \r\nhello\r\n--goo\r\n", after: "-- \r\nA list\r\n", good: true},
		{name: "7bit", params: `; boundary=good`, fields: encoding + "7Bit\r\n", good: true},
		{name: "none", params: ``},
		{name: "empty", params: `; boundary=""`},
		{name: "two", params: `; boundary=good; boundary=evil`, before: evil("evil")},
		{name: "two pieces of one number", params: `; boundary*0=go; boundary*0=od`, before: evil("go")},
		{name: "extended", params: `; boundary*=us-ascii'en'g%6Fod`, before: evil("us-ascii'en'g%6Fod")},
		{name: "encoded word", params: `; boundary="=?us-ascii?q?good?="`, before: evil("=?us-ascii?q?good?=")},
		{name: "comment in front", params: `; boundary=(x)evil; boundary*=good`, before: evil("evil")},
		{name: "comment with one", params: ` (; boundary=good; x=); boundary*=evil`, before: evil("evil")},
		{name: "no semicolon", params: `; micalg=sha-256 boundary=evil; boundary=good`, before: evil("evil")},
		{name: "no semicolon behind a quoted one", params: `; micalg="sha-256" boundary=evil; boundary=good`, before: evil("evil")},
		{name: "escape", params: `; boundary="g\ood"`, before: evil(`g\ood`)},
		{name: "quote not closed", params: `; boundary=good; x="a`},
		{name: "blank at the end", params: `; boundary="good "`, before: evil("good ")},
		{name: "zero octet", params: "; x=a\x00; boundary=good"},
		{name: "delimiter with more, before", params: `; boundary=good`, before: evil("goodness")},
		{name: "delimiter with more, after", params: `; boundary=good`, after: evil("good evil")},
		{name: "delimiter after the end", params: `; boundary=good`, after: evil("good")},
		{name: "long text before", params: `; boundary=good`, before: strings.Repeat("x\r\n", maxAround)},
		{name: "long text after", params: `; boundary=good`, after: strings.Repeat("x\r\n", maxAround+maxSignature/3)},
		{name: "encoded as a whole", params: `; boundary=good`, fields: encoding + "base64\r\n"},
		{name: "two encodings", params: `; boundary=good`, fields: encoding + "7bit\r\n" + encoding + "base64\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := container.ParseMessage([]byte("MIME-Version: 1.0\r\n" + tc.fields + "Content-Type: multipart/signed" + tc.params + "\r\n\r\n" + tc.before + body + tc.after))
			s, err := Verify(&m, trust(t))
			if got := verdict(s, err); tc.good && got != "rsa good" || !tc.good && !errors.Is(err, ErrNotSigned) {
				t.Errorf("got %s", got)
			}
		})
	}
	whole := strings.Replace(string(file(t, "opaque.eml")), "Content-Transfer-Encoding:", encoding+"7bit\r\nContent-Transfer-Encoding:", 1)
	m := container.ParseMessage([]byte(whole))
	if s, err := Verify(&m, trust(t)); !errors.Is(err, ErrNotSigned) {
		t.Errorf("around the content, with two encodings: %s", verdict(s, err))
	}
}
