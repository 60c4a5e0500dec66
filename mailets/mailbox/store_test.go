package mailbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-maildir"

	"github.com/mailetd/mailetd/container"
)

func testStore(t testing.TB) (*Store, string) {
	t.Helper()
	root := t.TempDir()
	l, err := NewLayout(root, "")
	if err != nil {
		t.Fatal(err)
	}
	return NewStore(l, "mx.example.com", slog.New(slog.DiscardHandler)), root
}

const testHeader = "Return-Path: <>\r\nSubject: hi\r\n\r\n"

func testMessage() *Message {
	return &Message{User: "bob", Domain: "example.com", Folder: Inbox, ID: "1", Time: time.Unix(1700000000, 0),
		Header: []byte(testHeader), Body: container.BytesBody("Hello.\r\n")}
}

// files returns the files below dir, without those of tmp, with their folder.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDeliver(t *testing.T) {
	s, root := testStore(t)
	m := testMessage()
	for range 2 {
		if err := s.Deliver(m); err != nil {
			t.Fatal(err)
		}
	}
	h := hash("1", "bob", "example.com", Inbox)
	want := []string{"example.com/bob/new/1700000000." + h + ".mx.example.com,S=40"}
	if got := files(t, root); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	msgs, err := maildir.Dir(filepath.Join(root, "example.com/bob")).Unseen()
	if err != nil || len(msgs) != 1 {
		t.Fatalf("go-maildir reads %v, %v", msgs, err)
	}
	r, err := msgs[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != testHeader+"Hello.\r\n" || len(got) != 40 {
		t.Errorf("stored %q, %v", got, err)
	}
}

func TestDeliverFlagsAndFolders(t *testing.T) {
	s, root := testStore(t)
	for _, tc := range []struct {
		folder        string
		seen, flagged bool
		dir, suffix   string
	}{
		{"A/B", false, false, ".A.B/new", ",S=40"},
		{"INBOX", true, false, "cur", ",S=40:2,S"},
		{"A", false, true, ".A/cur", ",S=40:2,F"},
		{"Ü", true, true, ".&ANw-/cur", ",S=40:2,FS"},
	} {
		m := testMessage()
		m.Folder, m.Seen, m.Flagged = tc.folder, tc.seen, tc.flagged
		if err := s.Deliver(m); err != nil {
			t.Fatal(err)
		}
		box := filepath.Join(root, "example.com/bob")
		got := files(t, filepath.Join(box, tc.dir))
		if len(got) != 1 || !strings.HasSuffix(got[0], tc.suffix) {
			t.Errorf("%s has %v, want one file with %s", tc.dir, got, tc.suffix)
		}
		if sub := filepath.Dir(tc.dir); sub != "." {
			if _, err := os.Stat(filepath.Join(box, sub, "maildirfolder")); err != nil {
				t.Error(err)
			}
		}
	}
	msgs, err := maildir.Dir(filepath.Join(root, "example.com/bob/.&ANw-")).Messages()
	if err != nil || len(msgs) != 1 || !slices.Equal(msgs[0].Flags(), []maildir.Flag{maildir.FlagFlagged, maildir.FlagSeen}) {
		t.Errorf("go-maildir reads %v, %v", msgs, err)
	}
}

func TestRepeatedDelivery(t *testing.T) {
	for _, tc := range []struct {
		name   string
		reader func(box, name string) error // what happens between the deliveries
		change func(*Message)
		want   int
	}{
		{name: "untouched", want: 1},
		{name: "seen", want: 1, reader: func(box, name string) error {
			return os.Rename(filepath.Join(box, "new", name), filepath.Join(box, "cur", name+":2,RS"))
		}},
		{name: "size added", want: 1, reader: func(box, name string) error {
			return os.Rename(filepath.Join(box, "new", name), filepath.Join(box, "cur", name+",W=40:2,"))
		}},
		{name: "later", change: func(m *Message) { m.Time = m.Time.Add(time.Hour) }, want: 1},
		{name: "other recipient", change: func(m *Message) { m.ID = "2" }, want: 2},
		{name: "other size", change: func(m *Message) { m.Header = []byte("X: y\r\n" + testHeader) }, want: 2},
		{name: "other folder", change: func(m *Message) { m.Folder = "A" }, want: 3}, // and maildirfolder
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, root := testStore(t)
			m := testMessage()
			if err := s.Deliver(m); err != nil {
				t.Fatal(err)
			}
			box := filepath.Join(root, "example.com/bob")
			if tc.reader != nil {
				if err := tc.reader(box, filepath.Base(files(t, box)[0])); err != nil {
					t.Fatal(err)
				}
			}
			if tc.change != nil {
				tc.change(m)
			}
			m.Repeated = true
			if err := s.Deliver(m); err != nil {
				t.Fatal(err)
			}
			if got := files(t, box); len(got) != tc.want {
				t.Errorf("box has %v, want %d files", got, tc.want)
			}
		})
	}
}

