package webadmin

import (
	"strings"
	"testing"
)

// TestNothingIsTakenForAll: what was meant to select some mails never selects all.
func TestNothingIsTakenForAll(t *testing.T) {
	const path = "/mailRepositories/var%2Fmail%2Ferror%2Fremote-delivery%2Ftemporary/mails"
	for _, tc := range []struct{ method, target, body, want string }{
		{"DELETE", "/mailQueues/spool/mails?host=", "", "'host' can not be empty"},
		{"DELETE", "/mailQueues/spool/mails?state=", "", "'state' can not be empty"},
		{"DELETE", "/mailQueues/spool/mails?attribute", "", "'attribute' can not be empty"},
		{"DELETE", "/mailQueues/spool/mails?delayed=true", "", "does not take 'delayed'"},
		{"DELETE", "/mailQueues/spool/mails?limit=1", "", "does not take 'limit'"},
		{"GET", "/mailQueues/spool/mails?host=", "", "'host' can not be empty"},
		{"GET", path + "?sender=", "", "'sender' can not be empty"},
		{"PATCH", path + "?action=reprocess&sender=", "", "'sender' can not be empty"},
		{"PATCH", path + "?action=reprocess&remoteHost=", "", "'remoteHost' can not be empty"},
		{"PATCH", path + "?action=reprocess&processor=", "", "'processor' can not be empty"},
		{"PATCH", path + "?sender=a@b.test", `{"mailRepository":"var/mail/error"}`, "does not take 'sender'"},
		{"DELETE", path + "?sender=a@b.test", "", "does not take 'sender'"},
		{"DELETE", path + "?updatedBefore=2days", "", "does not take 'updatedBefore'"},
	} {
		b := newBench(t, Config{}, nil)
		b.put(temporary, "m", nil)
		b.put(errorRepo, "m", nil)
		if w := b.do(tc.method, tc.target, tc.body); w.Code != 400 || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s %s %s: got %d %s, want %s", tc.method, tc.target, tc.body, w.Code, w.Body, tc.want)
		}
	}
}
