package conf

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// PresetUser is a <user> of usersrepository.xml, which James does not have: an
// account that is there from the start. It has a password, or the hash of one
// in a form of James's.
type PresetUser struct {
	Pos             Pos
	Name            string // lower case
	Password        string
	Algorithm, Hash string // as James stores them, such as SHA-512/salted
}

// presetUsers reads the <user> elements.
// With virtual hosting a name has a domain.
func (s section) presetUsers(virtualHosting bool) []PresetUser {
	var out []PresetUser
	have := map[string]bool{}
	for _, e := range s.elements() {
		if e.Tag != "user" {
			continue
		}
		in := section{s.f, e, s.r}
		u := PresetUser{Pos: s.f.Pos(e), Name: strings.ToLower(in.attr("name")), Password: in.attr("password"), Algorithm: in.attr("algorithm"), Hash: in.attr("hash")}
		for _, a := range e.Attr {
			if want := []string{"name", "password", "algorithm", "hash"}; !slices.Contains(want, a.Key) {
				s.r.Warnf(u.Pos, "attribute %s of <user> is ignored%s", a.Key, Suggest(a.Key, want))
			}
		}
		switch {
		case u.Name == "":
			s.r.Errorf(u.Pos, "<user> needs name=")
		case have[u.Name]:
			s.r.Errorf(u.Pos, "<user> %s is there twice", u.Name)
		case (u.Password == "") == (u.Hash == ""):
			s.r.Errorf(u.Pos, "<user> %s needs either password= or hash=", u.Name)
		case u.Hash != "" && !isAlgorithm(u.Algorithm):
			s.r.Errorf(u.Pos, "<user> %s: algorithm= is %q; with hash= it tells how the hash was made, such as SHA-512/salted or PBKDF2-SHA512", u.Name, u.Algorithm)
		case u.Hash != "" && !isHash(u.Algorithm, u.Hash):
			s.r.Errorf(u.Pos, "<user> %s: hash= is neither Base64 nor hexadecimal, so that no password would fit", u.Name)
		case virtualHosting != strings.Contains(u.Name, "@"):
			s.r.Errorf(u.Pos, "<user> %s: want %s, because <enableVirtualHosting> is %v", u.Name, map[bool]string{true: "name@domain", false: "a name without domain"}[virtualHosting], virtualHosting)
		default:
			out = append(out, u)
		}
		have[u.Name] = true
	}
	return out
}

// isHash reports whether a hash can be one of that algorithm. James writes
// Base64, or hexadecimal digits from the JPA store.
func isHash(algorithm, hash string) bool {
	name, _, _ := strings.Cut(strings.ToUpper(algorithm), "/")
	if name == "NONE" || strings.HasPrefix(name, "SCRAM") || strings.Contains(hash, "$") {
		return true // the password itself, or in a form of ours
	}
	text := strings.Join(strings.Fields(hash), "")
	_, notBase64 := base64.StdEncoding.DecodeString(text)
	_, notHex := hex.DecodeString(text)
	return notBase64 == nil || notHex == nil
}

// isAlgorithm reports whether hashes of such a name can be imported: those of
// James, and SCRAM-SHA-256, which is what is stored here.
func isAlgorithm(name string) bool {
	return algorithms.MatchString(name) || name == "SCRAM-SHA-256"
}
