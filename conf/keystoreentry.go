package conf

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
)

// ParseKeystoreEntry returns one private key with its certificate chain; Leaf is
// set. The data are a Java keystore, JKS or PKCS #12, or a PEM file with an
// unencrypted key and its certificates. In a JKS keystore the key is that of
// alias, whose case does not count, or without alias the only one, and keySecret
// decrypts it, or without that the secret of the store. The other forms hold one
// key only, and neither is used. Errors do not quote secrets.
func ParseKeystoreEntry(data []byte, secret, alias, keySecret string) (tls.Certificate, error) {
	if isPEM(data) {
		pair, err := tls.X509KeyPair(data, data)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("parse PEM file, which must hold a private key, unencrypted, and its certificate: %w", err)
		}
		return pair, nil
	}
	if len(data) >= 4 && binary.BigEndian.Uint32(data) == magicJKS {
		return jksEntryOf(data, secret, alias, keySecret)
	}
	pairs, err := ParseKeystore(data, secret)
	if err != nil {
		return tls.Certificate{}, err
	}
	return pairs[0], nil
}

func jksEntryOf(data []byte, secret, alias, keySecret string) (tls.Certificate, error) {
	if len(data) > MaxFileSize {
		return tls.Certificate{}, fmt.Errorf("it has %d octets; no keystore may have more than %d", len(data), MaxFileSize)
	}
	store, password, err := loadJKS(data, secret)
	if err != nil {
		return tls.Certificate{}, err
	}
	if alias, err = jksAlias(store, alias); err != nil {
		return tls.Certificate{}, err
	}
	if keySecret != "" {
		var ok bool
		if password, ok = latin1(keySecret); !ok {
			return tls.Certificate{}, errors.New("the secret of a key in a JKS keystore can have characters up to U+00FF only")
		}
	}
	chain, err := jksChain(store, alias)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("entry %q: %w", alias, err)
	}
	pair, err := jksPair(store, alias, password, chain)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("entry %q: %w", alias, err)
	}
	return pair, nil
}

// jksAlias returns the alias of a private key as it stands in the store.
func jksAlias(store keystore.KeyStore, alias string) (string, error) {
	var keys []string
	for _, a := range store.Aliases() {
		if !store.IsPrivateKeyEntry(a) {
			continue
		}
		if strings.EqualFold(a, alias) {
			return a, nil
		}
		keys = append(keys, a)
	}
	switch {
	case len(keys) == 0:
		return "", errNoKey
	case alias != "":
		return "", fmt.Errorf("it has no private key %q, but %s", alias, strings.Join(keys, ", "))
	case len(keys) > 1:
		return "", fmt.Errorf("it has several private keys, and one has to be chosen: %s", strings.Join(keys, ", "))
	}
	return keys[0], nil
}
