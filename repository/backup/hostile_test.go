package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/repository/sqlite"
)

// TestUnderLoad makes backups while mails with large bodies come and go all the
// time, restores each and reads all that is in it.
func TestUnderLoad(t *testing.T) {
	const stay, rounds = 3, 20
	data := t.TempDir()
	s := openStore(t, data)
	if err := s.CreateRepository(t.Context(), errorRepository); err != nil {
		t.Fatal(err)
	}
	for i := range stay {
		put(t, s, i)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- churn(ctx, s) }()
	for round := range rounds {
		var out bytes.Buffer
		if _, err := Write(t.Context(), &out, source(data)); err != nil {
			t.Fatalf("backup %d: %v", round, err)
		}
		dir := filepath.Join(t.TempDir(), "data")
		if _, _, err := Restore(t.Context(), &out, dir); err != nil {
			t.Fatalf("restore %d: %v", round, err)
		}
		if n := wantWhole(t, dir); n < stay {
			t.Errorf("backup %d has %d mails, want those %d that stay, and others", round, n, stay)
		}
	}
	stop()
	if err := errors.Join(<-ended, s.Close(context.Background())); err != nil {
		t.Error(err)
	}
}

// churn puts mails and removes them a little later, until ctx is done.
func churn(ctx context.Context, s *sqlite.Store) error {
	for i := 100; ctx.Err() == nil; i++ {
		if err := putMail(context.Background(), s, i); err != nil {
			return err
		}
		if i < 104 {
			continue
		}
		if err := s.Commit(context.Background(), repository.Change{From: &repository.Ref{URL: errorRepository, Key: fmt.Sprintf("mail-%d", i-4)}}); err != nil {
			return err
		}
	}
	return nil
}

// wantWhole reads every mail of a restored store and returns their number.
func wantWhole(t *testing.T, dir string) int {
	t.Helper()
	s := openStore(t, dir)
	keys, err := s.Keys(t.Context(), errorRepository, repository.MailFilter{}, 0, 0)
	if err = errors.Join(err, s.Close(context.Background())); err != nil {
		t.Fatal(err)
	}
	var ids []int
	for _, key := range keys {
		var i int
		if _, err := fmt.Sscanf(key, "mail-%d", &i); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, i)
	}
	wantMail(t, dir, ids...)
	for i := range 3 {
		if !slices.Contains(ids, i) {
			t.Errorf("mail %d, which was there all the time, is not in the backup", i)
		}
	}
	return len(ids)
}

