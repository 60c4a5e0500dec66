package matchers

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// Limits of an archive. Only its directory is read, nothing is unpacked; the
// directory is kept in memory.
const (
	maxZipSize    = 512 << 20
	maxZipEntries = 10_000
)

var errZipLimit = errors.New("archive is too large to be looked into")

// zipNames returns the names of the entries of a ZIP archive. The archive passes
// through a temporary file, since its directory is at the end.
func zipNames(r io.Reader) (names []string, err error) {
	f, err := os.CreateTemp("", "mailetd-zip-*")
	if err != nil {
		return nil, fmt.Errorf("look into archive: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}()
	c := &entryCounter{}
	n, err := io.Copy(io.MultiWriter(f, c), io.LimitReader(r, maxZipSize+1))
	if err != nil {
		return nil, fmt.Errorf("look into archive: %w", err)
	}
	if n > maxZipSize || c.n > maxZipEntries {
		return nil, errZipLimit
	}
	z, err := zip.NewReader(f, n)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("look into archive: %w", err)
	}
	for _, e := range z.File {
		names = append(names, e.Name)
	}
	return names, nil
}

// entryCounter counts directory entries by their signature (APPNOTE.TXT 4.3.12),
// before the directory is read into memory.
type entryCounter struct {
	n    int
	tail []byte // the last octets written before, in which a signature may begin
}

var entrySignature = []byte("PK\x01\x02")

// Write counts the signatures that end in p.
func (c *entryCounter) Write(p []byte) (int, error) {
	k := len(entrySignature) - 1
	joint := append(c.tail, p[:min(len(p), k)]...)
	c.n += bytes.Count(joint, entrySignature) + bytes.Count(p, entrySignature)
	if len(p) >= k {
		joint = p
	}
	c.tail = append([]byte(nil), joint[max(0, len(joint)-k):]...)
	return len(p), nil
}
