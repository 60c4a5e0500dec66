package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

const (
	// settled is how old a folder must be before its time tells whether it was
	// changed: file systems keep time in steps.
	settled = 2 * time.Second
	// useWorth times as long as it took to measure a mailbox the result is good,
	// at most useMax: a large one that gets much mail is not read for each.
	useWorth = 10
	useMax   = 10 * time.Second
	// useBoxes and useFolders bound what is remembered; forgetting costs a look.
	useBoxes   = 10_000
	useFolders = 100_000
)

// Usage measures mailboxes. Sizes are taken from the names of the files, where
// they are (,S=), and a folder that has not changed is not read again. It is safe
// for concurrent use.
type Usage struct {
	now     func() time.Time
	measure func(ctx context.Context, dir string) (local.MailboxUse, error)

	mu      sync.Mutex
	layouts []Layout
	boxes   map[string]measured
	folders map[string]counted
	busy    map[string]chan struct{} // boxes that are being measured; closed at the end
}

var _ local.Mailboxes = (*Usage)(nil)

// measured is what a box had at a time.
type measured struct {
	use  local.MailboxUse
	good time.Time // until then
}

// counted is what a folder had when it was changed last.
type counted struct {
	use      local.MailboxUse
	modified time.Time
}

// NewUsage returns a measure of the boxes that are where a Dispatcher puts them.
func NewUsage() *Usage {
	return &Usage{now: time.Now, measure: measureFolder, boxes: map[string]measured{}, folders: map[string]counted{},
		busy: map[string]chan struct{}{}}
}

// Add notes that boxes are at the places of a layout.
func (u *Usage) Add(l Layout) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !slices.Contains(u.layouts, l) {
		u.layouts = append(u.layouts, l)
	}
}

// Use returns what the box of user in domain holds: all messages in all folders,
// the trash included. With boxes in several places it is their sum. A name that
// no box can have has none.
func (u *Usage) Use(ctx context.Context, user, domain string) (local.MailboxUse, error) {
	u.mu.Lock()
	layouts := slices.Clone(u.layouts)
	u.mu.Unlock()
	var sum local.MailboxUse
	var seen []string
	for _, l := range layouts {
		dir, err := l.Box(user, domain)
		if errors.Is(err, ErrName) || slices.Contains(seen, dir) {
			continue
		}
		if err != nil {
			return sum, err
		}
		seen = append(seen, dir)
		use, err := u.box(ctx, dir)
		if err != nil {
			return sum, err
		}
		sum.Count, sum.Size = sum.Count+use.Count, sum.Size+use.Size
	}
	return sum, nil
}

// box returns what one box holds. Of many that ask about the same box at once, one
// measures it: reading a large one takes long.
func (u *Usage) box(ctx context.Context, dir string) (local.MailboxUse, error) {
	for {
		now := u.now()
		u.mu.Lock()
		m, ok := u.boxes[dir]
		other, busy := u.busy[dir]
		good := ok && now.Before(m.good)
		done := make(chan struct{})
		if !good && !busy {
			u.busy[dir] = done
		}
		u.mu.Unlock()
		switch {
		case good:
			return m.use, nil
		case !busy:
			defer u.measured(dir, done)
			return u.measureBox(ctx, dir, now)
		}
		select {
		case <-other:
		case <-ctx.Done():
			return local.MailboxUse{}, fmt.Errorf("measure mailbox: %w", ctx.Err())
		}
	}
}

// measured lets those go on who wait for a measure to end.
func (u *Usage) measured(dir string, done chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.busy, dir)
	close(done)
}

func (u *Usage) measureBox(ctx context.Context, dir string, start time.Time) (local.MailboxUse, error) {
	var m measured
	boxes := []string{dir}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return m.use, fmt.Errorf("measure mailbox: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") {
			boxes = append(boxes, filepath.Join(dir, e.Name()))
		}
	}
	for _, b := range boxes {
		for _, sub := range []string{"new", "cur"} {
			use, err := u.folder(ctx, filepath.Join(b, sub))
			if err != nil {
				return m.use, fmt.Errorf("measure mailbox: %w", err)
			}
			m.use.Count, m.use.Size = m.use.Count+use.Count, m.use.Size+use.Size
		}
	}
	end := u.now()
	m.good = end.Add(min(useWorth*end.Sub(start), useMax))
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.boxes) >= useBoxes {
		clear(u.boxes)
	}
	u.boxes[dir] = m
	return m.use, nil
}

// folder returns what is in one directory of messages.
func (u *Usage) folder(ctx context.Context, dir string) (use local.MailboxUse, err error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return use, nil
	}
	if err != nil {
		return use, err
	}
	u.mu.Lock()
	c, ok := u.folders[dir]
	u.mu.Unlock()
	if ok && c.modified.Equal(info.ModTime()) {
		return c.use, nil
	}
	start := u.now()
	if use, err = u.measure(ctx, dir); err != nil {
		return use, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.folders, dir)
	if start.Sub(info.ModTime()) > settled {
		if len(u.folders) >= useFolders {
			clear(u.folders)
		}
		u.folders[dir] = counted{use, info.ModTime()}
	}
	return use, nil
}

// measureFolder reads the names in a directory, in portions.
func measureFolder(ctx context.Context, dir string) (use local.MailboxUse, err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return use, nil
	}
	if err != nil {
		return use, err
	}
	defer f.Close()
	for ctx.Err() == nil {
		names, err := f.Readdirnames(1024)
		for _, name := range names {
			if strings.HasPrefix(name, ".") {
				continue
			}
			size, ok := sizeInName(name)
			if !ok {
				info, err := os.Lstat(filepath.Join(dir, name))
				if err != nil || !info.Mode().IsRegular() {
					continue // moved or removed meanwhile, or no message
				}
				size = info.Size()
			}
			use.Count, use.Size = use.Count+1, use.Size+size
		}
		if errors.Is(err, io.EOF) {
			return use, nil
		}
		if err != nil {
			return use, err
		}
	}
	return use, ctx.Err()
}

// sizeInName returns the size that Maildir++ puts into the name of a file.
func sizeInName(name string) (int64, bool) {
	name, _, _ = strings.Cut(name, ":")
	_, rest, found := strings.Cut(name, ",S=")
	if !found {
		return 0, false
	}
	rest, _, _ = strings.Cut(rest, ",")
	n, err := strconv.ParseUint(rest, 10, 62)
	return int64(n), err == nil
}

// addToMaildirsize notes a new message in the file in which Dovecot and Courier
// keep the sum of a box, if there is one. One line in one write is how Maildir++
// has it. The message is delivered, so what goes wrong is no reason to fail.
func (d *delivery) addToMaildirsize(size int64) {
	// Whoever owns the box may have put a link to a file of ours there, or a pipe.
	f, err := os.OpenFile(filepath.Join(d.root, "maildirsize"), os.O_WRONLY|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		if err = onlyHere(f); err == nil {
			_, err = fmt.Fprintf(f, "%d 1\n", size)
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		d.store.log.Warn("maildirsize not changed; it is counted anew when it is out of date", "box", d.root, "err", err)
	}
}

// onlyHere makes sure that f is a file, and has no other name elsewhere.
func onlyHere(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || ok && st.Nlink > 1 {
		return errors.New("it is no plain file")
	}
	return nil
}
