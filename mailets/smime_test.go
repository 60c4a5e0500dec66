package mailets

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/smime"
)

// smimeData is a file that openssl made.
func smimeData(name string) []byte {
	data, err := os.ReadFile(filepath.Join("smime", "testdata", name))
	if err != nil {
		panic(err)
	}
	return data
}

// testSMIMEFile returns the keystores of the tests, nil for other names.
func testSMIMEFile(url string) []byte {
	name, ok := strings.CutPrefix(url, "file://conf/smime")
	if !ok {
		return nil
	}
	switch name {
	case ".p12":
		return smimeP12("rsa")
	case "-ca.pem":
		return smimeData("ca.pem")
	case "-rsa.pem", "-ec.pem", "-crypt.pem", "-server.pem":
		name = strings.TrimSuffix(name[1:], ".pem")
		return slices.Concat(smimeData(name+".key.pem"), smimeData(name+".pem"), smimeData("ca.pem"))
	case "-ed.pem", "-noaddress.pem", "-noname.pem", "-expired.pem":
		return smimeMade(strings.TrimSuffix(name[1:], ".pem"))
	case "-damaged.p12":
		return []byte("0damaged")
	}
	return nil
}

func smimeP12(name string) []byte {
	pair, err := tls.X509KeyPair(smimeData(name+".pem"), smimeData(name+".key.pem"))
	if err != nil {
		panic(err)
	}
	data, err := pkcs12.Modern.Encode(pair.PrivateKey, pair.Leaf, nil, "secret")
	if err != nil {
		panic(err)
	}
	return data
}

