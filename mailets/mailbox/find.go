package mailbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FindFolder looks for a folder of a user's box: the one of exactly this name,
// else one whose name differs in the case of letters only (for names in ASCII).
// It returns the name to deliver to. A box or folder that is not there, or a name
// that no folder can have, is no error.
func (s *Store) FindFolder(user, domain, name string) (folder string, ok bool, err error) {
	dir, err := s.layout.Box(user, domain)
	if err != nil {
		return "", false, err
	}
	sub, err := folderPath(name)
	if errors.Is(err, ErrName) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	if sub == "" {
		return Inbox, true, nil
	}
	switch info, err := os.Stat(filepath.Join(dir, sub)); {
	case err == nil && info.IsDir():
		return name, true, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", false, fmt.Errorf("look for folder: %w", err)
	}
	if strings.Contains(sub, "&") { // encoded: letters are not what they seem
		return "", false, nil
	}
	entries, err := os.ReadDir(dir) // sorted: the same one is found each time
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("look for folder: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.EqualFold(e.Name(), sub) {
			return strings.ReplaceAll(e.Name()[1:], ".", "/"), true, nil
		}
	}
	return "", false, nil
}
