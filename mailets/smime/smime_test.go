package smime

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func identity(t testing.TB, name string) *Identity {
	t.Helper()
	pair, err := tls.X509KeyPair(append(file(t, name+".pem"), file(t, "ca.pem")...), file(t, name+".key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := NewIdentity(pair)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// trust is that of the authority of the tests, at a time when all certificates
// are valid.
func trust(t testing.TB) *Trust {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(file(t, "ca.pem")) {
		t.Fatal("no certificate")
	}
	return &Trust{Roots: pool, Now: func() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }}
}

// text returns the whole of m.
func text(t testing.TB, m container.Message) string {
	t.Helper()
	r, err := m.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// verdict says for each signer who it is and why the signature does not count.
func verdict(s *Signature, err error) string {
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, one := range s.Signers {
		v := "good"
		if one.Err != nil {
			v = "bad: " + one.Err.Error()
		}
		if one.Certificate != nil {
			v = one.Certificate.Subject.CommonName + " " + v
		}
		out = append(out, v)
	}
	return strings.Join(out, ", ")
}

// What openssl signed is good, and what was signed is what comes out.
func TestVerifyOpenSSL(t *testing.T) {
	for name, want := range map[string]string{
		"smime-detached": "rsa good", "cms-sha1": "rsa good", "cms-sha256": "rsa good", "cms-sha512-ec": "ec good", "cms-pss": "rsa good",
		"cms-keyid": "rsa good", "cms-noattr": "rsa good", "cms-two": "ec good, rsa good", "opaque": "rsa good", "opaque-stream": "rsa good", "opaque-smime": "rsa good",
		"smime-md5":    "rsa bad: digest algorithm 1.2.840.113549.2.5 is not known",
		"cms-nocerts":  "bad: its certificate is not in the message",
		"cms-server":   "server bad: its certificate is not trusted: x509: certificate specifies an incompatible key usage",
		"enc-aes256":   "not signed",
		"content":      "not signed",
		"enc-camellia": "not signed",
	} {
		t.Run(name, func(t *testing.T) {
			m := container.ParseMessage(file(t, name+".eml"))
			s, err := Verify(&m, trust(t))
			if got := verdict(s, err); !strings.HasPrefix(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
			if err != nil {
				return
			}
			// openssl smime without -binary puts a blank line behind it.
			if got := text(t, s.Content); strings.TrimRight(got, "\r\n") != strings.TrimRight(string(file(t, "content.eml")), "\r\n") {
				t.Errorf("content is %q", got)
			}
		})
	}
}

// No single octet of what was signed, or of the signature, can be another.
func TestVerifyChanged(t *testing.T) {
	roots := trust(t)
	for _, name := range []string{"cms-sha256", "cms-noattr", "opaque"} {
		whole := file(t, name+".eml")
		start := bytes.Index(whole, []byte("\r\n\r\n"))
		good := container.ParseMessage(whole)
		s, err := Verify(&good, roots)
		if verdict(s, err) != "rsa good" {
			t.Fatal(verdict(s, err))
		}
		want := text(t, s.Content)
		for i := start; i < len(whole); i += 11 {
			changed := bytes.Clone(whole)
			changed[i] ^= 1
			m := container.ParseMessage(changed)
			s, err := Verify(&m, roots)
			if verdict(s, err) == "rsa good" && text(t, s.Content) != want {
				t.Fatalf("%s: good with octet %d changed", name, i)
			}
		}
	}
}

func TestDecryptOpenSSL(t *testing.T) {
	for _, tc := range []struct{ name, identity, err string }{
		{"enc-aes256", "rsa", ""}, {"enc-aes128-stream", "rsa", ""}, {"enc-aes192-keyid", "rsa", ""}, {"enc-3des", "rsa", ""},
		{"enc-gcm", "rsa", ""}, {"enc-gcm-stream", "rsa", ""}, {"enc-oaep", "rsa", ""}, {"enc-oaep-sha1", "rsa", ""},
		{"enc-two", "rsa", ""}, {"enc-two", "ec", ""}, {"enc-two", "crypt", ""}, {"enc-ec", "ec", ""}, {"enc-ec-sha256", "ec", ""}, {"enc-ec-keyid", "ec", ""},
		{"enc-aes256", "ec", ErrOtherRecipient.Error()}, {"enc-ec", "rsa", ErrOtherRecipient.Error()},
		{"enc-camellia", "rsa", "content is encrypted with the algorithm"},
		{"opaque", "rsa", ErrNotEncrypted.Error()}, {"cms-sha256", "rsa", ErrNotEncrypted.Error()}, {"content", "rsa", ErrNotEncrypted.Error()},
	} {
		t.Run(tc.name+" "+tc.identity, func(t *testing.T) {
			m := container.ParseMessage(file(t, tc.name+".eml"))
			got, err := identity(t, tc.identity).Decrypt(&m)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if text(t, got) != string(file(t, "content.eml")) {
				t.Errorf("got %q", text(t, got))
			}
		})
	}
}

// A damaged message is an error that does not tell where the damage is, and
// authenticated content does not come out changed.
func TestDecryptChanged(t *testing.T) {
	for _, name := range []string{"enc-aes256", "enc-gcm", "enc-ec", "enc-oaep"} {
		m := container.ParseMessage(file(t, name+".eml"))
		id := identity(t, "rsa")
		if name == "enc-ec" {
			id = identity(t, "ec")
		}
		root, err := mime.Scan(&m, mime.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		der, err := root.Decode(m.Body(), maxContent)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(der); i += 3 {
			changed := bytes.Clone(der)
			changed[i] ^= 0x11
			out, err := id.decrypt(changed)
			known := errors.Is(err, ErrDecrypt) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrOtherRecipient) || errors.Is(err, ErrNotEncrypted)
			if err != nil && !known || err == nil && name == "enc-gcm" && !bytes.Equal(out, file(t, "content.eml")) {
				t.Fatalf("%s, octet %d: %v", name, i, err)
			}
		}
	}
}

func TestSign(t *testing.T) {
	for name, message := range map[string]string{
		"text":       "From: a@example.org\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\nHello\r\n",
		"no header":  "Subject: x\r\n\r\nHello",
		"empty":      "Subject: x\r\n\r\n",
		"8bit":       "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n",
		"bare lines": "Subject: x\r\n\r\na\nb\rc\r\n\n",
		"multipart":  "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\nend\r\n",
	} {
		for _, signer := range []string{"rsa", "ec"} {
			t.Run(name+" "+signer, func(t *testing.T) {
				m := container.ParseMessage([]byte(message))
				if err := identity(t, signer).Sign(&m); err != nil {
					t.Fatal(err)
				}
				whole := container.ParseMessage([]byte(text(t, m)))
				s, err := Verify(&whole, trust(t))
				if got := verdict(s, err); got != signer+" good" {
					t.Fatalf("%s\n%s", got, text(t, m))
				}
				_, body, _ := strings.Cut(message, "\r\n\r\n")
				if got := text(t, s.Content); !strings.HasPrefix(got[strings.Index(got, "\r\n\r\n")+2:], "\r\n"+string(crlf([]byte(body)))) && !strings.HasPrefix(got, "\r\n"+string(crlf([]byte(body)))) {
					t.Errorf("content is %q", got)
				}
				if v, _ := mime.Get(m.Header(), "Subject"); v != "x" || mime.Count(m.Header(), "MIME-Version") != 1 || mime.Count(m.Header(), "Content-Type") != 1 {
					t.Errorf("header is %s", m.Header())
				}
				if eight := mime.Has(m.Header(), "Content-Transfer-Encoding"); eight != (name == "8bit") {
					t.Errorf("header is %s", m.Header())
				}
			})
		}
	}
}

// wrap is a message with one CMS structure.
func wrap(der []byte) container.Message {
	return container.NewMessage([]byte("Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n"),
		container.BytesBody(base64.StdEncoding.EncodeToString(der)))
}

// Hostile structures are refused at once: nested beyond measure, cut off, with
// lengths beyond the data.
func TestHostile(t *testing.T) {
	for name, der := range map[string][]byte{
		"nested, indefinite":   bytes.Repeat([]byte{0x30, 0x80}, 5_000_000),
		"nested, definite":     bytes.Repeat([]byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff}, 1000),
		"many":                 append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x05, 0x00}, 10_000_000)...),
		"nested strings":       bytes.Repeat([]byte{0x24, 0x80}, 100),
		"long tag":             bytes.Repeat([]byte{0x3f, 0xff}, 100),
		"long length":          append([]byte{0x30, 0xff}, bytes.Repeat([]byte{0xff}, 127)...),
		"primitive, endless":   {0x04, 0x80, 0, 0},
		"end alone":            {0x30, 0x02, 0, 0},
		"empty":                {},
		"one octet":            {0x30},
		"string of no strings": {0x24, 0x02, 0x05, 0x00},
	} {
		t.Run(name, func(t *testing.T) {
			m := wrap(der)
			if s, err := Verify(&m, trust(t)); !errors.Is(err, ErrNotSigned) {
				t.Errorf("verify: %s", verdict(s, err))
			}
			if _, err := identity(t, "rsa").Decrypt(&m); !errors.Is(err, ErrMalformed) {
				t.Errorf("decrypt: %v", err)
			}
		})
	}
}
