package smime

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/mailetd/mailetd/container"
)

// attribute is one signed attribute with values in DER.
type attribute struct {
	id     asn1.ObjectIdentifier
	values [][]byte
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func signedAttributes(list ...attribute) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
		for _, a := range list {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(a.id)
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
					for _, v := range a.values {
						b.AddBytes(v)
					}
				})
			})
		}
	})
	return b.BytesOrPanic()
}

// Signed attributes that say too little, something else, or something twice make
// a signature bad, whose ever it is.
func TestSignedAttributes(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{PublicKey: public, NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	h := crypto.SHA512.New()
	h.Write([]byte("content"))
	sum := h.Sum(nil)
	one := func(v ...[]byte) [][]byte { return v }
	kind := attribute{oidContentType, one(encode(t, oidData))}
	digest := attribute{oidMessageDigest, one(encode(t, sum))}
	at := func(year int) attribute {
		return attribute{oidSigningTime, one(encode(t, time.Date(year, 5, 5, 0, 0, 0, 0, time.UTC)))}
	}
	other := attribute{asn1.ObjectIdentifier{1, 2, 3}, one(encode(t, 1), encode(t, 2))}
	for _, tc := range []struct {
		name string
		list []attribute
		want string
	}{
		{"least", []attribute{kind, digest}, ""},
		{"all", []attribute{kind, at(2025), digest, other, other}, ""},
		{"none", nil, "without content type or digest"},
		{"no digest", []attribute{kind}, "without content type or digest"},
		{"no content type", []attribute{digest}, "without content type or digest"},
		{"other content type", []attribute{{oidContentType, one(encode(t, oidSignedData))}, digest}, "signed attribute"},
		{"other digest", []attribute{kind, {oidMessageDigest, one(encode(t, sum[1:]))}}, "the content was changed"},
		{"two digests", []attribute{kind, digest, digest}, "stands twice"},
		{"two values", []attribute{kind, {oidMessageDigest, one(encode(t, sum), encode(t, sum))}}, "signed attribute"},
		{"before the certificate", []attribute{kind, digest, at(2019)}, "when its certificate was not valid"},
		{"after the certificate", []attribute{kind, digest, at(2031)}, "when its certificate was not valid"},
		{"far after the certificate", []attribute{kind, digest, at(2090)}, "when its certificate was not valid"},
		{"bad time", []attribute{kind, digest, {oidSigningTime, one(encode(t, 1))}}, "signed attribute"},
	} {
		s := signerInfo{digest: algorithm{id: digests[4].id}, signature: algorithm{id: oidEd25519}, attributes: signedAttributes(tc.list...)}
		s.value = ed25519.Sign(private, s.attributes)
		content := &hashed{sums: map[crypto.Hash][]byte{crypto.SHA512: sum}, first: 'c'}
		if err := s.verify(c, content); (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want %q", tc.name, err, tc.want)
		}
		s.value[0] ^= 1
		if err := s.verify(c, content); err == nil {
			t.Errorf("%s: good with another signature", tc.name)
		}
	}
}

// A signature over attributes is none over content that looks like them.
func TestAttributesAsContent(t *testing.T) {
	id := identity(t, "ec")
	der := signedAttributes(attribute{oidContentType, [][]byte{encode(t, oidData)}})
	h := crypto.SHA256.New()
	h.Write(der)
	sum := h.Sum(nil)
	value, err := id.Key.Sign(rand.Reader, sum, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	s := signerInfo{digest: algorithm{id: digests[2].id}, signature: algorithm{id: digests[2].ecdsa}, value: value}
	content := &hashed{sums: map[crypto.Hash][]byte{crypto.SHA256: sum}, first: der[0]}
	if err := s.verify(id.Certificate, content); err == nil || !strings.Contains(err.Error(), "could be signed attributes") {
		t.Errorf("got error %v", err)
	}
	content.first = 'C'
	if err := s.verify(id.Certificate, content); err != nil {
		t.Errorf("got error %v", err)
	}
}

// Trust ends with the certificate.
func TestTrustedNow(t *testing.T) {
	for year, want := range map[int]string{2019: "rsa bad", 2030: "rsa good", 2121: "rsa bad"} {
		m := container.ParseMessage(file(t, "cms-sha256.eml"))
		roots := trust(t)
		roots.Now = func() time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
		s, err := Verify(&m, roots)
		if got := verdict(s, err); !strings.HasPrefix(got, want) {
			t.Errorf("%d: got %s, want %s", year, got, want)
		}
	}
	m := container.ParseMessage(file(t, "cms-sha256.eml"))
	if s, err := Verify(&m, &Trust{Roots: x509.NewCertPool()}); !strings.HasPrefix(verdict(s, err), "rsa bad") {
		t.Error("good without trust")
	}
}

// The key of the examples of RFC 3394 §4.6, wrapped.
func TestUnwrapKey(t *testing.T) {
	var kek, want []byte
	for i := range 32 {
		kek = append(kek, byte(i))
	}
	for i := range 16 {
		want = append(want, byte(i<<4|i))
	}
	want = append(want, kek[:16]...)
	wrapped, err := hex.DecodeString("28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21")
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := unwrapKey(kek, wrapped); !ok || !bytes.Equal(got, want) {
		t.Errorf("got %x, %t", got, ok)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1
		if _, ok := unwrapKey(kek, bad); ok {
			t.Errorf("unwrapped with octet %d changed", i)
		}
		if _, ok := unwrapKey(kek, wrapped[:i]); ok {
			t.Errorf("unwrapped %d octets", i)
		}
	}
}

// Where there is openssl, it reads what is signed here.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		return // the tests above have what it made
	}
	for _, name := range []string{"rsa", "ec"} {
		m := container.ParseMessage([]byte("From: a@example.org\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\nHello\r\n.\r\n-- \r\n"))
		if err := identity(t, name).Sign(&m); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		in := filepath.Join(dir, "signed.eml")
		if err := os.WriteFile(in, []byte(text(t, m)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range []string{"cms", "smime"} {
			out, err := exec.Command(openssl, command, "-verify", "-in", in, "-CAfile", "testdata/ca.pem", "-out", filepath.Join(dir, "out")).CombinedOutput()
			if err != nil {
				t.Errorf("openssl %s: %v\n%s", command, err, out)
				continue
			}
			got, err := os.ReadFile(filepath.Join(dir, "out"))
			if err != nil || !bytes.Equal(got, []byte("Content-Type: text/plain\r\n\r\nHello\r\n.\r\n-- \r\n")) {
				t.Errorf("openssl %s: got %q, %v", command, got, err)
			}
		}
	}
}

// A file that is read while it is hashed can fail.
func TestHashFails(t *testing.T) {
	d := &signedData{signers: []signerInfo{{digest: algorithm{id: digests[2].id}}}}
	for _, n := range []int{0, 1} {
		if _, err := d.hash(&failing{n}); !errors.Is(err, os.ErrClosed) {
			t.Errorf("after %d octets: %v", n, err)
		}
	}
}

// failing is a reader that fails after n octets.
type failing struct{ n int }

func (f *failing) Read(b []byte) (int, error) {
	if f.n == 0 {
		return 0, os.ErrClosed
	}
	f.n--
	b[0] = 'x'
	return 1, nil
}
