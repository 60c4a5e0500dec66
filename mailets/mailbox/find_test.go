package mailbox

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

func TestFindFolder(t *testing.T) {
	root := t.TempDir()
	l, err := NewLayout(root, "")
	if err != nil {
		t.Fatal(err)
	}
	s := NewStore(l, "mx", slog.New(slog.DiscardHandler))
	for _, dir := range []string{".Sent", ".sent", ".A.B", "." + encodeUTF7("Müll"), "cur"} {
		if err := os.MkdirAll(filepath.Join(root, "d.test/u", dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "d.test/u/.File"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Sent": "Sent", "sent": "sent", "SENT": "Sent", "a/b": "A/B", "A.b": "A/B", "Müll": "Müll", "müll": "", "INBOX": "INBOX", "Inbox": "INBOX",
		"cur": "", "..": "", "": "", "/": "", "a//b": "", "File": "", "file": "", "\x00": "",
	} {
		got, ok, err := s.FindFolder("u", "d.test", name)
		if got != want || ok != (want != "") || err != nil {
			t.Errorf("%q: got %q, %v, %v, want %q", name, got, ok, err, want)
		}
	}
	if _, ok, err := s.FindFolder("nobody", "d.test", "Sent"); ok || err != nil {
		t.Errorf("no box: %v, %v", ok, err)
	}
	if _, _, err := s.FindFolder("", "d.test", "Sent"); !errors.Is(err, ErrName) {
		t.Errorf("no user: %v", err)
	}
}
