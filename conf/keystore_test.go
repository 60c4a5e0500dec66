package conf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

const storeSecret = "ke y+sïcret"

// identity is a key with its certificate.
type identity struct {
	key  crypto.Signer
	cert *x509.Certificate
}

// newIdentity makes a certificate for name, signed by ca or, without, by itself.
func newIdentity(t testing.TB, name string, key crypto.Signer, ca *identity) *identity {
	t.Helper()
	now := time.Now()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	id := &identity{key: key}
	if ca == nil {
		ca = &identity{key, tmpl}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, ca.cert, key.Public(), ca.key)
	if err == nil {
		id.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ecKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// jksEntry is a private key with its chain or, without key, one certificate.
type jksEntry struct {
	alias string
	key   crypto.Signer
	chain []*x509.Certificate
}

// jks makes a JKS keystore; the secret has one octet for each character.
func jks(t testing.TB, secret, keySecret []byte, entries ...jksEntry) []byte {
	t.Helper()
	store := keystore.New()
	var err error
	for _, e := range entries {
		var chain []keystore.Certificate
		for _, c := range e.chain {
			chain = append(chain, keystore.Certificate{Type: "X.509", Content: c.Raw})
		}
		if e.key == nil {
			err = store.SetTrustedCertificateEntry(e.alias, keystore.TrustedCertificateEntry{CreationTime: time.Now(), Certificate: chain[0]})
		} else {
			der, _ := x509.MarshalPKCS8PrivateKey(e.key)
			if der == nil { // a kind that Go does not know
				der = []byte("unknown")
			}
			err = store.SetPrivateKeyEntry(e.alias, keystore.PrivateKeyEntry{CreationTime: time.Now(), PrivateKey: der, CertificateChain: chain}, keySecret)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := store.Store(&b, secret); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// badKey is a key that has no form in a file.
type badKey struct{ crypto.Signer }

// names returns the subjects of the chains of pairs.
func names(t testing.TB, pairs []tls.Certificate) string {
	t.Helper()
	var out []string
	for _, p := range pairs {
		var chain []string
		for _, der := range p.Certificate {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, c.Subject.CommonName)
		}
		if !belongs(p.Leaf, p.PrivateKey) || !bytes.Equal(p.Leaf.Raw, p.Certificate[0]) {
			t.Errorf("%v: leaf and key do not belong together", chain)
		}
		out = append(out, strings.Join(chain, "<"))
	}
	return strings.Join(out, " ")
}

func subjects(certs []*x509.Certificate) string {
	var out []string
	for _, c := range certs {
		out = append(out, c.Subject.CommonName)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// must returns v, an encoded keystore.
func must(t testing.TB) func(v []byte, err error) []byte {
	return func(v []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestParseKeystore(t *testing.T) {
	ca := newIdentity(t, "ca", ecKey(t), nil)
	sub := newIdentity(t, "sub", ecKey(t), ca)
	mx := newIdentity(t, "mx", ecKey(t), sub)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	other, ed := newIdentity(t, "other", rsaKey, nil), newIdentity(t, "ed", edKey, nil)
	secret := []byte("ke y+s\xefcret")
	chain := []*x509.Certificate{mx.cert, sub.cert, ca.cert}
	one := jks(t, secret, secret, jksEntry{"mx", mx.key, chain})
	flipped := slices.Clone(one)
	flipped[40] ^= 1

	for _, tc := range []struct {
		name         string
		data         []byte
		keys, trusts string // what the keystore, the trust store has
		err, trust   string // errors
	}{
		{name: "JKS", data: one, keys: "mx<sub<ca", trusts: "mx"},
		{name: "JKS, several entries", data: jks(t, secret, secret, jksEntry{"z", other.key, []*x509.Certificate{other.cert}},
			jksEntry{"b", mx.key, chain}, jksEntry{"a", nil, []*x509.Certificate{ca.cert}}, jksEntry{"c", ed.key, []*x509.Certificate{ed.cert}}),
			keys: "mx<sub<ca ed other", trusts: "ca ed mx other"},
		{name: "JKS, trusted only", data: jks(t, secret, nil, jksEntry{"a", nil, []*x509.Certificate{ca.cert}}), err: "it holds no private key", trusts: "ca"},
		{name: "JKS, empty", data: jks(t, secret, nil), err: "it holds no private key", trust: "it holds no trusted certificate"},
		{name: "JKS, other secret", data: jks(t, []byte("other"), secret, jksEntry{"mx", mx.key, chain}), err: "the secret is wrong or missing", trust: "the secret is wrong or missing"},
		{name: "JKS, other secret of key", data: jks(t, secret, []byte("other"), jksEntry{"mx", mx.key, chain}),
			err: `entry "mx": its private key cannot be decrypted with the secret of the keystore`, trusts: "mx"},
		{name: "JKS, unknown kind of key", data: jks(t, secret, secret, jksEntry{"a", mx.key, chain}, jksEntry{"dsa", badKey{mx.key}, []*x509.Certificate{other.cert}}),
			err: `entry "dsa": parse private key: `, trusts: "mx other"},
		{name: "JKS, foreign certificate", data: jks(t, secret, secret, jksEntry{"mx", mx.key, []*x509.Certificate{ca.cert}}),
			err: `entry "mx": its certificate is not that of its private key`, trusts: "ca"},
		{name: "JKS, no chain", data: jks(t, secret, secret, jksEntry{"mx", mx.key, nil}), err: `entry "mx": it holds no private key with its certificate`, trust: "it holds no trusted certificate"},
		{name: "JKS, damaged", data: flipped, err: "or the file is damaged", trust: "or the file is damaged"},
		{name: "JKS, cut off", data: one[:len(one)-1], err: "or the file is damaged", trust: "or the file is damaged"},
		{name: "JKS, magic alone", data: one[:4], err: "or the file is damaged", trust: "or the file is damaged"},
		{name: "JCEKS", data: []byte("\xce\xce\xce\xce\x00\x00\x00\x02"), err: "it is a JCEKS keystore; convert it", trust: "it is a JCEKS keystore"},
		{name: "PKCS12, modern", data: must(t)(pkcs12.Modern2023.Encode(mx.key, mx.cert, chain[1:], storeSecret)), keys: "mx<sub<ca", trusts: "mx"},
		{name: "PKCS12, PBMAC1", data: must(t)(pkcs12.Modern2026.Encode(mx.key, mx.cert, nil, storeSecret)), keys: "mx", trusts: "mx"},
		{name: "PKCS12, legacy", data: must(t)(pkcs12.LegacyDES.Encode(mx.key, mx.cert, chain[1:], storeSecret)), keys: "mx<sub<ca", trusts: "mx"},
		{name: "PKCS12, RC2", data: must(t)(pkcs12.LegacyRC2.Encode(other.key, other.cert, nil, storeSecret)), keys: "other", trusts: "other"},
		{name: "PKCS12, any order", data: must(t)(pkcs12.Modern.Encode(mx.key, ca.cert, []*x509.Certificate{sub.cert, mx.cert}, storeSecret)), keys: "mx<sub<ca", trusts: "mx"},
		{name: "PKCS12, other certificates", data: must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, []*x509.Certificate{other.cert}, storeSecret)),
			keys: "mx", trust: "which of them are trusted cannot be told"},
		{name: "PKCS12, foreign certificate", data: must(t)(pkcs12.Modern.Encode(mx.key, ca.cert, nil, storeSecret)), err: "it holds no private key with its certificate", trust: "it holds no private"},
		{name: "PKCS12, other secret", data: must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, nil, "other")), err: "the secret is wrong or missing", trust: "the secret is wrong or missing"},
		{name: "PKCS12, trusted only", data: must(t)(pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{ca.cert, other.cert}, storeSecret)), err: "it holds no private key", trusts: "ca other"},
		{name: "PKCS12, trusted only, open", data: must(t)(pkcs12.Passwordless.EncodeTrustStore([]*x509.Certificate{ca.cert}, "")), err: "it holds no private key", trusts: "ca"},
		{name: "PKCS12, cut off", data: must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, nil, storeSecret))[:100], err: "it is neither JKS nor PKCS #12", trust: "it is neither JKS nor"},
		{name: "PKCS12, endless hashing", data: endlessMAC(t, 1<<40), err: "it asks for 1099511627776 rounds", trust: "rounds of hashing"},
		{name: "PKCS12, negative hashing", data: endlessMAC(t, -1), err: "it asks for -1 rounds", trust: "rounds of hashing"},
		{name: "PKCS12, PBMAC1, endless hashing", data: endlessPBMAC1(t, 5_000_001), err: "it asks for 5000001 rounds", trust: "it asks for 5000001 rounds"},
		{name: "PKCS12, encrypted without digest", data: withoutMAC(t, must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, nil, storeSecret))), err: "has no digest (MAC)", trust: "has no digest (MAC)"},
		{name: "certificate", data: ca.cert.Raw, err: "it is neither JKS nor PKCS #12", trust: "it is neither JKS nor PKCS #12"},
		{name: "PEM", data: slices.Concat(certPEM(ca.cert), []byte("text\n"), certPEM(mx.cert)), err: "it is a PEM file, no Java keystore: name it in privateKey", trusts: "ca mx"},
		{name: "PEM of a key", data: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), err: "it is a PEM file", trust: "it holds no trusted certificate"},
		{name: "PEM, damaged", data: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), err: "it is a PEM file", trust: "parse certificate"},
		{name: "rubbish", data: []byte("keystore"), err: "it is neither JKS nor PKCS #12", trust: "it is neither"},
		{name: "empty", err: "it is neither JKS nor PKCS #12", trust: "it is neither"},
		{name: "huge", data: append(slices.Clone(one), make([]byte, MaxFileSize)...), err: "no keystore may have more than 16777216", trust: "no keystore may have more"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pairs, err := ParseKeystore(tc.data, storeSecret)
			if got := names(t, pairs); got != tc.keys || !is(err, tc.err) {
				t.Errorf("keystore: got %q, %v, want %q, %s", got, err, tc.keys, tc.err)
			}
			trusted, err := ParseTruststore(tc.data, storeSecret)
			if got := subjects(trusted); got != tc.trusts || !is(err, tc.trust) {
				t.Errorf("trust store: got %q, %v, want %q, %s", got, err, tc.trusts, tc.trust)
			}
		})
	}
}

