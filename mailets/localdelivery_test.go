package mailets

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-maildir"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/metrics"
)

func TestLocalDelivery(t *testing.T) {
	for _, tc := range []struct{ class, params, box, state string }{
		{"LocalDelivery", "", "example.com/bob", "ghost"},
		{"LocalDelivery", "<consume>false</consume>", "example.com/bob", "root"},
		{"LocalDelivery", "<maildir>%u@%d/Maildir</maildir>", "bob@example.com/Maildir", "ghost"},
		{"ToRecipientFolder", "", "example.com/bob", "root"},
		{"ToRecipientFolder", "<folder>A/B</folder><consume>true</consume>", "example.com/bob/.A.B", "ghost"},
	} {
		t.Run(tc.class+tc.params, func(t *testing.T) {
			s := testServices(t)
			s.Metrics = metrics.New()
			r := container.NewRegistry()
			Register(r, s)
			m := testMail("Bob@example.com")
			serve(t, mustLoad(t, r, tc.class, tc.params), m)
			if m.State != tc.state || len(m.Recipients) != 1 {
				t.Errorf("state is %s, recipients %v", m.State, m.Recipients)
			}
			msgs, err := maildir.Dir(filepath.Join(s.MailDir, tc.box)).Unseen()
			if err != nil || len(msgs) != 1 {
				t.Errorf("box has %v, %v", msgs, err)
			}
			if got := counter(t, s.Metrics, "mailetd_mailbox_delivered_total"); got != 1 {
				t.Errorf("counted %v", got)
			}
		})
	}
}

func TestLocalDeliveryOnMailetException(t *testing.T) {
	for value, want := range map[string]struct {
		fails bool
		sent  string
	}{
		"": {sent: "error"}, "local-trouble": {sent: "local-trouble"}, "ignore": {}, "propagate": {fails: true},
	} {
		s := testServices(t)
		if err := os.WriteFile(filepath.Join(s.MailDir, "example.com"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		r := container.NewRegistry()
		Register(r, s)
		m := testMail("bob@example.com")
		out := &container.Outbox{}
		err := mustLoad(t, r, "LocalDelivery", "<retries>0</retries><onMailetException>"+value+"</onMailetException>").Service(t.Context(), m, out)
		if (err != nil) != want.fails || (m.State == "ghost") == want.fails {
			t.Errorf("%s: got %v, state %s", value, err, m.State)
		}
		var sent []string
		for _, e := range out.Entries() {
			sent = append(sent, e.Mail.State)
		}
		if strings.Join(sent, " ") != want.sent {
			t.Errorf("%s: sent %v, want %q", value, sent, want.sent)
		}
	}
}

func TestLocalDeliveryWithoutMailFolder(t *testing.T) {
	s := testServices(t)
	s.MailDir = ""
	r := container.NewRegistry()
	Register(r, s)
	if _, problems := load(t, r, "LocalDelivery", ""); len(problems) != 1 || !strings.Contains(problems[0], "no mail folder") {
		t.Errorf("got %v", problems)
	}
}
