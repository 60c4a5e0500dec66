package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

var errorRepository = repository.URL{Protocol: "file", Path: "var/mail/error"}

func openStore(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(dir, sqlite.Options{Logger: slog.New(slog.DiscardHandler), Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// body returns a body that is large enough for a file of its own.
func body(i int) []byte { return bytes.Repeat([]byte(fmt.Sprintf("line %06d\r\n", i)), 40_000) }

func put(t *testing.T, s *sqlite.Store, i int) {
	t.Helper()
	if err := putMail(t.Context(), s, i); err != nil {
		t.Fatal(err)
	}
}

func putMail(ctx context.Context, s *sqlite.Store, i int) error {
	w := s.NewBody()
	if _, err := w.Write(body(i)); err != nil {
		return err
	}
	b, err := w.Finish()
	if err != nil {
		return err
	}
	m := container.NewMail(container.MustAddress("a@b.test"), []container.Address{container.MustAddress("c@d.test")},
		container.NewMessage([]byte("Subject: x\r\n"), b))
	m.Name = fmt.Sprintf("mail-%d", i)
	return s.Commit(ctx, repository.Change{Entries: []container.Entry{{Mail: m, Repository: errorRepository.String()}}})
}

func source(dir string) Source {
	return Source{Data: dir, Host: "mx1", Program: "test", Now: time.Now}
}

// made returns an archive of a small data folder.
func made(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, dir)
	defer s.Close(context.Background())
	if err := s.CreateRepository(t.Context(), errorRepository); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1)
	box := filepath.Join(dir, "mail", "bob@here.test")
	for _, sub := range []string{"new", "cur", "tmp", ".Sent/new", ".Sent/cur", ".Sent/tmp"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"new/1.a": "one", "cur/2.b:2,S": "two", "tmp/3.c": "half", ".Sent/cur/4.d:2,": "four",
		"dovecot-uidlist": "3", "dovecot.index": "cache"} {
		if err := os.WriteFile(filepath.Join(box, name), []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	sum, err := Write(t.Context(), &out, source(dir))
	if err != nil {
		t.Fatal(err)
	}
	if sum.Files != 6 { // the database, a body, three mails, a list of UIDs
		t.Errorf("%d files, want 6", sum.Files)
	}
	return out.Bytes()
}

func TestThereAndBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	head, sum, err := Restore(t.Context(), bytes.NewReader(made(t)), dir)
	if err != nil {
		t.Fatal(err)
	}
	if head.Host != "mx1" || sum.Files != 6 {
		t.Errorf("got %+v, %+v", head, sum)
	}
	var files []string
	err = filepath.WalkDir(filepath.Join(dir, "mail"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			rel, _ := filepath.Rel(dir, path)
			info, _ := e.Info()
			files = append(files, fmt.Sprintf("%s %v", rel, info.Mode()))
		}
		return err
	})
	want := []string{"mail/bob@here.test/.Sent/cur/4.d:2, -rw-r-----", "mail/bob@here.test/cur/2.b:2,S -rw-r-----",
		"mail/bob@here.test/dovecot-uidlist -rw-r-----", "mail/bob@here.test/new/1.a -rw-r-----"}
	if err != nil || !slices.Equal(files, want) {
		t.Errorf("Maildirs: got %q, %v", files, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "mail/bob@here.test/.Sent/tmp")); err != nil {
		t.Error(err)
	}
	wantMail(t, dir, 1)
	if _, _, err := Restore(t.Context(), bytes.NewReader(made(t)), dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder in use: %v", err)
	}
}

// wantMail looks for mails in the error repository of a data folder, byte by byte.
func wantMail(t *testing.T, dir string, ids ...int) {
	t.Helper()
	s := openStore(t, dir)
	defer s.Close(context.Background())
	for _, i := range ids {
		m, err := s.Mail(t.Context(), repository.Ref{URL: errorRepository, Key: fmt.Sprintf("mail-%d", i)})
		if err != nil {
			t.Errorf("mail %d: %v", i, err)
			continue
		}
		r, err := m.Message.Body().Open()
		if err != nil {
			t.Errorf("mail %d: %v", i, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, body(i)) {
			t.Errorf("mail %d: %d octets, %v", i, len(got), err)
		}
	}
}

// slow lets something happen when the archive has come so far.
type slow struct {
	io.Writer
	left int
	then func()
}

func (s *slow) Write(p []byte) (int, error) {
	if s.left > 0 && s.left <= len(p) {
		s.then()
	}
	s.left -= len(p)
	return s.Writer.Write(p)
}

// TestWhileTheServerWorks removes all mails and puts others while the archive is
// being written: it has what was there when it began.
func TestWhileTheServerWorks(t *testing.T) {
	data := t.TempDir()
	s := openStore(t, data)
	if err := s.CreateRepository(t.Context(), errorRepository); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		put(t, s, i)
	}
	var out bytes.Buffer
	change := func() {
		if n, err := s.ClearRepository(t.Context(), errorRepository, nil); err != nil || n != 5 {
			t.Errorf("cleared %d, %v", n, err)
		}
		put(t, s, 9)
	}
	if _, err := Write(t.Context(), &slow{&out, 2000, change}, source(data)); err != nil {
		t.Fatal(err)
	}
	// What was kept goes with the next removals.
	put(t, s, 10)
	if _, err := s.ClearRepository(t.Context(), errorRepository, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(data, "bodies")); err != nil || len(left) != 0 {
		t.Errorf("%d bodies are left, %v", len(left), err)
	}
	if _, err := os.Stat(filepath.Join(data, "snapshot.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the copy of the database is left: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if _, _, err := Restore(t.Context(), &out, dir); err != nil {
		t.Fatal(err)
	}
	wantMail(t, dir, 0, 1, 2, 3, 4)
}

// TestMailsThatAreRenamedMeanwhile moves a mail as a mail reader does, after its
// folder was listed.
func TestMailsThatAreRenamedMeanwhile(t *testing.T) {
	data := t.TempDir()
	openStore(t, data).Close(context.Background())
	box := filepath.Join(data, "mail", "bob")
	for _, sub := range []string{"new", "cur"} {
		if err := os.MkdirAll(filepath.Join(box, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"cur/a:2,", "cur/b:2,", "new/c"} {
		if err := os.WriteFile(filepath.Join(box, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	w := &when{Writer: &out, sign: "mail/bob/new/c", then: func() {
		for from, to := range map[string]string{"cur/b:2,": "new/b", "cur/a:2,": "cur/a:2,S", "new/c": "cur/c:2,"} {
			if err := os.Rename(filepath.Join(box, from), filepath.Join(box, to)); err != nil {
				t.Error(err)
			}
		}
	}}
	if _, err := Write(t.Context(), w, source(data)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		if text, _ := io.ReadAll(r); h.Typeflag == tar.TypeReg && strings.HasPrefix(h.Name, "mail/") {
			got = append(got, string(text))
		}
	}
	slices.Sort(got)
	if want := []string{"cur/a:2,", "cur/b:2,", "new/c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want each mail once: %q", got, want)
	}
}

// when lets something happen when a text goes by.
type when struct {
	io.Writer
	sign string
	then func()
}

func (w *when) Write(p []byte) (int, error) {
	if w.then != nil && bytes.Contains(p, []byte(w.sign)) {
		then := w.then
		w.then = nil
		then()
	}
	return w.Writer.Write(p)
}

func TestBadArchives(t *testing.T) {
	good := made(t)
	type entry struct {
		name, text string
		kind       byte
	}
	archive := func(entries ...entry) []byte {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, e := range append([]entry{{name: startName, text: `{"format":1}`}}, entries...) {
			if e.kind == 0 {
				e.kind = tar.TypeReg
			}
			if err := w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.text)), Mode: 0o600, Typeflag: e.kind, Linkname: "x"}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, e.text); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	damaged := bytes.Clone(good)
	damaged[bytes.Index(damaged, []byte("line 000001"))]++
	for _, tc := range []struct {
		name    string
		archive []byte
		want    string
	}{
		{"empty", nil, "no backup of mailetd"},
		{"something else", bytes.Repeat([]byte("x"), 2000), "no backup of mailetd"},
		{"cut off", good[:len(good)/2], "unexpected EOF"},
		{"cut off between files", archive(), "ends in the middle"},
		{"damaged", damaged, "the archive is damaged"},
		{"newer", bytes.Replace(archive(), []byte(`"format":1`), []byte(`"format":7`), 1), "has format 7"},
		{"above", archive(entry{name: "mail/../../x", text: "x"}), "does not belong"},
		{"absolute", archive(entry{name: "/mail/x", text: "x"}), "does not belong"},
		{"another name", archive(entry{name: "mailetd.lock", text: "x"}), "does not belong"},
		{"link", archive(entry{name: "mail/x", kind: tar.TypeSymlink}), "entries of type"},
		{"twice", archive(entry{name: "mail/x", text: "x"}, entry{name: "mail/x", text: "y"}), "file exists"},
		{"file as folder", archive(entry{name: "mail/x", text: "x"}, entry{name: "mail/x/y", text: "y"}), "mail/x/y"},
		{"no store", archive(entry{name: endName, text: `{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`}), "no store"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			parent := t.TempDir()
			_, _, err := Restore(t.Context(), bytes.NewReader(tc.archive), filepath.Join(parent, "data"))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

func TestWriteErrors(t *testing.T) {
	if _, err := Write(t.Context(), io.Discard, source(t.TempDir())); err == nil || !strings.Contains(err.Error(), "there is no store") {
		t.Errorf("no store: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	data := t.TempDir()
	openStore(t, data).Close(context.Background())
	if _, err := Write(ctx, io.Discard, source(data)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
