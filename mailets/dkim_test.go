package mailets

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dns/dnstest"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// keys are the keys of the tests, as PEM text and as the p= of a key record.
type keys struct{ rsa, rsaPublic, ed, edPublic string }

var testKeys = sync.OnceValue(func() keys {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	edPub, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	text := func(k any) string {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			panic(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	pub, err := x509.MarshalPKIXPublicKey(&r.PublicKey)
	if err != nil {
		panic(err)
	}
	return keys{text(r), base64.StdEncoding.EncodeToString(pub), text(ed), base64.StdEncoding.EncodeToString(edPub)}
})

// testFile is the ReadFile of the tests: a key, those for S/MIME, and nothing
// else.
func testFile(url string) ([]byte, error) {
	if url == "file://conf/dkim-mail.pem" {
		return []byte(testKeys().rsa), nil
	}
	if data := testSMIMEFile(url); data != nil {
		return data, nil
	}
	return nil, &fs.PathError{Op: "open", Path: url, Err: fs.ErrNotExist}
}

// keyRecord is a TXT record; strings are at most 255 octets.
func keyRecord(name, value string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s. 60 IN TXT", name)
	for len(value) > 0 {
		n := min(200, len(value))
		fmt.Fprintf(&b, " %q", value[:n])
		value = value[n:]
	}
	return b.String()
}

// dkimRegistry has a zone with the keys of the tests at mail._domainkey and
// ed._domainkey of example.com and example.org.
func dkimRegistry(t testing.TB) (*container.Registry, *dnstest.Server) {
	zone := dnstest.New(t)
	for _, d := range []string{"example.com", "example.org", "xn--bcher-kva.example"} {
		zone.Add(t, keyRecord("mail._domainkey."+d, "v=DKIM1; k=rsa; p="+testKeys().rsaPublic),
			keyRecord("ed._domainkey."+d, "v=DKIM1; k=ed25519; p="+testKeys().edPublic))
	}
	s := testServices(t)
	s.DNS = zone.Resolver()
	r := container.NewRegistry()
	Register(r, s)
	return r, zone
}

func signParams(template, key string) string {
	return "<signatureTemplate>" + template + "</signatureTemplate><privateKey>" + key + "</privateKey><defaultDomain>example.com</defaultDomain>"
}

func verified(t testing.TB, r *container.Registry, m *container.Mail) string {
	t.Helper()
	serve(t, mustLoad(t, r, "DKIMVerify", ""), m)
	text, _ := m.Attributes.String(attrDKIMResult)
	flag, ok := m.Attributes.Bool(attrDKIMFlag)
	if ok != !strings.HasPrefix(text, "neutral") || flag != strings.HasPrefix(text, "pass") {
		t.Errorf("flag is %t, %t with %q", flag, ok, text)
	}
	return text
}

const dkimHeader = "Received: from a\r\n by b\r\nFrom: A <a@example.org>\r\nTo: b@example.com,\r\n\tc@example.com\r\nSubject: hello  you\r\nDate: Mon, 1 Jan 2026 00:00:00 +0000\r\n"

func dkimMail(body container.Body) *container.Mail {
	m := testMail("bob@example.com")
	m.Message = container.NewMessage([]byte(dkimHeader), body)
	return m
}

func TestDKIMRoundTrip(t *testing.T) {
	r, _ := dkimRegistry(t)
	large := strings.Repeat("A line with  blanks \t in it.\r\n", 300000)
	for name, body := range map[string]string{
		"empty": "", "plain": "Hi.\r\n", "blank lines": "\r\n\r\nHi.\r\n\r\n\r\nHo \r\n\r\n\r\n", "no line end": "Hi", "only blank lines": "\r\n\r\n",
		"large": large, "long end": "x\r\n" + strings.Repeat("\r\n", 2<<20),
	} {
		for _, canon := range []string{"", "c=relaxed/relaxed;", "c=relaxed/simple;", "c=simple/relaxed;"} {
			t.Run(name+" "+canon, func(t *testing.T) {
				m := dkimMail(container.BytesBody(body))
				tmpl := "v=1; s=mail; d=%MAIL_FROM; h=from:to:subject:date:cc:received:from; " + canon + " a=rsa-sha256; bh=; b=;"
				serve(t, mustLoad(t, r, "DKIMSign", signParams(tmpl, testKeys().rsa)), m)
				h := string(m.Message.Header())
				if !strings.HasPrefix(h, "DKIM-Signature:") || !strings.HasSuffix(h, dkimHeader) {
					t.Fatalf("header is %q", h)
				}
				if got := verified(t, r, m); got != "pass (identity @example.org)" {
					t.Errorf("got %s", got)
				}
			})
		}
	}
}

func TestDKIMChanges(t *testing.T) {
	r, _ := dkimRegistry(t)
	sign := mustLoad(t, r, "DKIMSign", signParams("s=mail; d=example.org; h=from:from:subject; c=relaxed/relaxed", testKeys().rsa))
	for _, tc := range []struct {
		name   string
		change func(m *container.Mail)
		want   string
	}{
		{"nothing", func(*container.Mail) {}, "pass (identity @example.org)"},
		{"a field on top", func(m *container.Mail) { m.Message.SetHeader(append([]byte("X-A: b\r\n"), m.Message.Header()...)) }, "pass"},
		{"blanks", func(m *container.Mail) {
			m.Message.SetHeader([]byte(strings.Replace(string(m.Message.Header()), "hello  you", "hello \r\n you", 1)))
		}, "pass"},
		{"subject", func(m *container.Mail) {
			m.Message.SetHeader([]byte(strings.Replace(string(m.Message.Header()), "hello", "goodbye", 1)))
		}, "fail (identity@example.org:signature did not verify"},
		{"second From", func(m *container.Mail) {
			m.Message.SetHeader(append([]byte("From: evil@example.net\r\n"), m.Message.Header()...))
		}, "fail (identity@example.org:signature did not verify"},
		{"body", func(m *container.Mail) {
			m.Message = container.NewMessage(m.Message.Header(), container.BytesBody("Other.\r\n"))
		}, "fail (identity@example.org:body hash did not verify)"},
		{"body grown", func(m *container.Mail) {
			m.Message = container.NewMessage(m.Message.Header(), container.BytesBody("Hi.\r\n\r\nBuy!\r\n"))
		}, "fail (identity@example.org:body hash did not verify)"},
		{"not signed", func(m *container.Mail) { m.Message = container.NewMessage([]byte(dkimHeader), nil) }, "neutral (no signatures)"},
		{"nonsense", func(m *container.Mail) {
			m.Message.SetHeader([]byte("DKIM-Signature: nonsense\r\n" + dkimHeader))
		}, "fail (malformed signature tags"},
		{"nonsense above a good one", func(m *container.Mail) {
			m.Message.SetHeader(append([]byte("DKIM-Signature: v=1; d=x\r\n"), m.Message.Header()...))
		}, "pass (identity @example.org)"},
		{"a costly header", func(m *container.Mail) {
			m.Message.SetHeader(append([]byte("To: x\r\n"+strings.Repeat(" x\r\n", 100000)), m.Message.Header()...))
		}, "fail (too costly to check"},
		{"blank lines", func(m *container.Mail) {
			m.Message = container.NewMessage(m.Message.Header(), container.BytesBody("x"+strings.Repeat("\r\n", 1<<20)+"x"))
		}, "fail (too costly to check"},
		{"many signatures", func(m *container.Mail) {
			m.Message.SetHeader([]byte(strings.Repeat("DKIM-Signature: v=1; d=x.test; s=s; a=rsa-sha256; h=from; b=a; bh=b\r\n", 20) + string(m.Message.Header())))
		}, "fail (identity@x.test:no key for signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := dkimMail(container.BytesBody("Hi.\r\n"))
			serve(t, sign, m)
			tc.change(m)
			if got := verified(t, r, m); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestDKIMDomains(t *testing.T) {
	r, _ := dkimRegistry(t)
	for _, tc := range []struct{ name, class, template, key, sender, want string }{
		{"null sender", "DKIMSign", "s=mail; d=%MAIL_FROM; h=from", testKeys().rsa, "", "pass (identity @example.com)"},
		{"literal", "DKIMSign", "s=mail; d=%MAIL_FROM; h=from", testKeys().rsa, "a@[192.0.2.1]", "pass (identity @example.com)"},
		{"IDN", "DKIMSign", "s=mail; d=%MAIL_FROM; h=from", testKeys().rsa, "a@bücher.example", "pass (identity @xn--bcher-kva.example)"},
		{"identity", "DKIMSign", "s=mail; d=%MAIL_FROM; i=@lists.%MAIL_FROM; h=from", testKeys().rsa, "a@example.org", "pass (identity @lists.example.org)"},
		{"fixed", "EncapsulatedDKIMSign", "s=mail; d=example.com; h=from; q=dns/txt; t=", testKeys().rsa, "a@example.org", "pass (identity @example.com)"},
		{"Ed25519", "EncapsulatedDKIMSign", "s=ed; d=example.com; h=from; a=ed25519-sha256", testKeys().ed, "a@example.org", "pass (identity @example.com)"},
		{"expired", "EncapsulatedDKIMSign", "s=mail; d=example.com; h=from; x=1000000000", testKeys().rsa, "a@example.org", "fail (identity@example.com:signature has expired)"},
		{"no key record", "EncapsulatedDKIMSign", "s=other; d=example.com; h=from", testKeys().rsa, "a@example.org", "fail (identity@example.com:no key for signature"},
		{"hostile selector", "EncapsulatedDKIMSign", "s=a/b; d=example.com; h=from", testKeys().rsa, "a@example.org", "fail (identity@example.com:no key for signature"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := dkimMail(container.BytesBody("Hi.\r\n"))
			m.Sender = container.Address{}
			if tc.sender != "" {
				m.Sender = container.MustAddress(tc.sender)
			}
			params := signParams(tc.template, tc.key)
			if tc.class != "DKIMSign" {
				params = strings.TrimSuffix(params, "<defaultDomain>example.com</defaultDomain>")
			}
			serve(t, mustLoad(t, r, tc.class, params), m)
			if got := verified(t, r, m); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestDKIMZone(t *testing.T) {
	r, zone := dkimRegistry(t)
	sign := mustLoad(t, r, "DKIMSign", signParams("s=mail; d=%MAIL_FROM; h=from", testKeys().rsa))
	for _, tc := range []struct{ name, record, want string }{
		{"revoked", "v=DKIM1; p=", "fail (identity@zone.test:key revoked)"},
		{"not base64", "v=DKIM1; p=!!", "fail (identity@zone.test:key syntax error"},
		{"other algorithm", "v=DKIM1; k=ed25519; p=" + testKeys().edPublic, "fail (identity@zone.test:inappropriate key algorithm)"},
		{"other service", "v=DKIM1; s=chat; p=" + testKeys().rsaPublic, "fail (identity@zone.test:inappropriate service)"},
		{"a huge key", "v=DKIM1; p=" + strings.Repeat("A", 3000), "fail (identity@zone.test:no key for signature"},
		{"no answer", "", "fail (identity@zone.test:temporary: key unavailable"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := testServices(t)
			zone.Remove("mail._domainkey.zone.test")
			zone.Fail("mail._domainkey.zone.test", "SERVFAIL")
			if tc.record != "" {
				zone.Fail("mail._domainkey.zone.test", "")
				zone.Add(t, keyRecord("mail._domainkey.zone.test", tc.record))
			}
			s.DNS = zone.Resolver()
			reg := container.NewRegistry()
			Register(reg, s)
			m := dkimMail(container.BytesBody("Hi.\r\n"))
			m.Sender = container.MustAddress("a@zone.test")
			serve(t, sign, m)
			if got := verified(t, reg, m); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// A signed mail that went through the store still verifies, in memory or as a
// file, and what it was told about its signature is still there.
func TestDKIMThroughQueue(t *testing.T) {
	r, _ := dkimRegistry(t)
	store, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	if err := store.CreateQueue(t.Context(), "q"); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{"small": "Hi.\r\n\r\n\r\n", "large": strings.Repeat("Hi there.\r\n", 500000)} {
		m := dkimMail(container.BytesBody(body))
		serve(t, mustLoad(t, r, "DKIMSign", signParams("s=mail; d=%MAIL_FROM; h=from:to:subject", testKeys().rsa)), m)
		verified(t, r, m)
		if err := store.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "q"}}}); err != nil {
			t.Fatal(err)
		}
		lease, err := store.Lease(t.Context(), repository.LeaseRequest{Queue: "q", Limit: 1})
		if err != nil || len(lease.Items) != 1 {
			t.Fatalf("%s: %d items, %v", name, len(lease.Items), err)
		}
		back := lease.Items[0].Mail
		if !reflect.DeepEqual(back.Attributes, m.Attributes) {
			t.Errorf("%s: attributes are %v, were %v", name, back.Attributes, m.Attributes)
		}
		if got := verified(t, r, back); got != "pass (identity @example.org)" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func TestDKIMParameters(t *testing.T) {
	r, _ := dkimRegistry(t)
	good := "<signatureTemplate>s=mail; d=x.test; h=from</signatureTemplate>"
	for _, tc := range []struct{ class, params, want string }{
		{"DKIMSign", "<privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath>", "error: <signatureTemplate> is required"},
		{"DKIMSign", good, "error: DKIMSign: <privateKey> or <privateKeyFilepath> is required"},
		{"DKIMSign", good + "<privateKeyFilepath>file://conf/other.pem</privateKeyFilepath>", "error: <privateKeyFilepath>: "},
		{"DKIMSign", good + "<privateKey>hello</privateKey>", "error: <privateKey>: no private key"},
		{"DKIMSign", "<signatureTemplate>s=mail; d=x.test; h=to</signatureTemplate><privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath>", "error: <signatureTemplate>: h= must have from"},
		{"DKIMSign", "<signatureTemplate>s=mail; d=%MAIL_FROM; h=from</signatureTemplate><privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath>", "error: <signatureTemplate>: %MAIL_FROM needs"},
		{"DKIMSign", "<signatureTemplate>s=mail; d=x.test; h=from; l=</signatureTemplate><privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath>", "warning: <signatureTemplate>: the tag l= is left out"},
		{"DKIMSign", "<signatureTemplate>s=mail; d=x.test; h=from; a=ed25519-sha256</signatureTemplate><privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath>", "error: <privateKeyFilepath>: a=ed25519-sha256 does not go"},
		{"DKIMSign", good + "<privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath><defaultDomain>a b</defaultDomain>", "error: <defaultDomain>: "},
		{"EncapsulatedDKIMSign", "<signatureTemplate>s=mail; d=%MAIL_FROM; h=from</signatureTemplate><privateKeyFilepath>conf://dkim-mail.pem</privateKeyFilepath>", "error: <signatureTemplate>: %MAIL_FROM cannot be used here"},
		{"DKIMVerify", "<forceCRLF>perhaps</forceCRLF>", "warning: <forceCRLF> is"},
	} {
		_, problems := load(t, r, tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

// Without ReadFile, keys are read relative to the working directory.
func TestReadFileDefault(t *testing.T) {
	name := filepath.Join(t.TempDir(), "k.pem")
	if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := withDefaults(Services{})
	for _, ref := range []string{name, "file://" + name} {
		if data, err := s.ReadFile(ref); err != nil || string(data) != "x" {
			t.Errorf("%s: got %q, %v", ref, data, err)
		}
	}
}

func TestDKIMSignFailure(t *testing.T) {
	r, _ := dkimRegistry(t)
	sign := mustLoad(t, r, "DKIMSign", signParams("s=mail; d=%MAIL_FROM; h=from", testKeys().rsa))
	m := dkimMail(container.BytesBody("x" + strings.Repeat("\r\n", 1<<20) + "x"))
	if err := sign.Service(t.Context(), m, &container.Outbox{}); err == nil || string(m.Message.Header()) != dkimHeader {
		t.Errorf("error is %v, header %q", err, m.Message.Header())
	}
}

func BenchmarkDKIM(b *testing.B) {
	r, _ := dkimRegistry(b)
	sign := mustLoad(b, r, "DKIMSign", signParams("s=mail; d=example.org; h=from:to:subject; c=relaxed/relaxed", testKeys().rsa))
	verify := mustLoad(b, r, "DKIMVerify", "")
	for _, size := range []int{10 << 10, 10 << 20} {
		body := container.BytesBody(strings.Repeat("Some words on a line, of the usual length, more or less.\r\n", size/58))
		b.Run(fmt.Sprint("sign ", size), func(b *testing.B) {
			for b.Loop() {
				serve(b, sign, dkimMail(body))
			}
		})
		m := dkimMail(body)
		serve(b, sign, m)
		b.Run(fmt.Sprint("verify ", size), func(b *testing.B) {
			for b.Loop() {
				serve(b, verify, m)
			}
		})
	}
}
