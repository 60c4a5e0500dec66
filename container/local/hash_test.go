package local

import (
	"strings"
	"testing"
)

// earlierHash is of "sécret", with 1000 iterations.
const earlierHash = "1000$MDEyMzQ1Njc4OWFiY2RlZg==$4tlWkJFfPVPF7GVvjJD9ioKjLZ8J45MqVGM8soH5NAh4p7pzC3of8zKmL2cTQwRUPsbq32L+kY6fj10uoBA7WQ=="

func TestVerify(t *testing.T) {
	const sha512 = "WqQx7cKjd26nR5izIExYBHVBcjEzvEhg46DI5M4gPdpiCgaV+B4beI/2iGVSLrbAxC5dpqeJy6jT\r\nxRpnf26QHg=="
	own := newHash("bob@a.test", "sécret", 1000)
	for _, tc := range []struct{ name, algorithm, hash string }{
		{"own", own.Algorithm, own.Hash},
		{"earlier", earlierAlgorithm, earlierHash},
		{"md5", "MD5", "+3oEi1nL3dlvQTlv5fLqZw=="},
		{"md5 plain", "MD5/plain", "+3oEi1nL3dlvQTlv5fLqZw=="},
		{"sha-1 salted", "SHA-1/salted", "32gsJD/8raV2VvyWmdjgLfwm42s="},
		{"sha-512 on two lines", "SHA-512", sha512},
		{"sha-512 in lower case", "sha-512/PLAIN", sha512},
		{"sha-512 legacy, complete", "SHA-512/legacy", sha512},
		{"sha-512 legacy, cut", "SHA-512/legacy", "WqQx7cKjd26nR5izIExYBHVBcjEzvEhg46DI5M4gPdpiCgaV+B4beI/2iGVSLrbAxC5dpqeJy6jT\r\n"},
		{"sha-512 legacy salted", "SHA-512/legacy_salted", "X/8gVw+bWfHhrGG7SSV5mQcjIWMQa+YpFaWSurdmFYmlLh1Pf9oBuikij+Zj3MkkvUsZWZ/XtJ9s\r\n"},
		{"sha-256 hex of jpa", "SHA-256", "965929775aa46f105fde21bfb9ed6d73ff013c309e01924e3de3494acbf634d4"},
		{"none", "NONE", "sécret"},
		{"pbkdf2", "PBKDF2", "L06zHqE7u/sWXdIrljw+WV1V2nhCWeB17gMtA9Cfg60z0gTFxSpwnkNDb388usl1mg/zMbIeCR2C\r\nt9jS1rQiRQ=="},
		{"pbkdf2-sha512", "PBKDF2-SHA512/plain", "VoO4jNHczf4e3A/84D2adfDkzd1X18EmMllKS7+RF9yMbusg1dzmasvK9Fv0yUgusbqiRiaBxEv9\r\nrnP9844eyg=="},
		{"pbkdf2-sha512 with numbers", "PBKDF2-SHA512-20-256", "Uj1nS3rhUl1s1Qzbx6hGaPSDilaAG1zgZmbgxpHR5Kc="},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := User{Name: "bob@a.test", Algorithm: tc.algorithm, Hash: tc.hash}
			check := verifyJames // without the work that equalises the time
			if tc.name == "own" || tc.name == "earlier" {
				check = func(u User, password string) bool { return verify(u, true, password, 1000) }
			}
			if !check(u, "sécret") {
				t.Error("the right password is refused")
			}
			for _, wrong := range []string{"", "secret", "sécre"} {
				if check(u, wrong) {
					t.Errorf("password %q is taken", wrong)
				}
			}
		})
	}
	if verify(User{Name: "bob@a.test", Algorithm: "NONE", Hash: "sécret"}, false, "sécret", 1000) {
		t.Error("taken although there is no such user")
	}
	if !verify(User{Name: "bob@a.test", Algorithm: "NONE", Hash: "sécret"}, true, "sécret", 1000) {
		t.Error("refused behind the work that equalises the time")
	}
	if strings.Contains(own.Hash, "sécret") {
		t.Error("clear password in the hash")
	}
}

func TestVerifyBadHash(t *testing.T) {
	for _, u := range []User{
		{Algorithm: "MD5/legacy", Hash: ""},
		{Algorithm: "NONE", Hash: ""},
		{Algorithm: "MD5", Hash: "!!"},
		{Algorithm: "MD5", Hash: "\r\n"},
		{Algorithm: "PBKDF2-x-y", Hash: "AAAA"},
		{Algorithm: "PBKDF2-999999999-512", Hash: strings.Repeat("A", 88)},
		{Algorithm: "PBKDF2-SHA512-1000-8", Hash: "AA=="},
		{Algorithm: earlierAlgorithm, Hash: "1$$"},
		{Algorithm: earlierAlgorithm, Hash: "x$AA==$AA=="},
		{Algorithm: earlierAlgorithm, Hash: "nothing"},
		{Algorithm: scramAlgorithm, Hash: "nothing"},
		{Algorithm: scramAlgorithm, Hash: "0:AA==$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("A", 43) + "="},
		{Algorithm: scramAlgorithm, Hash: "1:AA==$" + strings.Repeat("A", 43) + "="},
		{Algorithm: scramAlgorithm, Hash: "99999999:AA==$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("A", 43) + "="},
		{Algorithm: scramAlgorithm, Hash: "1:$:"},
	} {
		if verify(u, true, "", 1) {
			t.Errorf("%+v: empty password is taken", u)
		}
	}
}
