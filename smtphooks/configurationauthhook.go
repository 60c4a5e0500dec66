package smtphooks

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"github.com/mailetd/mailetd/conf"
)

// ConfigurationAuthHook checks the credentials of AUTH with accounts that stand
// in the configuration. The users repository is not asked then, unless
// UsersRepositoryAuthHook is in the chain too.
//
//	<handler class="org.apache.james.smtpserver.ConfigurationAuthHook">
//	  <accounts>
//	    <account>
//	      <username>printer@example.com</username>
//	      <passwords>
//	        <password>secret</password>
//	        <password>the one before</password>
//	      </passwords>
//	    </account>
//	  </accounts>
//	</handler>
//
// Passwords stand there in the clear: keep the file from others. User names are
// compared without regard to upper and lower case.
//
// Parameters:
//
//   - accounts.account.username (required in each account): the name that the
//     client gives.
//   - accounts.account.passwords.password (repeatable): each of them is valid.
//
// Differs from James: an account without user name or password is a warning, an
// empty password an error.
type ConfigurationAuthHook struct {
	accounts map[string][][sha256.Size]byte
}

func newConfigurationAuth(p *conf.Params, _ Services) any {
	const path = "accounts.account"
	h := &ConfigurationAuthHook{map[string][][sha256.Size]byte{}}
	for _, e := range entries(p, path, "username", "passwords.password") {
		user := strings.ToLower(fieldOf(e, "username"))
		passwords := e.FindElements("passwords/password")
		if user == "" || len(passwords) == 0 {
			p.Warn(path, "an <account> without <username> or <password> is of no effect")
			continue
		}
		for _, pw := range passwords {
			text := conf.Text(pw)
			if text == "" {
				p.Fail(path+".passwords.password", errors.New("a password must not be empty"))
				continue
			}
			h.accounts[user] = append(h.accounts[user], sha256.Sum256([]byte(text)))
		}
	}
	return h
}

// Auth implements AuthHook. How long it takes says nothing about passwords.
func (h *ConfigurationAuthHook) Auth(_ context.Context, _ *Session, user, password string) (string, bool, error) {
	user = strings.ToLower(user)
	given, same := sha256.Sum256([]byte(password)), 0
	for _, pw := range h.accounts[user] {
		same |= subtle.ConstantTimeCompare(given[:], pw[:])
	}
	return user, same == 1, nil
}