// is reports whether err has the text want, or is nil for "". No error may show
// the secret.
func is(err error, want string) bool {
	if err == nil {
		return want == ""
	}
	return want != "" && strings.Contains(err.Error(), want) && !strings.Contains(err.Error(), storeSecret)
}

func certPEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// endlessMAC returns the frame of a PKCS #12 file that asks for rounds of
// hashing before its secret can be checked.
func endlessMAC(t testing.TB, rounds int) []byte {
	t.Helper()
	sha := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}}
	return frame(t, sha, []byte("x"), rounds)
}

func frame(t testing.TB, algorithm pkix.AlgorithmIdentifier, value []byte, rounds int) []byte {
	t.Helper()
	type digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Value     []byte
	}
	type mac struct {
		Digest     digest
		Salt       []byte
		Iterations int
	}
	return must(t)(asn1.Marshal(struct {
		Version int
		Content []byte
		MAC     mac
	}{3, []byte("x"), mac{digest{algorithm, value}, []byte("salt"), rounds}}))
}

// endlessPBMAC1 is endlessMAC with the rounds in the parameters of PBMAC1.
func endlessPBMAC1(t testing.TB, rounds int) []byte {
	t.Helper()
	kdf := must(t)(asn1.Marshal(struct {
		Salt               []byte
		Iterations, Length int
	}{[]byte("salt"), rounds, 32}))
	oid := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
	params := must(t)(asn1.Marshal(struct{ KDF, MAC pkix.AlgorithmIdentifier }{
		pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: kdf}}, pkix.AlgorithmIdentifier{Algorithm: oid}}))
	return frame(t, pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: params}}, []byte("x"), 1)
}

