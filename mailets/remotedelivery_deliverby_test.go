package mailets

import (
	"slices"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/dsn"
)

// TestDeliverByReports: who is told of a delay, and of a hand-over, by NOTIFY.
func TestDeliverByReports(t *testing.T) {
	all := []string{"none@there.test", "never@there.test", "delay@there.test", "failure@there.test"}
	notify := map[string]container.Value{"never@there.test": "NEVER", "delay@there.test": "DELAY", "failure@there.test": "FAILURE"}
	for _, tc := range []struct {
		action, sender string
		report         bool // the mail is a report itself
		want           []string
	}{
		{"delayed", "alice@here.test", false, []string{"none@there.test", "delay@there.test"}},
		{"relayed", "alice@here.test", false, []string{"none@there.test", "delay@there.test", "failure@there.test"}},
		{"delayed", "", false, nil}, {"relayed", "", false, nil},
		{"relayed", "alice@here.test", true, nil},
	} {
		header := "Subject: hello\r\n"
		if tc.report {
			header += "Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary=x\r\n"
		}
		var sender container.Address
		if tc.sender != "" {
			sender = container.MustAddress(tc.sender)
		}
		m := container.NewMail(sender, nil, container.NewMessage([]byte(header), container.BytesBody("x\r\n")))
		by := time.Date(2026, 1, 31, 8, 0, 0, 0, time.UTC)
		m.Set(container.AttrDeliverBy, by)
		m.Set(container.AttrDSNNotify, notify)
		for _, r := range all {
			a := container.MustAddress(r)
			m.Recipients = append(m.Recipients, a)
			result := container.Outcome{Result: container.Deferred, Code: 451, Enhanced: "4.2.1", Text: "busy"}
			if tc.action == "relayed" {
				result = container.Outcome{Result: container.Relayed, Code: 250, Enhanced: "2.0.0", Text: "ok"}
			}
			m.SetOutcome(a, result)
		}
		reports := deliverByReports(Services{Hostname: "mx.here.test", Postmaster: container.MustAddress("postmaster@here.test")})
		for range 2 { // a delay is told once
			var out container.Outbox
			if err := reports(m, tc.action, &out); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range out.Entries() {
				r, err := dsn.Parse(&e.Mail.Message)
				if err != nil {
					t.Fatal(err)
				}
				if !r.DeliverBy.Equal(by) || e.Mail.Recipients[0] != sender || !e.Mail.Sender.IsNull() {
					t.Errorf("report to %v, by %v", e.Mail.Recipients, r.DeliverBy)
				}
				for _, rc := range r.Recipients {
					if rc.Action != tc.action {
						t.Errorf("action %s", rc.Action)
					}
					got = append(got, rc.Final.String())
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s to %q: got %v, want %v", tc.action, tc.sender, got, tc.want)
			}
			if tc.action == "delayed" {
				tc.want = nil
			}
		}
		if n, _ := m.Attributes.RecipientString(container.AttrDSNNotify, m.Recipients[1]); n != "NEVER" {
			t.Error("the attributes of the mail were changed")
		}
	}
}