// smimeMade makes identities with something the matter.
func smimeMade(kind string) []byte {
	pair, err := tls.X509KeyPair(smimeData("ec.pem"), smimeData("ec.key.pem"))
	if err != nil {
		panic(err)
	}
	key, public := pair.PrivateKey, pair.Leaf.PublicKey
	c := x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(time.Hour),
		Subject: pkix.Name{CommonName: "x"}, EmailAddresses: []string{"x@example.com"}}
	switch kind {
	case "ed":
		public, key, _ = ed25519.GenerateKey(rand.Reader)
	case "noaddress":
		c.EmailAddresses = nil
	case "noname":
		c.Subject = pkix.Name{}
	case "expired":
		c.NotAfter = time.Unix(1, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, public, key)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

const (
	keyParams   = "<keyStoreFileName>file://conf/smime-rsa.pem</keyStoreFileName><keyStorePassword>x</keyStorePassword>"
	trustParams = "<fileType>pem</fileType><pemFileName>file://conf/smime-ca.pem</pemFileName>"
)

func wholeText(t testing.TB, m *container.Message) string {
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

// authenticated is a mail of bob.
func authenticated(message string) *container.Mail {
	m := testMail("alice@example.com")
	m.Sender = container.MustAddress("Bob@example.com")
	m.Message = container.ParseMessage([]byte(message))
	m.Set(container.AttrSMTPAuthUser, "bob@example.com")
	return m
}

const bobsMessage = "From: Bob <bob@example.com>\r\nTo: alice@example.com\r\nBcc: secret@example.com\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"

// What SMIMESign signs is good for SMIMECheckSignature, and comes out again.
func TestSMIMESignAndCheck(t *testing.T) {
	for _, class := range []string{"SMIMESign", "Sign"} {
		params := keyParams + "<signerName>Server</signerName>"
		if class == "Sign" {
			params += "<keyHolderClass>org.apache.james.security.SMIMEKeyHolder</keyHolderClass>"
		}
		s := testServices(t)
		s.Postmaster = container.MustAddress("postmaster@example.com")
		r := container.NewRegistry()
		Register(r, s)
		m := authenticated(bobsMessage)
		serve(t, mustLoad(t, r, class, params), m)
		h := m.Message.Header()
		for name, want := range map[string]string{"From": `"Bob@example.com" <rsa@example.org>`, "Sender": "Server <rsa@example.org>",
			"Reply-To": "Bob <bob@example.com>", "Subject": "Hello"} {
			if got, _ := mime.Get(h, name); got != want {
				t.Errorf("%s: %s is %q, want %q", class, name, got, want)
			}
		}
		for name, want := range map[string]string{attrSigningMailet: james + class, attrSignatureValidity: "valid", attrSignerAddress: "rsa@example.org"} {
			if got, _ := m.Attributes.String(name); got != want {
				t.Errorf("%s: attribute %s is %q, want %q", class, name, got, want)
			}
		}
		signed := wholeText(t, &m.Message)
		_, body, _ := strings.Cut(signed, "\r\n\r\n")
		if !strings.Contains(body, "Subject: Hello") || !strings.Contains(body, "Server <rsa@example.org>") || strings.Contains(body, "secret@") || !mime.IsASCII(signed) || !strings.Contains(body, "Gr=C3=BC=C3=9Fe") {
			t.Errorf("%s: got\n%s", class, signed)
		}
		serve(t, mustLoad(t, r, "SMIMECheckSignature", trustParams+"<strip>true</strip>"), m)
		if got, _ := mime.Get(m.Message.Header(), smimeStatus); got != "Good signature" {
			t.Errorf("%s: %s\n%s", class, got, signed)
		}
		if got := wholeText(t, &m.Message); !strings.Contains(got, "Content-Type: multipart/mixed") || !strings.Contains(got, "Gr=C3=BC=C3=9Fe") || strings.Contains(got, "pkcs7") {
			t.Errorf("%s: stripped is\n%s", class, got)
		}
	}
}

func TestSMIMESignParameters(t *testing.T) {
	r := testRegistry(t)
	m := authenticated("From: bob@example.com\r\nReply-To: x@example.com\r\nSubject: a\r\n\r\nHi\r\n")
	serve(t, mustLoad(t, r, "SMIMESign", "<keyStoreFileName>file://conf/smime.p12</keyStoreFileName><keyStorePassword>secret</keyStorePassword><rebuildFrom>false</rebuildFrom><explanationText/>"), m)
	text := wholeText(t, &m.Message)
	if !strings.Contains(text, "From: bob@example.com\r\nReply-To: x@example.com\r\n") || !strings.Contains(text, "Sender: rsa <rsa@example.org>\r\n") || strings.Contains(text, "multipart/mixed") {
		t.Errorf("got\n%s", text)
	}
	m = authenticated("From: bob@example.com\r\nReply-To: x@example.com\r\n\r\nHi\r\n")
	serve(t, mustLoad(t, r, "SMIMESign", keyParams+"<explanationText>[signerName]|[signerAddress]|[reversePath]|\n[headers]|</explanationText>"), m)
	text = wholeText(t, &m.Message)
	if !strings.Contains(text, "rsa|rsa@example.org|Bob@example.com|\r\nFrom: bob@example.com\r\nReply-To: x@example.com\r\n|") || !strings.Contains(text, "Reply-To: x@example.com\r\n") {
		t.Errorf("got\n%s", text)
	}
}

// Mail is signed for those only whom the server knows.
func TestSMIMESignWanted(t *testing.T) {
	r := testRegistry(t) // bob is the postmaster
	const postmaster = "bob@example.com"
	for _, tc := range []struct {
		name, user, sender, message, params string
		want                                bool
	}{
		{name: "own address", user: "alice@example.com", sender: "alice@example.com", message: "From: x@y.test, Alice@example.com\r\n\r\n", want: true},
		{name: "nobody", sender: "alice@example.com", message: "From: alice@example.com\r\n\r\n"},
		{name: "another's address", user: postmaster, sender: "alice@example.com", message: "From: alice@example.com\r\n\r\n"},
		{name: "same name elsewhere", user: "alice@example.com", sender: "alice@example.org", message: "From: alice@example.org\r\n\r\n"},
		{name: "null sender", user: "alice@example.com", message: "From: alice@example.com\r\n\r\n"},
		{name: "other author", user: "alice@example.com", sender: "alice@example.com", message: "From: bob@example.com\r\n\r\n"},
		{name: "no author", user: "alice@example.com", sender: "alice@example.com", message: "Subject: x\r\n\r\n"},
		{name: "signed", user: "alice@example.com", sender: "alice@example.com", message: "From: alice@example.com\r\nContent-Type: Multipart/Signed; boundary=b\r\n\r\n"},
		{name: "encrypted", user: "alice@example.com", sender: "alice@example.com", message: "From: alice@example.com\r\nContent-Type: application/x-pkcs7-mime\r\n\r\n"},
		{name: "postmaster", user: postmaster, sender: postmaster, message: "From: x@y.test\r\n\r\n", want: true},
		{name: "postmaster does not sign", user: postmaster, sender: postmaster, message: "From: bob@example.com\r\n\r\n", params: "<postmasterSigns>false</postmasterSigns>"},
		{name: "not the postmaster", user: "alice@example.com", sender: postmaster, message: "From: bob@example.com\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := authenticated(tc.message)
			m.Sender = container.Address{}
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			delete(m.Attributes, container.AttrSMTPAuthUser)
			if tc.user != "" {
				m.Set(container.AttrSMTPAuthUser, tc.user)
			}
			serve(t, mustLoad(t, r, "SMIMESign", keyParams+tc.params), m)
			if _, signed := m.Attributes[attrSigningMailet]; signed != tc.want || signed == (wholeText(t, &m.Message) == tc.message) {
				t.Errorf("signed: %t, got\n%s", signed, wholeText(t, &m.Message))
			}
		})
	}
}

// Messages of other programs, and what the mailet makes of them.
func TestSMIMECheckSignature(t *testing.T) {
	r := testRegistry(t)
	const anybody = "<onlyTrusted>false</onlyTrusted>"
	for _, tc := range []struct{ name, params, want, addresses string }{
		{"cms-sha256", trustParams, "Good signature", "[rsa@example.org, rsa@example.net]"},
		{"cms-sha256", "<keyStoreFileName>file://conf/smime-ca.pem</keyStoreFileName><mailAttribute>x</mailAttribute>", "Good signature", "[rsa@example.org, rsa@example.net]"},
		{"cms-sha256", "<fileType>pem</fileType><pemFileName>file://conf/smime-ec.pem</pemFileName><mailAttribute>x</mailAttribute>", "Good signature", "[rsa@example.org, rsa@example.net]"},
		{"opaque-stream", trustParams, "Good signature", "[rsa@example.org, rsa@example.net]"},
		{"cms-two", trustParams, "Good signature", "[ec@example.org, ec@example.net, rsa@example.org, rsa@example.net]"},
		{"cms-server", trustParams, "Bad signature", ""},
		{"cms-server", anybody, "Good signature", "[server@example.org, server@example.net]"},
		{"cms-sha256", "<keyStoreFileName>file://conf/smime-server.pem</keyStoreFileName>" + anybody, "Good signature", "[rsa@example.org, rsa@example.net]"},
		{"cms-nocerts", trustParams, "Bad signature", ""},
		{"enc-aes256", trustParams, "Not signed", ""},
		{"content", trustParams, "Not signed", ""},
	} {
		for _, strip := range []bool{false, true} {
			t.Run(tc.name+" "+tc.params, func(t *testing.T) {
				original := string(smimeData(tc.name + ".eml"))
				m := authenticated(original)
				attr := "org.apache.james.SMIMECheckSignature"
				if strings.Contains(tc.params, "mailAttribute") {
					attr = "x"
				}
				m.Set(attr, "forged")
				m.Set(attr+".addresses", "forged")
				params := tc.params
				if strip {
					params += "<strip>true</strip>"
				}
				serve(t, mustLoad(t, r, "SMIMECheckSignature", params), m)
				text := wholeText(t, &m.Message)
				if got := mime.Values(m.Message.Header(), smimeStatus); len(got) != 1 || got[0] != tc.want {
					t.Errorf("status is %q, want %q", got, tc.want)
				}
				list, _ := m.Attributes[attr].([]container.Value)
				if addresses := m.Attributes[attr+".addresses"]; (tc.addresses == "") != (addresses == nil) || tc.addresses != "" && container.FormatValue(addresses) != tc.addresses || (len(list) > 0) != (addresses != nil) {
					t.Errorf("attributes are %v", m.Attributes)
				}
				if strip && tc.want != "Not signed" {
					if !strings.HasPrefix(text, "From: rsa@example.org\r\nTo: bob@example.com\r\nSubject: test\r\n") || !strings.Contains(text, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n") ||
						!strings.HasSuffix(text, "\r\n\r\nGr=C3=BC=C3=9Fe, signed.\r\n\r\n-- \r\nbye\r\n") {
						t.Errorf("stripped is\n%s", text)
					}
				} else if want := strings.Replace(original, "forged", tc.want, 1); text != want && tc.name != "content" {
					t.Errorf("got\n%s\nwant\n%s", text, want)
				}
			})
		}
	}
}

// Readers disagree about such messages, so they are never good.
func TestSMIMECheckSignatureForgeries(t *testing.T) {
	check := mustLoad(t, testRegistry(t), "SMIMECheckSignature", trustParams)
	original := string(smimeData("cms-sha256.eml"))
	_, after, _ := strings.Cut(original, `boundary="`)
	boundary, _, _ := strings.Cut(after, `"`)
	for name, text := range map[string]string{
		"changed":           strings.Replace(original, "signed.", "signes.", 1),
		"third part":        strings.Replace(original, "\r\n--"+boundary+"--", "\r\n--"+boundary+"\r\n\r\nmore\r\n--"+boundary+"--", 1),
		"part in front":     strings.Replace(original, "\r\n--"+boundary+"\r\n", "\r\n--"+boundary+"\r\n\r\nmore\r\n--"+boundary+"\r\n", 1),
		"second type":       strings.Replace(original, "MIME-Version", "Content-Type: text/html\r\nMIME-Version", 1),
		"second boundary":   strings.Replace(original, "; boundary=", "; boundary=x; boundary=", 1),
		"no S/MIME":         strings.Replace(original, "Content-Type: application/pkcs7-signature", "Content-Type: application/pgp-signature", 1),
		"wrapped":           strings.Replace(original, "multipart/signed", "multipart/mixed", 1),
		"signature cut off": original[:strings.Index(original, "smime.p7s\"\r\n\r\n")+400],
	} {
		if text == original {
			t.Fatalf("%s: nothing changed", name)
		}
		m := authenticated(text)
		serve(t, check, m)
		if got, _ := mime.Get(m.Message.Header(), smimeStatus); got != "Not signed" && got != "Bad signature" || (name == "changed") != (got == "Bad signature") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSMIMEDecrypt(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct{ name, key, want string }{
		{"enc-aes256", "rsa", "ok"}, {"enc-gcm", "rsa", "ok"}, {"enc-ec", "ec", "ok"}, {"enc-crypt", "crypt", "ok"},
		{"enc-aes256", "ec", "same"}, {"opaque", "rsa", "same"}, {"cms-sha256", "rsa", "same"}, {"content", "rsa", "same"},
		{"enc-camellia", "rsa", "error"},
	} {
		t.Run(tc.name+" "+tc.key, func(t *testing.T) {
			original := string(smimeData(tc.name + ".eml"))
			m := authenticated(original)
			d := mustLoad(t, r, "SMIMEDecrypt", strings.ReplaceAll(keyParams, "rsa", tc.key))
			err := d.Service(t.Context(), m, &container.Outbox{})
			got := wholeText(t, &m.Message)
			if tc.want != "ok" {
				if (err != nil) != (tc.want == "error") || got != original || m.Attributes["org.apache.james.SMIMEDecrypt"] != nil {
					t.Errorf("got error %v and\n%s", err, got)
				}
				return
			}
			header, _, _ := strings.Cut(string(smimeData("content.eml")), "\r\n\r\n")
			if err != nil || !strings.Contains(got, header) || !strings.HasSuffix(got, "-- \r\nbye\r\n") || strings.Contains(got, "smime.p7m") || mime.Count(m.Message.Header(), "Content-Type") != 1 {
				t.Errorf("got error %v and\n%s", err, got)
			}
			if list, _ := m.Attributes["org.apache.james.SMIMEDecrypt"].([]container.Value); len(list) != 1 {
				t.Errorf("attributes are %v", m.Attributes)
			}
		})
	}
	m := authenticated("Content-Type: application/pkcs7-mime\r\n\r\nnonsense\r\n")
	if err := mustLoad(t, r, "SMIMEDecrypt", keyParams).Service(t.Context(), m, &container.Outbox{}); !errors.Is(err, smime.ErrMalformed) {
		t.Errorf("got error %v", err)
	}
}

// failingBody cannot be read.
type failingBody struct{}

func (failingBody) Size() int64                  { return 100 }
func (failingBody) Open() (io.ReadCloser, error) { return nil, io.ErrClosedPipe }

// hugeBody is beyond all limits, and is not read.
type hugeBody struct{}

func (hugeBody) Size() int64                  { return 100 << 20 }
func (hugeBody) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(nil)), nil }

// A disk that fails is no reason to call a message unsigned; one that is too
// large is.
func TestSMIMEBodies(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct {
		class, params, kind string
		body                container.Body
		status              string
		err                 error
	}{
		{"SMIMECheckSignature", trustParams, "multipart/signed; boundary=b", failingBody{}, "", io.ErrClosedPipe},
		{"SMIMECheckSignature", trustParams, "application/pkcs7-mime", failingBody{}, "", io.ErrClosedPipe},
		{"SMIMECheckSignature", trustParams, "application/pkcs7-mime", hugeBody{}, "Not signed", nil},
		{"SMIMEDecrypt", keyParams, "application/pkcs7-mime", failingBody{}, "", io.ErrClosedPipe},
		{"SMIMEDecrypt", keyParams, "application/pkcs7-mime", hugeBody{}, "", mime.ErrTooLarge},
		{"SMIMESign", keyParams, "text/plain", failingBody{}, "", io.ErrClosedPipe},
		{"SMIMESign", keyParams, "text/plain", hugeBody{}, "", mime.ErrTooLarge},
	} {
		m := authenticated("")
		m.Message = container.NewMessage([]byte("From: bob@example.com\r\nContent-Type: "+tc.kind+"\r\n"), tc.body)
		err := mustLoad(t, r, tc.class, tc.params).Service(t.Context(), m, &container.Outbox{})
		status, _ := mime.Get(m.Message.Header(), smimeStatus)
		if !errors.Is(err, tc.err) || status != tc.status {
			t.Errorf("%s, %s: got error %v, status %q", tc.class, tc.kind, err, status)
		}
	}
}

// waitingBody is a large one whose reader waits.
type waitingBody struct{ opened, goOn chan struct{} }

func (waitingBody) Size() int64 { return 60 << 20 }
func (b waitingBody) Open() (io.ReadCloser, error) {
	close(b.opened)
	<-b.goOn
	return nil, io.ErrClosedPipe
}

// TestSMIMELargeMessages: while one very large message is being read another one
// waits, whatever is to be done with it, until it is told not to.
func TestSMIMELargeMessages(t *testing.T) {
	r := testRegistry(t)
	first := waitingBody{make(chan struct{}), make(chan struct{})}
	message := func(kind string, body container.Body) *container.Mail {
		m := authenticated("")
		m.Message = container.NewMessage([]byte("From: bob@example.com\r\nContent-Type: "+kind+"\r\n"), body)
		return m
	}
	ended := make(chan error, 1)
	d := mustLoad(t, r, "SMIMEDecrypt", keyParams)
	go func() {
		ended <- d.Service(t.Context(), message("application/pkcs7-mime", first), &container.Outbox{})
	}()
	<-first.opened
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for class, tc := range map[string][2]string{"SMIMECheckSignature": {trustParams, "application/pkcs7-mime"},
		"SMIMEDecrypt": {keyParams, "application/pkcs7-mime"}, "SMIMESign": {keyParams, "text/plain"}} {
		m := message(tc[1], waitingBody{})
		if err := mustLoad(t, r, class, tc[0]).Service(ctx, m, &container.Outbox{}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", class, err)
		}
	}
	close(first.goOn)
	if err := <-ended; !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
}

// A message that is not encrypted is none of our business, whatever it looks like.
func TestSMIMEDecryptOthers(t *testing.T) {
	m := authenticated("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n", 2000))
	if err := mustLoad(t, testRegistry(t), "SMIMEDecrypt", keyParams).Service(t.Context(), m, &container.Outbox{}); err != nil {
		t.Error(err)
	}
}

type rightsFail struct{}

func (rightsFail) MaySendAs(context.Context, string, container.Address) (bool, error) {
	return false, io.ErrClosedPipe
}

func TestSMIMESignRightsUnknown(t *testing.T) {
	s := mustLoad(t, testRegistry(t), "SMIMESign", keyParams).(*SMIMESign)
	s.rights = rightsFail{}
	if err := s.Service(t.Context(), authenticated(bobsMessage), &container.Outbox{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got error %v", err)
	}
}

func TestSMIMEBadParameters(t *testing.T) {
	r := testRegistry(t)
	store := func(name string) string {
		return "<keyStoreFileName>file://conf/smime" + name + "</keyStoreFileName><keyStorePassword>secret</keyStorePassword>"
	}
	for _, tc := range []struct{ class, params, want string }{
		{"SMIMESign", "", "error: <keyStoreFileName> is required"},
		{"SMIMESign", "<keyStoreFileName>file://conf/smime-rsa.pem</keyStoreFileName>", "error: <keyStorePassword> is required"},
		{"SMIMESign", store(".p12") + "<x>1</x>", "error: <x> is not a parameter of SMIMESign"},
		{"SMIMESign", store(".p12") + "<keyHolderClass>x.SMIMEKeyHolder</keyHolderClass>", "error: <keyHolderClass> is not a parameter of SMIMESign"},
		{"SMIMESign", store(".none"), "error: <keyStoreFileName>: open file://conf/smime.none: file does not exist"},
		{"SMIMESign", strings.Replace(store(".p12"), ">secret", ">wrong", 1), "error: <keyStoreFileName>: file://conf/smime.p12: the secret is wrong"},
		{"SMIMESign", store("-damaged.p12"), "error: <keyStoreFileName>: file://conf/smime-damaged.p12: it is neither"},
		{"SMIMESign", store("-ca.pem"), "error: <keyStoreFileName>: file://conf/smime-ca.pem: parse PEM file"},
		{"SMIMESign", store(".p12") + "<keyStoreType>BKS</keyStoreType>", `error: <keyStoreType>: "BKS" is not JKS, PKCS12 or PEM`},
		{"SMIMESign", store("-ed.pem"), "error: <keyStoreFileName>: file://conf/smime-ed.pem: its key is a ed25519.PrivateKey"},
		{"SMIMESign", store("-noaddress.pem"), "error: <keyStoreFileName>: its certificate has no e-mail address"},
		{"SMIMESign", store("-noname.pem"), "error: <signerName>: it is required, since"},
		{"SMIMESign", store("-crypt.pem"), "error: <keyStoreFileName>: its certificate is not for signatures"},
		{"SMIMESign", store("-expired.pem"), "warning: <keyStoreFileName>: the certificate of CN=x is valid from 1970-01-01 to 1970-01-01 only"},
		{"SMIMESign", store(".p12") + "<rebuildFrom>perhaps</rebuildFrom>", "warning: <rebuildFrom> is"},
		{"Sign", store(".p12"), "error: <keyHolderClass> is required"},
		{"Sign", store(".p12") + "<keyHolderClass>x.PGPKeyHolder</keyHolderClass>", "error: <keyHolderClass>: there is no key holder x.PGPKeyHolder"},
		{"SMIMEDecrypt", "", "error: <keyStoreFileName> is required"},
		{"SMIMEDecrypt", store(".p12") + "<keyPass>1</keyPass>", "warning: <keyPass> is not a parameter of SMIMEDecrypt"},
		{"SMIMECheckSignature", "<fileType>x</fileType>", `error: <fileType>: "x" is neither keystore nor pem`},
		{"SMIMECheckSignature", "<fileType>pem</fileType>", "error: <pemFileName>: it is required"},
		{"SMIMECheckSignature", "<fileType>pem</fileType><pemFileName>none</pemFileName>", "error: <pemFileName>: open none"},
		{"SMIMECheckSignature", store(".p12") + "<keyStoreType>JCEKS</keyStoreType>", "error: <keyStoreType>: "},
		{"SMIMECheckSignature", strings.Replace(store(".p12"), ">secret", ">wrong", 1), "error: <keyStoreFileName>: file://conf/smime.p12: the secret is wrong"},
	} {
		_, problems := load(t, r, tc.class, tc.params)
		if !slices.ContainsFunc(problems, func(p string) bool {
			return strings.Contains(p, tc.want) && strings.HasPrefix(p, "1:") || strings.Contains(p, ": "+tc.want)
		}) {
			t.Errorf("%s %s: got %v, want %s", tc.class, tc.params, problems, tc.want)
		}
	}
}
