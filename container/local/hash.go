package local

import (
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// Stored forms of a password.
//
// New passwords: Algorithm "SCRAM-SHA-256", see scram.go.
//
// Of earlier versions: Algorithm "MAILETD-PBKDF2-SHA512", Hash
// "iterations$salt$key", salt and key in Base64. The salt is random.
//
// Imported from James: Algorithm is James's own word (configuration key
// "algorithm", with the mode behind a slash), Hash its text:
//
//	MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512 [/plain /salted /legacy /legacy_salted]
//	PBKDF2[-iterations-bits], PBKDF2-SHA512[-iterations-bits]
//	NONE (clear text, from the JPA store)
//
// Source: org.apache.james.user.lib.model.DefaultUser, JPAUser, Algorithm.
const (
	earlierAlgorithm = "MAILETD-PBKDF2-SHA512"
	maxIterations    = 10_000_000
	maxKeyLength     = 1024
)

// verify checks a password. Whatever the account is, or whether there is one,
// it does the work of at least one new hash, of so many iterations.
func verify(u User, found bool, password string, iterations int) bool {
	if found && strings.EqualFold(u.Algorithm, scramAlgorithm) {
		return verifySCRAM(u.Hash, password)
	}
	_ = saltedPassword(password, []byte("no salt for this"), iterations)
	if found && u.Algorithm == earlierAlgorithm {
		return verifyEarlier(u.Hash, password)
	}
	return found && verifyJames(u, password)
}

func verifyEarlier(text, password string) bool {
	parts := strings.Split(text, "$")
	if len(parts) != 3 {
		return false
	}
	n, err := strconv.Atoi(parts[0])
	salt, err1 := base64.StdEncoding.DecodeString(parts[1])
	want, err2 := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || err1 != nil || err2 != nil {
		return false
	}
	return verifyPBKDF2(sha512.New, password, salt, n, want)
}

func verifyPBKDF2(h func() hash.Hash, password string, salt []byte, iterations int, want []byte) bool {
	if iterations < 1 || iterations > maxIterations || len(want) < 8 || len(want) > maxKeyLength {
		return false
	}
	got, err := pbkdf2.Key(h, password, salt, iterations, len(want))
	return err == nil && subtle.ConstantTimeCompare(got, want) == 1
}

// verifyJames checks the forms that James stores.
func verifyJames(u User, password string) bool {
	name, mode, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(u.Algorithm)), "/")
	switch {
	case u.Hash == "":
		return false
	case name == "NONE":
		return subtle.ConstantTimeCompare([]byte(u.Hash), []byte(password)) == 1
	case strings.HasPrefix(name, "PBKDF2"):
		return verifyJamesPBKDF2(u, name, password)
	default:
		return verifyDigest(u, name, mode, password)
	}
}

// verifyJamesPBKDF2: the salt is the user name, Java takes the password as
// UTF-8, default 1000 iterations and 512 bits.
func verifyJamesPBKDF2(u User, algorithm, password string) bool {
	h, iterations, bits := sha1.New, 1000, 512
	rest := strings.TrimPrefix(algorithm, "PBKDF2")
	if r, ok := strings.CutPrefix(rest, "-SHA512"); ok {
		h, rest = sha512.New, r
	}
	if rest != "" {
		if n, err := fmt.Sscanf(rest, "-%d-%d", &iterations, &bits); err != nil || n != 2 {
			return false
		}
	}
	want, ok := decodeBase64(u.Hash)
	if !ok || len(want)*8 != bits {
		return false
	}
	return verifyPBKDF2(h, password, latin1(u.Name), iterations, want)
}

var digests = map[string]func() hash.Hash{
	"MD5": md5.New, "SHA": sha1.New, "SHA-1": sha1.New, "SHA1": sha1.New,
	"SHA-224": sha256.New224, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
}

// verifyDigest checks a message digest: Base64 of the digest of the ISO 8859-1
// text that the mode asks for, or, from the JPA store, hexadecimal of the digest
// of the UTF-8 password.
func verifyDigest(u User, name, mode, password string) bool {
	h, ok := digests[name]
	if !ok {
		h = sha512.New // as the JPA store does with a name it does not know
	}
	sum := func(text []byte) []byte {
		d := h()
		d.Write(text)
		return d.Sum(nil)
	}
	if want, err := hex.DecodeString(u.Hash); err == nil && len(want) == h().Size() {
		return subtle.ConstantTimeCompare(sum([]byte(password)), want) == 1
	}
	text := latin1(password)
	if strings.HasSuffix(mode, "SALTED") {
		text = append(latin1(u.Name), text...)
	}
	got := sum(text)
	want, ok := decodeBase64(u.Hash)
	if !ok || len(want) == 0 {
		return false
	}
	// The legacy encoder was never closed and lost what did not fill a line of
	// 57 octets. A digest shorter than that left nothing: no password fits.
	if strings.HasPrefix(mode, "LEGACY") && len(want) == len(got)/57*57 {
		got = got[:len(want)]
	}
	return subtle.ConstantTimeCompare(got, want) == 1
}

// decodeBase64 takes line breaks as they come.
func decodeBase64(s string) ([]byte, bool) {
	s = strings.Join(strings.Fields(s), "")
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}

// latin1 encodes as Java does: what is not in the charset becomes "?".
func latin1(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}
