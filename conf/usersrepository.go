package conf

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// UsersRepository is usersrepository.xml, checked.
type UsersRepository struct {
	Pos            Pos
	VirtualHosting bool // users are called local@domain
	// Algorithm and HashingMode are James's way to hash new passwords, here a
	// preference of those who export them; what is stored is our own hash.
	Algorithm, HashingMode string
	HashIterations         int           // of <algorithm>SCRAM-SHA-256-n; 0: the default
	Administrators         []string      // users who may act for others
	VerifyFailureDelay     time.Duration // pause after a wrong password
	Users                  []PresetUser  // ours: accounts that are there from the start
	LDAP                   *LDAP         // for the LDAP matchers; nil: not set up
}

// algorithms are James's hashes, with or without a mode.
var algorithms = regexp.MustCompile(`(?i)^(MD5|SHA-?1|SHA-?256|SHA-?384|SHA-?512|NONE|PBKDF2(-SHA512)?(-\d+-\d+)?|SCRAM-SHA-256(-\d+)?)(/(plain|salted|legacy|legacy_salted))?$`)

// UsersRepository reads usersrepository.xml.
//
// Source: UsersRepositoryImpl.configure, RepositoryConfiguration.
func (d *Dir) UsersRepository() UsersRepository {
	f := d.XML("usersrepository.xml")
	in := section{f, f.Root, d.report}.root("usersrepository")
	u := UsersRepository{Pos: in.pos(""), Algorithm: "PBKDF2-SHA512", HashingMode: "plain"}
	if in.refusesLDAP() {
		return u
	}
	known := []string{"enableVirtualHosting", "algorithm", "hashingMode", "administratorId", "administratorIds", "verifyFailureDelay",
		"destination", "enableForwarding", "user..."}
	if u.LDAP = in.ldap(); u.LDAP != nil {
		known = append(known, "domains", "restriction", "supportsVirtualHosting")
	}
	in.known(known...)
	u.VirtualHosting = in.boolean("enableVirtualHosting", false)
	if u.LDAP != nil {
		u.VirtualHosting = in.boolean("supportsVirtualHosting", u.VirtualHosting) // as in James's LDAP configuration
	}
	u.Algorithm = in.str("algorithm", u.Algorithm)
	u.HashingMode = strings.ToLower(in.str("hashingMode", u.HashingMode))
	u.Users = in.presetUsers(u.VirtualHosting)
	u.VerifyFailureDelay = in.duration("verifyFailureDelay", time.Second, 0)
	u.HashIterations = in.iterations(u.Algorithm)
	if !algorithms.MatchString(u.Algorithm) {
		d.report.Warnf(in.pos("algorithm"), "<algorithm> %q is unknown; passwords are hashed all the same", u.Algorithm)
	}
	if !slices.Contains([]string{"plain", "salted", "legacy", "legacy_salted"}, u.HashingMode) {
		d.report.Warnf(in.pos("hashingMode"), "<hashingMode> %q is unknown; want plain, salted, legacy or legacy_salted", u.HashingMode)
	}
	for _, w := range append(in.list("administratorIds", "administratorId"), word{in.str("administratorId", ""), Pos{}}) {
		if name := strings.ToLower(w.text); name != "" && !slices.Contains(u.Administrators, name) {
			u.Administrators = append(u.Administrators, name)
		}
	}
	return u
}

// Bounds of the rounds of a SCRAM hash: RFC 7677 §4, and what a login may cost.
const (
	minIterations = 4096
	mostHashing   = 2_000_000
)

// iterations returns the n of the algorithm SCRAM-SHA-256-n, 0 when it says
// none.
func (s section) iterations(algorithm string) int {
	const name = "SCRAM-SHA-256-"
	if len(algorithm) <= len(name) || !strings.EqualFold(algorithm[:len(name)], name) {
		return 0
	}
	n, err := strconv.Atoi(algorithm[len(name):])
	if err != nil || n < minIterations || n > mostHashing {
		s.r.Errorf(s.pos("algorithm"), "<algorithm> is %q; want a number from %d to %d behind %s", algorithm, minIterations, mostHashing, name)
		return 0
	}
	return n
}
