package mailbox

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Store writes messages into the boxes of a layout. It is safe for concurrent
// use.
type Store struct {
	layout Layout
	host   string
	log    *slog.Logger
	now    func() time.Time

	attempts atomic.Uint64 // makes names in tmp differ
	cleaned  cleaned
}

// NewStore returns a store that names files after host.
func NewStore(l Layout, host string, log *slog.Logger) *Store {
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune("/:,", r) {
			return '_'
		}
		return r
	}, host)
	if clean == "" || len(clean) > maxElement/2 {
		clean = "localhost"
	}
	return &Store{layout: l, host: clean, log: log, now: time.Now}
}

// Message is one copy of a message for one folder of one user.
type Message struct {
	User, Domain string
	Folder       string // "A/B"; INBOX for the box itself
	Seen         bool
	Flagged      bool
	// ID makes the name of the file: the same for the same mail and recipient,
	// different for different ones.
	ID   string
	Time time.Time // the same whenever the mail is delivered again
	// Repeated: this may have been delivered before, so look for it, whatever
	// flags it has by now.
	Repeated bool
	Header   []byte // the header fields and the blank line behind them
	Body     container.Body
}

// Deliver stores the message durably. Delivering it again changes nothing, if
// the reader has not removed it meanwhile. Errors about names wrap ErrName, all
// others come from the file system.
func (s *Store) Deliver(m *Message) error {
	dir, err := s.layout.Box(m.User, m.Domain)
	if err != nil {
		return err
	}
	sub, err := folderPath(m.Folder)
	if err != nil {
		return err
	}
	box := dir
	if sub != "" {
		box = filepath.Join(dir, sub)
	}
	d := delivery{store: s, root: dir, box: box, hash: hash(m.ID, m.User, m.Domain, m.Folder)}
	size := int64(len(m.Header)) + m.Body.Size()
	d.name = strconv.FormatInt(m.Time.Unix(), 10) + "." + d.hash + "." + s.host + ",S=" + strconv.FormatInt(size, 10)
	if m.Repeated {
		if done, err := d.present(size); done || err != nil {
			return err
		}
	}
	s.cleaned.box(s, box)
	if err := d.write(m); err != nil {
		return err
	}
	d.addToMaildirsize(size)
	return nil
}

// hash returns 32 characters that stand for the parts.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// delivery is one message on its way into one folder.
type delivery struct {
	store     *Store
	root, box string // the user's box, and the folder in it
	hash      string
	name      string // of the file in new
}

// present reports whether the message is in the folder already. Readers move
// files from new to cur, add flags and may add fields to the name; hash and size
// stay.
func (d *delivery) present(size int64) (bool, error) {
	mark, end := "."+d.hash+".", ",S="+strconv.FormatInt(size, 10)
	for _, sub := range []string{"new", "cur", "new"} { // a reader may be moving it right now
		found, err := anyName(filepath.Join(d.box, sub), func(name string) bool {
			base, _, _ := strings.Cut(name, ":")
			return strings.Contains(base, mark) && (strings.HasSuffix(base, end) || strings.Contains(base, end+","))
		})
		if found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// anyName reports whether a name in dir passes. A folder that is not there has
// none. Large folders are read in portions.
func anyName(dir string, pass func(string) bool) (bool, error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for an earlier delivery: %w", err)
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1024)
		for _, n := range names {
			if pass(n) {
				return true, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for an earlier delivery: %w", err)
		}
	}
}

// write brings the message from tmp to its place.
func (d *delivery) write(m *Message) (err error) {
	tmp := filepath.Join(d.box, "tmp", fmt.Sprintf("%s.%d_%d", d.hash, os.Getpid(), d.store.attempts.Add(1)))
	f, err := d.create(tmp)
	if err != nil {
		return fmt.Errorf("open mailbox: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write to mailbox: %w", err)
			os.Remove(tmp)
		}
	}()
	if err = copyMessage(f, m); err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	dir, name := filepath.Join(d.box, "new"), d.name
	if flags := flags(m); flags != "" {
		dir, name = filepath.Join(d.box, "cur"), d.name+":2,"+flags
	}
	// If the name is taken it is by this same message: replacing it is harmless.
	place := filepath.Join(dir, name)
	if err = os.Rename(tmp, place); errors.Is(err, fs.ErrNotExist) {
		// The folder is lost: tmp, which is made last, is there.
		if err = makeBox(d.box, d.box != d.root); err == nil {
			err = os.Rename(tmp, place)
		}
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// flags returns the Maildir flags, in alphabetical order.
func flags(m *Message) string {
	s := ""
	if m.Flagged {
		s += "F"
	}
	if m.Seen {
		s += "S"
	}
	return s
}

// copyMessage writes header and body; a body that is shorter or
// longer than it said is an error.
func copyMessage(f *os.File, m *Message) error {
	r, err := m.Body.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := f.Write(m.Header); err != nil {
		return err
	}
	n, err := io.Copy(f, r)
	if err != nil {
		return err
	}
	if n != m.Body.Size() {
		return fmt.Errorf("body has %d octets instead of %d", n, m.Body.Size())
	}
	return nil
}

// create opens a new file in tmp, making the box when it is not there.
func (d *delivery) create(tmp string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := os.OpenFile(tmp, flags, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := makeBox(d.root, false); err != nil {
		return nil, err
	}
	if d.box != d.root {
		if err := makeBox(d.box, true); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(tmp, flags, 0o600)
}

// makeBox makes a Maildir; mark says that it is a folder below a box, which
// Maildir++ wants to have marked. tmp comes last, after everything else is
// durable: who finds it can rely on the rest.
func makeBox(box string, mark bool) error {
	if err := makeDir(box); err != nil {
		return err
	}
	if mark {
		f, err := os.OpenFile(filepath.Join(box, "maildirfolder"), os.O_WRONLY|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		f.Close()
	}
	for _, sub := range []string{"cur", "new"} {
		if err := mkdir(filepath.Join(box, sub)); err != nil {
			return err
		}
	}
	if err := syncDir(box); err != nil {
		return err
	}
	return mkdir(filepath.Join(box, "tmp"))
}

// makeDir makes a folder and those above it; each is flushed into the one that
// holds it, also when another delivery has just made it.
func makeDir(dir string) error {
	err := mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = mkdir(dir)
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// mkdir makes one folder for the owner alone. One that is there is good too.
func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// syncDir flushes the names in dir.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("flush folder: %w", err)
	}
	return nil
}
