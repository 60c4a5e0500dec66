package local

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/xdg-go/stringprep"
)

// New passwords are stored in the form of RFC 5803: Algorithm "SCRAM-SHA-256",
// Hash "iterations:salt$StoredKey:ServerKey", the last three in Base64. It serves
// SCRAM (RFC 5802, RFC 7677) as well as clear passwords, and does not allow to
// log in for whoever reads it.
const (
	scramAlgorithm = "SCRAM-SHA-256"
	// ScramIterations is the default of Config.HashIterations: the most that
	// clients with Cyrus SASL calculate. RFC 7677 §4 asks for 4096 at least.
	ScramIterations = 1 << 16
	scramSaltLength = 16
)

// ScramKeys is what the server needs to carry out SCRAM-SHA-256 with one user
// (RFC 5802 §3).
type ScramKeys struct {
	Name       string // of the account
	Salt       []byte
	Iterations int
	StoredKey  []byte
	ServerKey  []byte
	// FailureDelay is to pass before a wrong proof is answered.
	FailureDelay time.Duration
}

// SecretStorage keeps secrets of this server that must survive a restart. A
// Storage may implement it.
type SecretStorage interface {
	// Secret returns the 32 octets called name, made at random at the first call.
	Secret(ctx context.Context, name string) ([]byte, error)
}

// AlgorithmStorage knows how passwords are stored. A Storage may implement it.
type AlgorithmStorage interface {
	// OnlyAlgorithm reports whether all accounts, if any, have that algorithm.
	OnlyAlgorithm(ctx context.Context, algorithm string) (bool, error)
}

// newHash returns the account with a fresh salt.
func newHash(name, password string, iterations int) User {
	salt := make([]byte, scramSaltLength)
	_, _ = rand.Read(salt) // never fails: crypto/rand
	stored, server := scramKeys(saltedPassword(password, salt, iterations))
	enc := base64.StdEncoding.EncodeToString
	text := strconv.Itoa(iterations) + ":" + enc(salt) + "$" + enc(stored) + ":" + enc(server)
	return User{Name: name, Algorithm: scramAlgorithm, Hash: text}
}

// saltedPassword is Hi of RFC 5802 §2.2. A password that SASLprep (RFC 4013) has
// no form for, such as one with an emoji, is taken as it is.
func saltedPassword(password string, salt []byte, iterations int) []byte {
	if prepared, err := stringprep.SASLprep.Prepare(password); err == nil {
		password = prepared
	}
	key, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil { // a short salt where FIPS 140 is enforced: such a key fits no password
		return nil
	}
	return key
}

func scramKeys(salted []byte) (stored, server []byte) {
	sum := sha256.Sum256(hmacSHA256(salted, "Client Key"))
	return sum[:], hmacSHA256(salted, "Server Key")
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// parseSCRAM reads a stored hash.
func parseSCRAM(text string) (k ScramKeys, ok bool) {
	factors, keys, _ := strings.Cut(text, "$")
	iterations, salt, _ := strings.Cut(factors, ":")
	stored, server, _ := strings.Cut(keys, ":")
	var errs [4]error
	k.Iterations, errs[0] = strconv.Atoi(iterations)
	k.Salt, errs[1] = base64.StdEncoding.DecodeString(salt)
	k.StoredKey, errs[2] = base64.StdEncoding.DecodeString(stored)
	k.ServerKey, errs[3] = base64.StdEncoding.DecodeString(server)
	ok = errs == [4]error{} && k.Iterations >= 1 && k.Iterations <= maxIterations &&
		len(k.StoredKey) == sha256.Size && len(k.ServerKey) == sha256.Size && len(k.Salt) > 0
	return k, ok
}

func verifySCRAM(text, password string) bool {
	k, ok := parseSCRAM(text)
	if !ok {
		return false
	}
	salted := saltedPassword(password, k.Salt, k.Iterations)
	if salted == nil {
		return false
	}
	stored, server := scramKeys(salted)
	return subtle.ConstantTimeCompare(stored, k.StoredKey)&subtle.ConstantTimeCompare(server, k.ServerKey) == 1
}

// SCRAM returns the keys of a user. For a name that is no account, and for an
// account whose password is stored in another form, it returns keys that no
// password fits, with a salt that is always the same for that name: a client
// cannot tell the difference.
func (d *Directory) SCRAM(ctx context.Context, user string) (ScramKeys, error) {
	name, err := d.accountName(ctx, user)
	if err != nil {
		return ScramKeys{}, err
	}
	secret, err := d.scramSecret(ctx)
	if err != nil {
		return ScramKeys{}, err
	}
	u, found, err := d.store.User(ctx, name)
	if err != nil {
		return ScramKeys{}, fmt.Errorf("look user up: %w", err)
	}
	fake := ScramKeys{Salt: hmacSHA256(secret, "salt\x00"+name)[:scramSaltLength], Iterations: d.cfg.HashIterations,
		StoredKey: hmacSHA256(secret, "stored\x00"+name), ServerKey: hmacSHA256(secret, "server\x00"+name)}
	k, ok := parseSCRAM(u.Hash)
	if !found || !strings.EqualFold(u.Algorithm, scramAlgorithm) || !ok {
		k = fake
	}
	k.Name, k.FailureDelay = name, d.cfg.VerifyFailureDelay
	return k, nil
}

// scramSecret is what the salts of users that do not exist come from. It is kept
// over restarts, or they would be found out by their changing salts.
func (d *Directory) scramSecret(ctx context.Context) ([]byte, error) {
	s, ok := d.store.(SecretStorage)
	if !ok {
		return d.macKey[:], nil
	}
	d.secretMu.Lock()
	defer d.secretMu.Unlock()
	if d.secret == nil {
		secret, err := s.Secret(ctx, "scram")
		if err != nil {
			return nil, fmt.Errorf("read secret: %w", err)
		}
		d.secret = secret
	}
	return d.secret, nil
}

// OffersSCRAM reports whether every account can use SCRAM. As long as some have
// a password that was stored in another form, a client that prefers SCRAM could
// not log in to them. The answer may be ten seconds old; when it is not known it
// is no.
func (d *Directory) OffersSCRAM(ctx context.Context) bool {
	s, ok := d.store.(AlgorithmStorage)
	if !ok {
		return false
	}
	now := d.cfg.Now()
	only, hit, gen := d.allSCRAM.get("", now)
	if hit {
		return only
	}
	only, err := s.OnlyAlgorithm(ctx, scramAlgorithm)
	if err != nil {
		return false
	}
	d.allSCRAM.put("", only, now, gen)
	return only
}

// LoginName returns the name of the account that an authenticated identity, such
// as the claim of a token, stands for; ok is false for what cannot be a user
// here: an address in a foreign domain, for instance. The account need not
// exist.
func (d *Directory) LoginName(ctx context.Context, identity string) (name string, ok bool, err error) {
	if name, err = d.accountName(ctx, identity); err != nil {
		return "", false, err
	}
	switch name, err = d.CheckUserName(ctx, name); {
	case err == nil:
		return name, true, nil
	case isRule(err):
		return "", false, nil
	}
	return "", false, err
}
