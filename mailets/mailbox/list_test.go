package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestListFolders(t *testing.T) {
	root := t.TempDir()
	layout, err := NewLayout(root, "")
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(layout, "here.test", nil)
	for _, dir := range []string{"new", ".Work", ".Work.Old", ".&AOk-", ".Sent..x"} {
		if err := os.MkdirAll(filepath.Join(root, "here.test", "bob", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "here.test", "bob", ".file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"bob": "[INBOX Work Work/Old]", "alice": "[INBOX]"} {
		if got, err := s.Folders(user, "here.test"); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, %v, want %s", user, got, err, want)
		}
	}
	if _, err := s.Folders("", "here.test"); !errors.Is(err, ErrName) {
		t.Errorf("no user: %v", err)
	}
}
