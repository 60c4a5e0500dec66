package server

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"
)

// maxIterations bounds the work that a key file can ask for.
const maxIterations = 10_000_000

var errKeySecret = errors.New("the key cannot be decrypted: <secret> is wrong, or missing")

// decryptKey returns the PEM file with its encrypted private key in the clear.
// Encrypted keys are those of PKCS #8 (RFC 8018, PBES2: what OpenSSL writes);
// a key that is not encrypted stays as it is.
func decryptKey(data []byte, secret string) ([]byte, error) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return data, nil
		}
		if block.Headers["DEK-Info"] != "" {
			return nil, errors.New("the key has the old form of encryption; convert it with: openssl pkcs8 -topk8")
		}
		if block.Type != "ENCRYPTED PRIVATE KEY" {
			continue
		}
		key, err := decryptPKCS8(block.Bytes, secret)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), nil
	}
}

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

type pbes2Params struct {
	KDF, Cipher pkix.AlgorithmIdentifier
}

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// Object identifiers of RFC 8018.
const (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
)

var prfs = map[string]func() hash.Hash{
	"": sha1.New, "1.2.840.113549.2.7": sha1.New, "1.2.840.113549.2.9": sha256.New, "1.2.840.113549.2.11": sha512.New,
}

type blockCipher struct {
	keyLength int
	make      func([]byte) (cipher.Block, error)
}

var ciphers = map[string]blockCipher{
	"1.2.840.113549.3.7":      {24, des.NewTripleDESCipher},
	"2.16.840.1.101.3.4.1.2":  {16, aes.NewCipher},
	"2.16.840.1.101.3.4.1.22": {24, aes.NewCipher},
	"2.16.840.1.101.3.4.1.42": {32, aes.NewCipher},
}

func decryptPKCS8(der []byte, secret string) ([]byte, error) {
	var enc encryptedKey
	var params pbes2Params
	var kdf pbkdf2Params
	if _, err := asn1.Unmarshal(der, &enc); err != nil {
		return nil, fmt.Errorf("parse encrypted key: %w", err)
	}
	if oid := enc.Algorithm.Algorithm.String(); oid != oidPBES2 {
		return nil, fmt.Errorf("encryption %s of the key is not known; convert it with: openssl pkcs8 -topk8 -v2 aes256", oid)
	}
	if _, err := asn1.Unmarshal(enc.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, fmt.Errorf("parse encrypted key: %w", err)
	}
	if _, err := asn1.Unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil || params.KDF.Algorithm.String() != oidPBKDF2 {
		return nil, errors.New("key derivation of the encrypted key is not known; convert it with: openssl pkcs8 -topk8 -v2 aes256")
	}
	prf, ok1 := prfs[kdf.PRF.Algorithm.String()]
	c, ok2 := ciphers[params.Cipher.Algorithm.String()]
	if !ok1 || !ok2 || kdf.Iterations < 1 || kdf.Iterations > maxIterations {
		return nil, errors.New("encryption of the key is not known; convert it with: openssl pkcs8 -topk8 -v2 aes256")
	}
	var iv []byte
	if _, err := asn1.Unmarshal(params.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, fmt.Errorf("parse encrypted key: %w", err)
	}
	key, err := pbkdf2.Key(prf, secret, kdf.Salt, kdf.Iterations, c.keyLength)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return decryptCBC(c, key, iv, enc.Data)
}

func decryptCBC(c blockCipher, key, iv, data []byte) ([]byte, error) {
	b, err := c.make(key)
	if err != nil {
		return nil, err
	}
	if len(iv) != b.BlockSize() || len(data) == 0 || len(data)%b.BlockSize() != 0 {
		return nil, errKeySecret
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(b, iv).CryptBlocks(out, data)
	pad := int(out[len(out)-1])
	if pad == 0 || pad > b.BlockSize() || pad > len(out) {
		return nil, errKeySecret
	}
	return out[:len(out)-pad], nil
}
