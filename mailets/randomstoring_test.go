package mailets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

type someUsers struct {
	names []string
	err   error
	asked int
}

func (u *someUsers) Users(context.Context) ([]string, error) { u.asked++; return u.names, u.err }
func (u *someUsers) DefaultDomain() string                   { return "example.com" }

func TestRandomStoring(t *testing.T) {
	users := &someUsers{}
	for i := range 20 {
		users.names = append(users.names, fmt.Sprintf("u%02d@example.com", i))
	}
	now := time.Unix(0, 0)
	r := &RandomStoring{users: users, now: func() time.Time { return now },
		folders: func(user, domain string) ([]string, error) { return []string{"INBOX", user}, nil }}
	counts, folders := map[int]bool{}, map[string]bool{}
	for range 500 {
		m := testMail("somebody@example.org")
		serve(t, r, m)
		counts[len(m.Recipients)] = true
		seen := map[string]bool{}
		for _, rcpt := range m.Recipients {
			paths := m.Attributes.Strings("DeliveryPaths_" + rcpt.String())
			if len(paths) != 1 || paths[0] != "INBOX" && paths[0] != rcpt.Local || seen[rcpt.String()] || !slices.Contains(users.names, rcpt.String()) {
				t.Fatalf("%s: %q", rcpt, paths)
			}
			seen[rcpt.String()], folders[paths[0]] = true, true
		}
	}
	for n := 4; n <= 8; n++ {
		if !counts[n] || len(counts) != 5 {
			t.Errorf("numbers of recipients: %v", counts)
		}
	}
	if len(folders) != 21 || users.asked != 1 {
		t.Errorf("%d folders were drawn, users were listed %d times", len(folders), users.asked)
	}
	now = now.Add(time.Hour)
	users.names = []string{"bob"}
	m := testMail("somebody@example.org")
	serve(t, r, m)
	if len(m.Recipients) != 1 || m.Recipients[0].String() != "bob@example.com" || m.Attributes.Strings("DeliveryPaths_bob") == nil {
		t.Errorf("recipients %v, attributes %v", m.Recipients, m.Attributes)
	}
	now = now.Add(time.Hour)
	for _, users.err = range []error{errors.New("no disk"), nil} {
		users.names = nil
		m := testMail("somebody@example.org")
		if err := r.Service(t.Context(), m, &container.Outbox{}); err == nil || m.Recipients[0].Domain != "example.org" {
			t.Errorf("without users: %v, %v", err, m.Recipients)
		}
	}
}
