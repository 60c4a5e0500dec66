package sqlite

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/repository"
)

// secondVersion is what a program of schema version 2 left behind when it died: of
// each state an item, and a mail in a repository.
const secondVersion = `
INSERT INTO message VALUES (1, X'5375626A6563743A20300D0A', NULL, 6, X'626F64790D0A', NULL), (2, X'5375626A6563743A20310D0A', NULL, 6, X'626F64790D0A', NULL),
	(3, X'5375626A6563743A20320D0A', NULL, 6, X'626F64790D0A', NULL), (4, X'5375626A6563743A20330D0A', 1, 6, NULL, NULL);
INSERT INTO queue VALUES ('outgoing'), ('spool');
INSERT INTO queue_item VALUES
	(1, 'spool', '', 0, 1, 1795285938367672661, 1795285938367672661, 0, NULL, 'RUIA3UI67HD5UOE2ARDCZDQVXP', 'leased', 'a@b.test', '["c@d.test"]', 'root', '', 'localhost', '127.0.0.1', 1795285938367541212, NULL, NULL, 1),
	(2, 'outgoing', 'd.test', 0, 3, 1795285939368049269, 1795285938368049188, 1, NULL, 'C5VXMXBXE6ACH4EBNI3XR6Y3MB', 'delayed', 'a@b.test', '["c@d.test"]', 'root', '', 'localhost', '127.0.0.1', 1795285938368033108, NULL, NULL, 2),
	(3, 'spool', '', 0, 0, 1795285938371371693, 1795285938371371693, 0, NULL, 'QKEIC2XBRI2O2YLE2BYPFLTARE', 'ready', 'a@b.test', '["c@d.test"]', 'root', '', 'localhost', '127.0.0.1', 1795285938368361580, NULL, NULL, 3),
	(4, 'spool', '', 0, 2, 1795285938371371694, 1795285938371371694, 0, 'unreadable', 'QKEIC2XBRI2O2YLE2BYPFLTARF', 'dead', 'a@b.test', '["c@d.test"]', 'root', '', 'localhost', '127.0.0.1', 1795285938368361580, NULL, NULL, 3);
INSERT INTO repository VALUES (1, 'file', 'var/mail/error');
INSERT INTO repository_mail VALUES (1, 1, 'kept', 'QKEIC2XBRI2O2YLE2BYPFLTARG', 'kept', 'a@b.test', '["c@d.test"]', 'error', 'why', 'localhost', '127.0.0.1', 1795285938368361580, NULL, NULL, 4);`

// openSecond opens a store that a program of version 2 left behind, at a time.
func openSecond(t *testing.T, now time.Time) *Store {
	t.Helper()
	dir := t.TempDir()
	c, err := openConn(filepath.Join(dir, databaseName))
	must(t, err)
	must(t, migrate(c, migrations[:2]))
	must(t, c.exec(secondVersion))
	must(t, c.close())
	s, err := Open(dir, Options{Logger: quiet(), Now: func() time.Time { return now }})
	must(t, err)
	closeAfter(t, s)
	return s
}

// TestMigrateFromSecond: no mail is lost on the way from version 2, and none waits
// for longer, whatever the clock says meanwhile.
func TestMigrateFromSecond(t *testing.T) {
	died := time.Unix(0, 1795285938371371693)
	for _, tc := range []struct {
		name     string
		now      time.Time
		outgoing string
	}{
		{"at once", died, ""},
		{"a minute later", died.Add(time.Minute), "delayed"},
		{"with a clock that was set back", died.Add(-1000 * time.Hour), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := openSecond(t, tc.now)
			if got := itemNames(leaseAll(t, s, "spool")); got != "leased ready" {
				t.Errorf("spool: got %q, want leased ready", got)
			}
			l, err := s.Lease(t.Context(), repository.LeaseRequest{Queue: "outgoing", Limit: 10})
			must(t, err)
			if got := itemNames(l.Items); got != tc.outgoing || got == "" && l.Next.Sub(tc.now) > 2*time.Second {
				t.Errorf("outgoing: got %q, next in %v", got, l.Next.Sub(tc.now))
			}
			putOff(t, s, time.Second, l.Items...)
			for _, it := range l.Items {
				if it.Enqueued.UnixNano() != 1795285938368049188 || it.Attempts != 1 {
					t.Errorf("%s entered at %v, with %d attempts", it.Mail.Name, it.Enqueued, it.Attempts)
				}
			}
			m, err := s.Mail(t.Context(), repository.Ref{URL: repository.URL{Protocol: "file", Path: "var/mail/error"}, Key: "kept"})
			must(t, err)
			if m.Name != "kept" || m.ErrorMessage != "why" {
				t.Errorf("got %+v", m)
			}
			if n, err := s.Revive(t.Context(), "spool"); err != nil || n != 1 {
				t.Errorf("revived %d, %v", n, err)
			}
		})
	}
}

// TestNewerDatabase: a program says what to do about a database of a newer one,
// and leaves it alone.
func TestNewerDatabase(t *testing.T) {
	dir := t.TempDir()
	must(t, openTest(t, dir).Close(context.Background()))
	c, err := openConn(filepath.Join(dir, databaseName))
	must(t, err)
	defer c.close()
	err = migrate(c, migrations[:2])
	if err == nil || !strings.Contains(err.Error(), "run a newer mailetd, or restore a backup") {
		t.Errorf("got %v", err)
	}
	if v, err := c.pragma("user_version"); err != nil || v != int64(len(migrations)) {
		t.Errorf("the version is %d now, %v", v, err)
	}
}
