package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestDialogs plays testdata/*.txtar: the file "config" has elements of
// <smtpserver>, every other file is a conversation.
func TestDialogs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogs: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		a := txtar.Parse(data)
		if len(a.Files) < 2 || a.Files[0].Name != "config" {
			t.Fatalf("%s: want a file called config and conversations", name)
		}
		for _, f := range a.Files[1:] {
			t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar")+"/"+f.Name, func(t *testing.T) {
				h := start(t, string(a.Files[0].Data))
				h.dial().talk(string(f.Data))
			})
		}
	}
}
