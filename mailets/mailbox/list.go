package mailbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Folders returns the names of a user's folders, the inbox first and the others
// sorted. Those whose name is not in ASCII are left out. A box that is not there
// yet has an inbox, too.
func (s *Store) Folders(user, domain string) ([]string, error) {
	dir, err := s.layout.Box(user, domain)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list folders: %w", err)
	}
	out := []string{Inbox}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), ".")
		if folder := strings.ReplaceAll(name, ".", "/"); ok && e.IsDir() && !strings.Contains(name, "&") && CheckFolder(folder) == nil {
			out = append(out, folder)
		}
	}
	return out, nil
}
