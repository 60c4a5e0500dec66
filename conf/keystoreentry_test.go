package conf

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func TestParseKeystoreEntry(t *testing.T) {
	ca := newIdentity(t, "ca", ecKey(t), nil)
	mx := newIdentity(t, "mx", ecKey(t), ca)
	other := newIdentity(t, "other", ecKey(t), nil)
	store, own := []byte("ke y+s\xefcret"), []byte("own")
	chain := []*x509.Certificate{mx.cert, ca.cert}
	two := jks(t, store, own, jksEntry{"A", mx.key, chain}, jksEntry{"b", other.key, []*x509.Certificate{other.cert}}, jksEntry{"c", nil, []*x509.Certificate{ca.cert}})
	one := jks(t, store, store, jksEntry{"a", mx.key, chain}, jksEntry{"c", nil, []*x509.Certificate{ca.cert}})
	key, err := x509.MarshalPKCS8PrivateKey(mx.key)
	if err != nil {
		t.Fatal(err)
	}
	text := slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: mx.cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))

	for _, tc := range []struct {
		name, secret, alias, keySecret string
		data                           []byte
		want                           string // chain, or error
	}{
		{name: "only key", data: one, want: "mx<ca"},
		{name: "only key by name", data: one, alias: "A", want: "mx<ca"},
		{name: "key with a secret of its own", data: two, alias: "a", keySecret: "own", want: "mx<ca"},
		{name: "second key", data: two, alias: "B", keySecret: "own", want: "other"},
		{name: "secret of the store does not open the key", data: two, alias: "a", want: "cannot be decrypted"},
		{name: "wrong secret of the key", data: two, alias: "a", keySecret: "x", want: "cannot be decrypted"},
		{name: "secret that JKS cannot have", data: two, alias: "a", keySecret: "€", want: "up to U+00FF"},
		{name: "wrong secret", data: one, secret: "x", want: "the secret is wrong"},
		{name: "which key", data: two, want: "one has to be chosen: a, b"},
		{name: "no such key", data: two, alias: "z", want: `no private key "z", but a, b`},
		{name: "certificate is no key", data: two, alias: "c", want: `no private key "c"`},
		{name: "no key", data: jks(t, store, nil, jksEntry{"c", nil, []*x509.Certificate{ca.cert}}), want: "it holds no private key"},
		{name: "PKCS12", data: must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, chain[1:], storeSecret)), alias: "any", want: "mx<ca"},
		{name: "PKCS12, wrong secret", data: must(t)(pkcs12.Modern.Encode(mx.key, mx.cert, nil, storeSecret)), secret: "x", want: "the secret is wrong"},
		{name: "PEM", data: text, want: "mx<ca"},
		{name: "PEM without key", data: text[slices.Index(text, '\n'):], want: "parse PEM file"},
		{name: "JKS, cut off", data: one[:9], want: "the secret is wrong or missing, or the file is damaged"},
		{name: "neither", data: []byte("hello"), want: "neither JKS nor PKCS #12"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			secret := storeSecret
			if tc.secret != "" {
				secret = tc.secret
			}
			pair, err := ParseKeystoreEntry(tc.data, secret, tc.alias, tc.keySecret)
			if err != nil {
				if !strings.Contains(err.Error(), tc.want) {
					t.Errorf("got error %v, want %s", err, tc.want)
				}
				return
			}
			var subjects []string
			for _, der := range pair.Certificate {
				c, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				subjects = append(subjects, c.Subject.CommonName)
			}
			if got := strings.Join(subjects, "<"); got != tc.want || pair.Leaf == nil || !belongs(pair.Leaf, pair.PrivateKey) {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}
