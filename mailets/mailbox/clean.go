package mailbox

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	staleAfter = 36 * time.Hour // as the description of Maildir has it
	cleanEvery = 24 * time.Hour
	cleanBoxes = 10000 // how many boxes are remembered; forgetting one costs a look
)

// cleaned remembers when the tmp folders of which boxes were last looked
// through.
type cleaned struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// due reports whether tmp of box should be looked through now, and notes that it
// is.
func (c *cleaned) due(box string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t, ok := c.last[box]; ok && now.Sub(t) < cleanEvery {
		return false
	}
	if c.last == nil || len(c.last) >= cleanBoxes {
		c.last = map[string]time.Time{}
	}
	c.last[box] = now
	return true
}

// box removes what was left behind in tmp of a box, at most once a day for each
// box. Nothing depends on it: what goes wrong is only logged.
func (c *cleaned) box(s *Store, box string) {
	now := s.now()
	if !c.due(box, now) {
		return
	}
	tmp := filepath.Join(box, "tmp")
	entries, err := os.ReadDir(tmp)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("mailbox cannot be cleaned", "box", box, "err", err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || now.Sub(info.ModTime()) < staleAfter {
			continue
		}
		if err := os.Remove(filepath.Join(tmp, e.Name())); err != nil {
			s.log.Warn("stale file in a mailbox cannot be removed", "box", box, "err", err)
		}
	}
}
