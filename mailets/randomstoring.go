package mailets

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/mailbox"
)

// RandomStoring is for load tests: it gives the mail to 4 to 8 users of this
// server that it draws, in a folder that it draws for each, instead of to its
// recipients. LocalDelivery, further down, finds the folder in the attribute
// DeliveryPaths_USER. The users are listed again every 15 minutes.
//
//	<mailet match="All" class="RandomStoring">
//	  <maildir>%d/%u</maildir>
//	</mailet>
//
// Parameters:
//
//   - maildir (default %d/%u): where the boxes are, as in LocalDelivery.
//
// Differs from James: nobody is drawn twice, so that with fewer users than that
// there are fewer recipients; without any user the mailet fails; maildir is our
// own parameter.
type RandomStoring struct {
	users   allUsers
	folders func(user, domain string) ([]string, error)
	now     func() time.Time

	mu     sync.Mutex
	names  []string
	listed time.Time
}

const randomStoringList = 15 * time.Minute

func newRandomStoring(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		layout, err := mailbox.NewLayout(s.MailDir, p.String("maildir", mailbox.DefaultPattern))
		if err != nil {
			p.Fail("maildir", err)
		}
		return &RandomStoring{users: s.Local, folders: mailbox.NewStore(layout, s.Hostname, s.Log).Folders, now: time.Now}
	}
}

// Service replaces the recipients; on an error the mail is as it was.
func (r *RandomStoring) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	names, err := r.list(ctx)
	if err != nil {
		return fmt.Errorf("random storing: %w", err)
	}
	want := min(4+rand.IntN(5), len(names))
	drawn := map[int]bool{}
	paths := map[string]string{}
	var rcpts []container.Address
	for len(drawn) < want {
		i := rand.IntN(len(names))
		if drawn[i] {
			continue
		}
		drawn[i] = true
		user, domain := names[i], r.users.DefaultDomain()
		if at := strings.LastIndexByte(user, '@'); at >= 0 {
			user, domain = user[:at], user[at+1:]
		}
		addr, err := container.ParseAddress(user + "@" + domain)
		if err != nil {
			return fmt.Errorf("address of user %s: %w", names[i], err)
		}
		folders, err := r.folders(user, domain)
		if err != nil {
			return fmt.Errorf("folders of %s: %w", names[i], err)
		}
		rcpts = append(rcpts, addr)
		paths[names[i]] = folders[rand.IntN(len(folders))]
	}
	m.Recipients = rcpts
	for user, folder := range paths {
		m.Set("DeliveryPaths_"+user, []container.Value{folder})
	}
	return nil
}

// list returns the names of all users.
func (r *RandomStoring) list(ctx context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.names != nil && r.now().Sub(r.listed) < randomStoringList {
		return r.names, nil
	}
	names, err := r.users.Users(ctx)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("there are no users")
	}
	r.names, r.listed = names, r.now()
	return names, nil
}
