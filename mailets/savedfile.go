package mailets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Lengths of the parts of a file name, in octets.
const (
	maxBase      = 100
	maxExtension = 20
)

// fileName returns the name of a file for an attachment called name. It has no
// separators and does not begin with a dot, and it is the same when the mail is
// processed again.
func fileName(name, mailID string, e *mime.Entity) string {
	clean := strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`/\:*?"<>|`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	base, ext := clean, ".bin"
	if i := strings.LastIndexByte(clean, '.'); i > 0 && i < len(clean)-1 {
		base, ext = clean[:i], clean[i:]
	}
	base = strings.TrimLeft(shorten(base, maxBase), ". -")
	for len(base) < 3 {
		base += "_"
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%d", mailID, name, e.Begin, e.End))
	return base + hex.EncodeToString(sum[:8]) + strings.TrimRight(shorten(ext, maxExtension), ". ")
}

// shorten cuts s to n octets, between characters.
func shorten(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// saveContent writes the content of a part to a file of a folder, which is made
// if it is not there, and returns the name. The file is complete or not there at
// all. Content that cannot be decoded is saved as it stands in the message.
func saveContent(dir, name string, e *mime.Entity, body container.Body) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return "", err
	}
	defer func() {
		// What closing and removing say does not matter: after success the file is
		// closed and has another name.
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	if err := writeContent(f, e, body); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, name)); err != nil {
		return "", err
	}
	return name, syncDir(dir)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func writeContent(f *os.File, e *mime.Entity, body container.Body) error {
	r, err := e.Open(body)
	if err == nil {
		_, err = io.Copy(f, r)
		_ = r.Close() // it was only read
		if err == nil {
			return nil
		}
	}
	if errors.As(err, new(*os.PathError)) {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	raw, err := e.OpenRaw(body)
	if err != nil {
		return err
	}
	defer raw.Close()
	_, err = io.Copy(f, raw)
	return err
}