// TestOwners: what root backs up and restores belongs to the user of the server
// as before, the folders too. Others can give files to nobody but themselves.
func TestOwners(t *testing.T) {
	data := t.TempDir()
	s := openStore(t, data)
	if err := s.CreateRepository(t.Context(), errorRepository); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1)
	if err := errors.Join(s.Close(context.Background()), os.MkdirAll(filepath.Join(data, "mail/bob/new"), 0o700), os.Remove(filepath.Join(data, "mailetd.snapshot"))); err != nil {
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if uid == 0 {
		uid = 54321
	}
	owned := func(dir string) {
		err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
			if err == nil && int(info.Sys().(*syscall.Stat_t).Uid) != uid {
				t.Errorf("%s belongs to %d, want %d", path, info.Sys().(*syscall.Stat_t).Uid, uid)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	err := filepath.Walk(data, func(path string, _ os.FileInfo, err error) error { return errors.Join(err, os.Lchown(path, uid, -1)) })
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range []bool{false, true} {
		var out bytes.Buffer
		if _, err := Write(t.Context(), &out, source(data)); err != nil {
			t.Fatal(err)
		}
		owned(data)
		dir := filepath.Join(t.TempDir(), "data")
		if there {
			if err := errors.Join(os.Mkdir(dir, 0o750), os.Chown(dir, uid, -1)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := Restore(t.Context(), &out, dir); err != nil {
			t.Fatal(err)
		}
		owned(dir)
		want := os.FileMode(0o700)
		if there {
			want = 0o750
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, want)
		}
		data = dir
	}
}

// TestWhereItIs restores to a folder that a link names, and into one that cannot
// be replaced, as the top of a file system is.
func TestWhereItIs(t *testing.T) {
	good := made(t)
	t.Run("link", func(t *testing.T) {
		parent := t.TempDir()
		real, link := filepath.Join(parent, "disk"), filepath.Join(parent, "data")
		if err := errors.Join(os.Mkdir(real, 0o700), os.Symlink(real, link)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Restore(t.Context(), bytes.NewReader(good), link); err != nil {
			t.Fatal(err)
		}
		if to, err := os.Readlink(link); err != nil || to != real {
			t.Errorf("the link is %q now, %v", to, err)
		}
		wantMail(t, real, 1)
	})
	mounted := func(t *testing.T) string {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Run("mount point", func(t *testing.T) {
		dir := mounted(t)
		if _, _, err := Restore(t.Context(), bytes.NewReader(good), dir); err != nil {
			t.Fatal(err)
		}
		wantMail(t, dir, 1)
		if left, _ := filepath.Glob(filepath.Join(dir, "*restore*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
	t.Run("mount point, damaged", func(t *testing.T) {
		dir := mounted(t)
		if _, _, err := Restore(t.Context(), bytes.NewReader(good[:len(good)/2]), dir); err == nil {
			t.Fatal("no error")
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// TestOddNames: users of a Maildir give their folders any name, and put links
// into it. What is backed up can be restored, and what is not is told.
func TestOddNames(t *testing.T) {
	data := t.TempDir()
	openStore(t, data).Close(context.Background())
	box := filepath.Join(data, "mail", "bob")
	names := []string{"cur/1.a:2,", ".M\xfcll/cur/2.b:2,", ".a\\b/new/3.c", ".\"\n/new/4.d", "cur/" + strings.Repeat("n", 250)}
	for _, name := range names {
		path := filepath.Join(box, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(name), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "secret")
	links := []string{filepath.Join(box, "cur/9.x:2,"), filepath.Join(box, "link"), filepath.Join(data, "mail", "eve")}
	err := errors.Join(os.WriteFile(secret, []byte("what is behind the link"), 0o600), os.MkdirAll(filepath.Join(box, "new"), 0o700))
	for _, link := range links {
		err = errors.Join(err, os.Symlink(secret, link))
	}
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var left []string
	src := source(data)
	src.LeftOut = func(path string) { left = append(left, path) }
	if _, err := Write(t.Context(), &out, src); err != nil {
		t.Fatal(err)
	}
	slices.Sort(left)
	if slices.Sort(links); !slices.Equal(left, links) {
		t.Errorf("left out %q, want %q", left, links)
	}
	if bytes.Contains(out.Bytes(), []byte("what is behind the link")) {
		t.Error("a link was followed")
	}
	dir := filepath.Join(t.TempDir(), "data")
	if _, _, err := Restore(t.Context(), &out, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if text, err := os.ReadFile(filepath.Join(dir, "mail", "bob", name)); err != nil || string(text) != name {
			t.Errorf("%q: %q, %v", name, text, err)
		}
	}
}

// TestDiskFull: an archive that cannot be written is an error, and the copy of the
// database is gone.
func TestDiskFull(t *testing.T) {
	data := t.TempDir()
	s := openStore(t, data)
	defer s.Close(context.Background())
	if err := s.CreateRepository(t.Context(), errorRepository); err != nil {
		t.Fatal(err)
	}
	put(t, s, 1)
	for _, room := range []int64{0, 2000, 100_000, 300_000} {
		if _, err := Write(t.Context(), &full{room}, source(data)); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%d octets: %v", room, err)
		}
		if left, _ := filepath.Glob(filepath.Join(data, "*.tmp*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// full is a disk with room for some octets.
type full struct{ left int64 }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= int64(len(p)); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

// TestCutAnywhere: an archive that was cut off at any place leaves nothing.
func TestCutAnywhere(t *testing.T) {
	good := made(t)
	parent := t.TempDir()
	for n := 0; n < len(good)-3*512; n += 7919 {
		if _, _, err := Restore(t.Context(), bytes.NewReader(good[:n]), filepath.Join(parent, "data")); err == nil {
			t.Errorf("the first %d of %d octets are enough", n, len(good))
		}
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := tar.NewReader(bytes.NewReader(good)).Next(); err != nil && !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestCanceledWithinAFile: who gives up does not wait for the end of a large file.
func TestCanceledWithinAFile(t *testing.T) {
	data := t.TempDir()
	openStore(t, data).Close(context.Background())
	ctx, cancel := context.WithCancel(t.Context())
	var out bytes.Buffer
	if _, err := Write(ctx, &slow{&out, 100_000, cancel}, source(data)); !errors.Is(err, context.Canceled) || out.Len() > 200_000 {
		t.Errorf("backup: %d octets, %v", out.Len(), err)
	}
	good := made(t)
	ctx, cancel = context.WithCancel(t.Context())
	read := &slow{io.Discard, 100_000, cancel}
	in := io.TeeReader(bytes.NewReader(good), read)
	if _, _, err := Restore(ctx, in, filepath.Join(t.TempDir(), "data")); !errors.Is(err, context.Canceled) || read.left < -100_000 {
		t.Errorf("restore: %d octets, %v", 100_000-read.left, err)
	}
}

// TestACMEIsInIt: a server that lost its keys would ask for certificates more often
// than the authority allows.
func TestACMEIsInIt(t *testing.T) {
	data := t.TempDir()
	openStore(t, data).Close(context.Background())
	key := filepath.Join("acme", "certificates", "ca", "mx.here.test", "mx.here.test.key")
	if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(data, key)), 0o700), os.WriteFile(filepath.Join(data, key), []byte("key"), 0o600)); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	src := source(data)
	src.NoMail = true
	if _, err := Write(t.Context(), &out, src); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if _, _, err := Restore(t.Context(), &out, dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, key)); err != nil || string(text) != "key" {
		t.Errorf("%q, %v", text, err)
	}
}
