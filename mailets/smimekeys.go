package mailets

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/smime"
)

// smimeIdentity reads the parameters that name a private key; nil when it cannot
// be had.
func smimeIdentity(s Services, p *conf.Params) *smime.Identity {
	file := p.Required("keyStoreFileName")
	secret, alias, own := p.String("keyStorePassword", ""), p.String("keyAlias", ""), p.String("keyAliasPassword", "")
	if !storeType(p) || file == "" {
		return nil
	}
	data, err := s.ReadFile(confURL(file))
	if err != nil {
		p.Fail("keyStoreFileName", err)
		return nil
	}
	pair, err := conf.ParseKeystoreEntry(data, secret, alias, own)
	if err != nil {
		p.Fail("keyStoreFileName", fmt.Errorf("%s: %w", file, err))
		return nil
	}
	id, err := smime.NewIdentity(pair)
	if err != nil {
		p.Fail("keyStoreFileName", fmt.Errorf("%s: %w", file, err))
		return nil
	}
	if now := time.Now(); now.After(id.Certificate.NotAfter) || now.Before(id.Certificate.NotBefore) {
		p.Warn("keyStoreFileName", "<keyStoreFileName>: the certificate of %s is valid from %s to %s only", id.Certificate.Subject,
			id.Certificate.NotBefore.Format(time.DateOnly), id.Certificate.NotAfter.Format(time.DateOnly))
	}
	return id
}

// storeType reads keyStoreType and reports whether it can be read. The content
// of the file decides which of them it is.
func storeType(p *conf.Params) bool {
	switch t := p.String("keyStoreType", ""); strings.ToUpper(t) {
	case "", "JKS", "PKCS12", "PEM":
		return true
	default:
		p.Fail("keyStoreType", fmt.Errorf("%q is not JKS, PKCS12 or PEM; convert the file with: keytool -importkeystore -deststoretype PKCS12", t))
		return false
	}
}

// identityAddress returns the address that a certificate is made for.
func identityAddress(id *smime.Identity) (container.Address, error) {
	for _, text := range smime.Addresses(id.Certificate) {
		if a, err := container.ParseAddress(text); err == nil {
			return a, nil
		}
	}
	return container.Address{}, errors.New("its certificate has no e-mail address")
}

// certificates is the value of an attribute that holds certificates in DER.
func certificates(list ...[]byte) []container.Value {
	out := make([]container.Value, len(list))
	for i, der := range list {
		out[i] = der
	}
	return out
}