// brokenBody is a body whose file is damaged.
type brokenBody struct {
	size int64
	err  error
}

func (b brokenBody) Size() int64 { return b.size }

func (b brokenBody) Open() (io.ReadCloser, error) {
	if b.size < 0 {
		return nil, b.err
	}
	return io.NopCloser(io.MultiReader(strings.NewReader("half"), errReader{b.err})), nil
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestDeliverFails(t *testing.T) {
	broken := errors.New("bad sector")
	for _, tc := range []struct {
		name    string
		prepare func(root string) error
		change  func(*Message)
		want    error
	}{
		{name: "cannot open body", change: func(m *Message) { m.Body = brokenBody{-1, broken} }, want: broken},
		{name: "body breaks off", change: func(m *Message) { m.Body = brokenBody{8, broken} }, want: broken},
		{name: "body is short", change: func(m *Message) { m.Body = brokenBody{8, io.EOF} }},
		{name: "box is a file", prepare: func(root string) error {
			return os.WriteFile(filepath.Join(root, "example.com"), nil, 0o600)
		}},
		{name: "cur is a file", prepare: func(root string) error {
			box := filepath.Join(root, "example.com/bob")
			return errors.Join(os.MkdirAll(filepath.Join(box, "tmp"), 0o700), os.WriteFile(filepath.Join(box, "cur"), nil, 0o600))
		}, change: func(m *Message) { m.Seen = true }},
		{name: "user without name", change: func(m *Message) { m.User = "" }, want: ErrName},
		{name: "folder without name", change: func(m *Message) { m.Folder = "/" }, want: ErrName},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, root := testStore(t)
			if tc.prepare != nil {
				if err := tc.prepare(root); err != nil {
					t.Fatal(err)
				}
			}
			before := files(t, root)
			m := testMessage()
			if tc.change != nil {
				tc.change(m)
			}
			err := s.Deliver(m)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("got error %v, want %v", err, tc.want)
			}
			if got := files(t, root); !slices.Equal(got, before) {
				t.Errorf("left behind %v", got)
			}
		})
	}
}

func TestConcurrentDeliveries(t *testing.T) {
	s, root := testStore(t)
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			m := testMessage()
			m.ID = fmt.Sprint(i / 2) // each one twice
			m.Folder = []string{Inbox, "A"}[i/2%2]
			if err := s.Deliver(m); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := files(t, root); len(got) != 17 {
		t.Errorf("got %d files, want 16 messages and maildirfolder: %v", len(got), got)
	}
}