// withoutMAC returns the PKCS #12 file without its digest.
func withoutMAC(t testing.TB, data []byte) []byte {
	t.Helper()
	var pfx struct {
		Version int
		Content asn1.RawValue
		MAC     asn1.RawValue
	}
	if _, err := asn1.Unmarshal(data, &pfx); err != nil {
		t.Fatal(err)
	}
	return must(t)(asn1.Marshal(struct {
		Version int
		Content asn1.RawValue
	}{pfx.Version, pfx.Content}))
}

// signed JKS data whose one key is too short to have salt and digest.
const shortKey = "\xfe\xed\xfe\xed\x00\x00\x00\x02\x00\x00\x00\x01\x00\x00\x00\x01\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00" +
	"\x00\x00\x00\x16\x30\x14\x30\x0e\x06\x0a\x2b\x06\x01\x04\x01\x2a\x02\x11\x01\x01\x05\x00\x04\x02ab\x00\x00\x00\x00"

// signJKS adds the digest that whoever knows the secret, in UTF-16, can make.
func signJKS(data []byte, secret string) []byte {
	digest := sha1.Sum(slices.Concat([]byte(secret+"Mighty Aphrodite"), data))
	return slices.Concat(data, digest[:])
}

// A file that is signed with the right secret is not believed either.
func TestHostileJKS(t *testing.T) {
	for name, tc := range map[string]struct{ data, want string }{
		"short key":            {shortKey, "the encrypted key is too short"},
		"many entries":         {shortKey[:8] + "\xff\xff\xff\xff" + shortKey[12:], "what it says about lengths is wrong"},
		"long key":             {shortKey[:27] + "\xff\xff\xff\xff" + shortKey[31:], "what it says about lengths is wrong"},
		"many certificates":    {shortKey[:len(shortKey)-4] + "\xff\xff\xff\xff", "what it says about lengths is wrong"},
		"more than it says":    {shortKey + "x", "what it says about lengths is wrong"},
		"unknown kind of item": {shortKey[:15] + "\x03\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "parse JKS keystore"},
		"unknown version":      {shortKey[:7] + "\x03" + shortKey[8:], "version 3"},
	} {
		if _, err := ParseKeystore(signJKS([]byte(tc.data), "\x00s"), "s"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

// An authority that got a new key has two certificates of one name.
func TestChainByKeyIdentifier(t *testing.T) {
	old, renewed := newIdentity(t, "ca", ecKey(t), nil), newIdentity(t, "ca", ecKey(t), nil)
	mx := newIdentity(t, "mx", ecKey(t), renewed)
	for _, rest := range [][]*x509.Certificate{{old.cert, renewed.cert}, {renewed.cert, old.cert}} {
		pairs, err := ParseKeystore(must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, rest, "s")), "s")
		if err != nil || len(pairs[0].Certificate) != 2 || !bytes.Equal(pairs[0].Certificate[1], renewed.cert.Raw) {
			t.Errorf("got %d certificates, %v", len(pairs[0].Certificate), err)
		}
	}
}

func TestEmptySecret(t *testing.T) {
	id := newIdentity(t, "mx", ecKey(t), nil)
	for name, data := range map[string][]byte{
		"JKS":    jks(t, nil, nil, jksEntry{"mx", id.key, []*x509.Certificate{id.cert}}),
		"PKCS12": must(t)(pkcs12.Modern.Encode(id.key, id.cert, nil, "")),
	} {
		if pairs, err := ParseKeystore(data, ""); err != nil || names(t, pairs) != "mx" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A secret may have any character in PKCS #12; JKS ends at U+00FF and says so.
func TestForeignSecret(t *testing.T) {
	const secret = "ключ"
	id := newIdentity(t, "mx", ecKey(t), nil)
	if pairs, err := ParseKeystore(must(t)(pkcs12.Modern.Encode(id.key, id.cert, nil, secret)), secret); err != nil || names(t, pairs) != "mx" {
		t.Errorf("PKCS12: %v", err)
	}
	data := jks(t, nil, nil, jksEntry{"mx", id.key, []*x509.Certificate{id.cert}})
	data = signJKS(data[:len(data)-sha1.Size], "\x04\x3a\x04\x3b\x04\x4e\x04\x47")
	if _, err := ParseKeystore(data, secret); err == nil || !strings.Contains(err.Error(), "up to U+00FF only") {
		t.Errorf("JKS: %v", err)
	}
}

func TestKeystoreType(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "JKS": true, "jks": true, "PKCS12": true, "pkcs12": true, "JCEKS": false, "PEM": false} {
		if err := checkKeystoreType(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestReadKeyFile(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big")
	if err := os.WriteFile(big, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(big, MaxFileSize+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "none: no such file or directory",
		dir:                        dir + ": it is not a regular file",
		big:                        "big: it has 16777217 octets",
	} {
		if _, err := ReadKeyFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := os.Truncate(big, 3); err != nil {
		t.Fatal(err)
	}
	if data, err := ReadKeyFile(big); err != nil || len(data) != 3 {
		t.Errorf("got %q, %v", data, err)
	}
}

func TestCertificateWarnings(t *testing.T) {
	id := newIdentity(t, "mx", ecKey(t), nil)
	pair := []tls.Certificate{{Certificate: [][]byte{id.cert.Raw}}}
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{{0, ""}, {2 * time.Hour, "the certificate of CN=mx expired on "}, {-2 * time.Hour, "the certificate of CN=mx is not valid before "}} {
		got := strings.Join(CertificateWarnings(pair, time.Now().Add(tc.after)), "; ")
		if !strings.HasPrefix(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%v: got %q, want %q", tc.after, got, tc.want)
		}
	}
}

// Whatever is done to a keystore, it is refused or read: nothing else.
func FuzzParseKeystore(f *testing.F) {
	id := newIdentity(f, "mx", ecKey(f), nil)
	f.Add(jks(f, []byte("s"), []byte("s"), jksEntry{"mx", id.key, []*x509.Certificate{id.cert}}), false)
	f.Add(must(f)(pkcs12.LegacyDES.WithIterations(1).Encode(id.key, id.cert, nil, "s")), false)
	f.Add([]byte(shortKey), true)
	f.Fuzz(func(t *testing.T, data []byte, sign bool) {
		if sign { // what somebody made who knows the secret
			data = signJKS(data, "\x00s")
		}
		pairs, err := ParseKeystore(data, "s")
		if (err == nil) != (len(pairs) > 0) {
			t.Errorf("%d keys, error %v", len(pairs), err)
		}
		trusted, err := ParseTruststore(data, "s")
		if (err == nil) != (len(trusted) > 0) {
			t.Errorf("%d certificates, error %v", len(trusted), err)
		}
	})
}

// Where there is a JDK its own keytool makes the files.
func TestKeytool(t *testing.T) {
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		return // the tests above have the same forms from other makers
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		args = append(args, "-storepass", "changeit", "-noprompt", "-J-XX:TieredStopAtLevel=1")
		if out, err := exec.Command(keytool, args...).CombinedOutput(); err != nil {
			t.Fatalf("keytool %s: %v\n%s", args, err, out)
		}
	}
	for _, form := range []string{"JKS", "PKCS12"} {
		store, trust, cert := filepath.Join(dir, form), filepath.Join(dir, form+".trust"), filepath.Join(dir, form+".cert")
		run("-genkeypair", "-alias", "James", "-keyalg", "EC", "-dname", "CN=mx."+form, "-keystore", store, "-storetype", form, "-keypass", "changeit")
		data, err := os.ReadFile(store)
		if err != nil {
			t.Fatal(err)
		}
		pairs, err := ParseKeystore(data, "changeit")
		if got := names(t, pairs); err != nil || got != "mx."+form {
			t.Fatalf("%s: got %q, %v", form, got, err)
		}
		if err := os.WriteFile(cert, certPEM(pairs[0].Leaf), 0o600); err != nil {
			t.Fatal(err)
		}
		run("-importcert", "-alias", "ca", "-file", cert, "-keystore", trust, "-storetype", form)
		if data, err = os.ReadFile(trust); err != nil {
			t.Fatal(err)
		}
		trusted, err := ParseTruststore(data, "changeit")
		if got := subjects(trusted); err != nil || got != "mx."+form {
			t.Errorf("%s trust store: got %q, %v", form, got, err)
		}
		if _, err := ParseTruststore(data, ""); fmt.Sprint(err) != errSecret.Error() {
			t.Errorf("%s trust store without secret: %v", form, err)
		}
	}
}
