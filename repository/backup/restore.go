package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/repository/sqlite"
)

// Restore makes the data folder dir of an archive. The folder must be empty or
// missing; one that is there keeps its owner and mode. When anything is wrong it
// stays so. The folder gets everything at once; one that cannot be replaced, such
// as the top of a file system, gets the database last.
func Restore(ctx context.Context, r io.Reader, dir string) (Header, Summary, error) {
	head, sum, err := restore(ctx, r, dir)
	if err != nil {
		err = fmt.Errorf("restore to %s: %w", dir, err)
	}
	return head, sum, err
}

func restore(ctx context.Context, r io.Reader, dir string) (Header, Summary, error) {
	at, err := newTarget(dir)
	if err != nil {
		return Header{}, Summary{}, err
	}
	part := at.part
	defer os.RemoveAll(part) // after the rename there is nothing
	root, err := os.OpenRoot(part)
	if err != nil {
		return Header{}, Summary{}, err
	}
	defer root.Close()
	x := &extract{ctx: ctx, tar: tar.NewReader(r), root: root, sum: sha256.New(), folders: map[string]bool{".": true}}
	if err := x.run(); err != nil {
		return x.head, x.Summary, err
	}
	if err := checkStore(ctx, part); err != nil {
		return x.head, x.Summary, err
	}
	if err := x.syncFolders(); err != nil {
		return x.head, x.Summary, err
	}
	return x.head, x.Summary, at.finish()
}

// checkStore opens the store once, as the server will, and looks for
// contradictions. The locks that this makes go again: they belong to whoever
// restores.
func checkStore(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "mailetd.db")); err != nil {
		return fmt.Errorf("there is no store in the archive: %w", err)
	}
	store, err := sqlite.Open(dir, sqlite.Options{Reserve: -1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	problems, err := store.Check(ctx)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("the store in the archive contradicts itself: %s", strings.Join(problems, "; "))
	}
	if err = errors.Join(err, store.Close(ctx)); err != nil {
		return err
	}
	for _, lock := range []string{"mailetd.lock", "mailetd.snapshot"} {
		if err := os.Remove(filepath.Join(dir, lock)); err != nil && !gone(err) {
			return err
		}
	}
	return nil
}

// extract is an archive that is being read.
type extract struct {
	Summary
	head    Header
	ctx     context.Context
	tar     *tar.Reader
	root    *os.Root // nothing outside can be reached through it
	sum     hash.Hash
	folders map[string]bool
}

// maxNote bounds the files of the archive's own.
const maxNote = 64 << 10

func (x *extract) run() error {
	text, err := x.note(startName)
	if err != nil {
		return fmt.Errorf("this is no backup of mailetd: %w", err)
	}
	if err := errors.Join(decode(startName, text, &x.head), x.head.check()); err != nil {
		return err
	}
	for {
		h, err := x.tar.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("the archive ends in the middle")
		}
		if err != nil {
			return err
		}
		if h.Name == endName {
			return x.end()
		}
		if err := x.one(h); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
}

// note reads a file of the archive's own, which must be the next.
func (x *extract) note(name string) ([]byte, error) {
	h, err := x.tar.Next()
	if err != nil {
		return nil, err
	}
	if h.Name != name {
		return nil, fmt.Errorf("it begins with %q, not with %s", h.Name, name)
	}
	return io.ReadAll(io.LimitReader(x.tar, maxNote))
}

// end compares what was read with what was written.
func (x *extract) end() error {
	text, err := io.ReadAll(io.LimitReader(x.tar, maxNote))
	if err != nil {
		return err
	}
	var want trailer
	if err := decode(endName, text, &want); err != nil {
		return err
	}
	if got := (trailer{x.Summary, hex.EncodeToString(x.sum.Sum(nil))}); got != want {
		return fmt.Errorf("the archive is damaged: it has %d files and %d octets with the sum %s, want %d, %d and %s",
			got.Files, got.Bytes, got.SHA256, want.Files, want.Bytes, want.SHA256)
	}
	_, err = io.Copy(io.Discard, x.tar) // the sums of a compressed archive are behind it
	return err
}

// one takes one file or folder.
func (x *extract) one(h *tar.Header) error {
	if err := x.ctx.Err(); err != nil {
		return err
	}
	name := strings.TrimSuffix(h.Name, "/")
	if !validPath(name) || !ours(name) {
		return errors.New("a file of such a name does not belong into a backup")
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return errors.Join(x.folder(name), x.owner(name, h))
	case tar.TypeReg:
		return errors.Join(x.file(name, h), x.owner(name, h))
	}
	return fmt.Errorf("entries of type %q do not belong into a backup", h.Typeflag)
}

// validPath is fs.ValidPath for names that are not UTF-8, too: folders of mail
// have the names that people give them.
func validPath(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.IndexByte(part, 0) >= 0 {
			return false
		}
	}
	return true
}

// ours reports whether a backup has files of such a name.
func ours(name string) bool {
	return name == "mailetd.db" || strings.HasPrefix(name, "bodies/") || name == mailName || strings.HasPrefix(name, mailName+"/") ||
		name == acmeName || strings.HasPrefix(name, acmeName+"/")
}

func (x *extract) folder(name string) error {
	if x.folders[name] {
		return nil
	}
	if err := x.folder(filepath.Dir(name)); err != nil {
		return err
	}
	x.folders[name] = true
	if err := x.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func (x *extract) file(name string, h *tar.Header) error {
	if err := x.folder(filepath.Dir(name)); err != nil {
		return err
	}
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	note(x.sum, name, h.Size)
	n, err := io.Copy(io.MultiWriter(f, x.sum), untilDone{x.ctx, x.tar})
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	x.Files++
	x.Bytes += n
	return x.root.Chtimes(name, h.ModTime, h.ModTime)
}

// owner gives a file the mode it had and, if we may, the owner.
func (x *extract) owner(name string, h *tar.Header) error {
	err := x.root.Chmod(name, fs.FileMode(h.Mode).Perm())
	if err == nil && os.Geteuid() == 0 {
		err = x.root.Lchown(name, h.Uid, h.Gid)
	}
	return err
}

// syncFolders makes the names in all folders durable.
func (x *extract) syncFolders() error {
	for _, name := range slices.Sorted(maps.Keys(x.folders)) {
		if err := syncFolder(filepath.Join(x.root.Name(), name)); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