func TestStaleFiles(t *testing.T) {
	s, root := testStore(t)
	tmp := filepath.Join(root, "example.com/bob/tmp")
	if err := s.Deliver(testMessage()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s.now = func() time.Time { return now.Add(25 * time.Hour) }
	for name, age := range map[string]time.Duration{"old": 12 * time.Hour, "young": 10 * time.Hour} {
		path := filepath.Join(tmp, name)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, now.Add(-age), now.Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := s.Deliver(testMessage()); err != nil {
			t.Fatal(err)
		}
		if got := files(t, tmp); !slices.Equal(got, []string{"young"}) {
			t.Errorf("tmp has %v, want young", got)
		}
		// Within a day nobody looks again.
		s.now = func() time.Time { return now.Add(48 * time.Hour) }
	}
}

func TestCleanedIsBounded(t *testing.T) {
	var c cleaned
	now := time.Now()
	for i := range 3 * cleanBoxes {
		c.due(fmt.Sprint(i), now)
	}
	if len(c.last) > cleanBoxes {
		t.Errorf("remembers %d boxes", len(c.last))
	}
}

func TestHostInNames(t *testing.T) {
	l, _ := NewLayout("/mail", "")
	for host, want := range map[string]string{
		"mx.example.com": "mx.example.com", "": "localhost", "a/b:c,d e": "a_b_c_d_e", strings.Repeat("x", 250): "localhost",
	} {
		if s := NewStore(l, host, nil); s.host != want {
			t.Errorf("%q becomes %q, want %q", host, s.host, want)
		}
	}
}

// TestDovecotReads has Dovecot read a box, where Dovecot is installed.
func TestDovecotReads(t *testing.T) {
	s, root := testStore(t)
	for i, folder := range []string{Inbox, "A/B", "Entwürfe"} {
		m := testMessage()
		m.Folder, m.ID, m.Seen, m.Flagged = folder, fmt.Sprint(i), i == 1, i == 1
		if err := s.Deliver(m); err != nil {
			t.Fatal(err)
		}
	}
	if len(files(t, root)) != 5 {
		t.Errorf("box has %v", files(t, root))
	}
	doveadm, err := exec.LookPath("doveadm")
	if err != nil {
		return // the check above is all there is without it
	}
	out := runDoveadm(t, doveadm, filepath.Join(root, "example.com/bob"))
	want := []string{
		`mailbox: INBOX flags: \Recent size.physical: 40 hdr.subject: hi`,
		`mailbox: A/B flags: \Flagged \Seen \Recent size.physical: 40 hdr.subject: hi`,
		`mailbox: Entwürfe flags: \Recent size.physical: 40 hdr.subject: hi`,
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("doveadm does not show %q in\n%s", w, out)
		}
	}
}

// runDoveadm lists the messages of a box with a Dovecot configuration of its own
// that needs no users and no rights.
func runDoveadm(t *testing.T, doveadm, box string) string {
	t.Helper()
	dir := t.TempDir()
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // Dovecot refuses to read mail as root
		uid, gid = 65534, 65534
		giveAway(t, dir, uid, gid)
		giveAway(t, filepath.Dir(filepath.Dir(box)), uid, gid)
	}
	config := fmt.Sprintf(`base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = /dev/stderr
mail_location = maildir:%[2]s
mail_home = %[1]s
mail_uid = %[3]d
mail_gid = %[4]d
first_valid_uid = 0
first_valid_gid = 0
namespace inbox {
  inbox = yes
  separator = /
}
ssl = no
`, dir, box, uid, gid)
	path := filepath.Join(dir, "dovecot.conf")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(doveadm, "-c", path, "-f", "pager", "fetch", "mailbox flags size.physical hdr.subject", "ALL")
	cmd.Env = append(os.Environ(), "USER=bob", "HOME="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("doveadm: %v\n%s", err, stderr.String())
	}
	return strings.ReplaceAll(string(out), "\n", " ")
}

// giveAway makes another user the owner of a temporary folder and what is in it.
func giveAway(t *testing.T, dir string, uid, gid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, gid))
	})
	if err = errors.Join(err, os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
}

// A box that lost one of its folders, by a restore from a backup that leaves out
// empty ones for example, gets it back.
func TestLostFolderIsMadeAgain(t *testing.T) {
	for _, lost := range []string{"new", "tmp", "cur"} {
		s, root := testStore(t)
		m := &Message{User: "bob", Domain: "example.com", Folder: Inbox, ID: "1", Time: time.Unix(1700000000, 0),
			Header: []byte("Subject: x\r\n\r\n"), Body: container.BytesBody("x"), Seen: lost == "cur"}
		if err := s.Deliver(m); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(root, "example.com/bob", lost)); err != nil {
			t.Fatal(err)
		}
		m.ID = "2"
		if err := s.Deliver(m); err != nil {
			t.Errorf("without %s: %v", lost, err)
		}
	}
}
