package smtphooks

import (
	"context"

	"github.com/mailetd/mailetd/conf"
)

// UsersRepositoryAuthHook checks the credentials of AUTH with the users
// repository. That is what happens without any such hook; it is of use beside
// ConfigurationAuthHook, to have both.
//
//	<handler class="org.apache.james.smtpserver.UsersRepositoryAuthHook"/>
//
// Parameters: none.
//
// Differs from James: nothing.
type UsersRepositoryAuthHook struct{ s Services }

func newUsersRepositoryAuth(_ *conf.Params, s Services) any { return &UsersRepositoryAuthHook{s} }

// Auth implements AuthHook.
func (h *UsersRepositoryAuthHook) Auth(ctx context.Context, _ *Session, user, password string) (string, bool, error) {
	return h.s.Local.Authenticate(ctx, user, password)
}

// SCRAMSource implements SCRAMAuthHook.
func (h *UsersRepositoryAuthHook) SCRAMSource() SCRAMSource { return scramOf(h.s.Local) }
