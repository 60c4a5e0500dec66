package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/mailetd/mailetd/repository/sqlite"
)

// Source is what is backed up.
type Source struct {
	Data    string // data folder of the server, which may be running
	NoMail  bool   // leave the Maildirs out
	Host    string
	Program string // version of mailetd
	Now     func() time.Time
	// LeftOut is told of each symbolic link and special file, which no backup has.
	// It may be nil.
	LeftOut func(path string)
}

// Write writes an archive of src to w. An archive that was cut off has no end
// and is refused by Restore.
func Write(ctx context.Context, w io.Writer, src Source) (Summary, error) {
	a := &archive{ctx: ctx, tar: tar.NewWriter(w), sum: sha256.New(), now: src.Now(), leftOut: src.LeftOut}
	if a.leftOut == nil {
		a.leftOut = func(string) {}
	}
	head := Header{Format: format, Made: a.now.UTC(), Host: src.Host, Program: src.Program}
	err := a.json(startName, head)
	if err == nil {
		err = sqlite.Snapshot(ctx, src.Data, func(name string, f *os.File) error { return a.file(filepath.ToSlash(name), f) })
	}
	if err == nil && !src.NoMail {
		err = a.top(filepath.Join(src.Data, mailName), mailName)
	}
	if err == nil {
		err = a.top(filepath.Join(src.Data, acmeName), acmeName)
	}
	if err == nil {
		err = a.json(endName, trailer{a.Summary, hex.EncodeToString(a.sum.Sum(nil))})
	}
	if err == nil {
		err = a.tar.Close()
	}
	if err != nil {
		return a.Summary, fmt.Errorf("back up %s: %w", src.Data, err)
	}
	return a.Summary, nil
}

// archive is an archive that is being written.
type archive struct {
	Summary
	ctx context.Context
	tar *tar.Writer
	sum hash.Hash
	now time.Time

	leftOut func(path string)
}

// json adds a file of the archive's own.
func (a *archive) json(name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := a.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: a.now}); err != nil {
		return err
	}
	_, err = a.tar.Write(text)
	return err
}

// file adds the file f. One that has become shorter meanwhile is an error, one
// that grows is taken as far as it went.
func (a *archive) file(name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return a.add(name, info, io.LimitReader(f, info.Size()))
}

// add adds a file or, with a nil content, a folder.
func (a *archive) add(name string, info fs.FileInfo, content io.Reader) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	h := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		h.Uid, h.Gid = int(st.Uid), int(st.Gid)
	}
	if content == nil {
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return a.tar.WriteHeader(h)
	}
	h.Size = info.Size()
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	note(a.sum, name, h.Size)
	n, err := io.Copy(io.MultiWriter(a.tar, a.sum), untilDone{a.ctx, content})
	if err == nil && n < h.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.Files++
	a.Bytes += n
	return nil
}

// untilDone is a reader that ends with a context.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (u untilDone) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.Reader.Read(b)
}

// note adds the name and size of a file to the sum.
func note(sum hash.Hash, name string, size int64) {
	fmt.Fprintf(sum, "%d %s\n%d\n", len(name), name, size)
}

// smallFile is how large a file that is not a mail may be and change while it is
// read.
const smallFile = 16 << 20

// changing adds a file that others rewrite, as it is at one read.
func (a *archive) changing(name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() > smallFile {
		return a.file(name, f)
	}
	text, err := io.ReadAll(io.LimitReader(f, smallFile))
	if err != nil {
		return err
	}
	return a.add(name, sized{info, int64(len(text))}, bytes.NewReader(text))
}

// sized is a FileInfo with another size.
type sized struct {
	fs.FileInfo
	size int64
}

func (s sized) Size() int64 { return s.size }

// gone reports whether err says that a file is not there any more.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
