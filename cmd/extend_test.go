package cmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program in docs/extending.md is the one in testdata/stamp; it builds, and
// a configuration can name its class.
func TestExtendingProgram(t *testing.T) {
	source, err := os.ReadFile("testdata/stamp/main.go")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/extending.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "```go\n"+string(source)+"```") {
		t.Error("docs/extending.md does not show testdata/stamp/main.go as it is")
	}
	stamp := filepath.Join(t.TempDir(), "stamp")
	if out, err := exec.Command("go", "build", "-o", stamp, "./testdata/stamp").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, tc := range []struct{ name, text, want string }{
		{"known class", "<text>seen</text>", ""},
		{"problem of the factory", "", "<text> is required by com.example.Stamp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			xml := `<mailetcontainer><processors>
<processor state="root"><mailet match="All" class="com.example.Stamp">` + tc.text + `</mailet></processor>
<processor state="error"><mailet match="All" class="Null"/></processor>
</processors></mailetcontainer>`
			if err := os.WriteFile(filepath.Join(dir, "mailetcontainer.xml"), []byte(xml), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(stamp, "check", "-conf", dir).CombinedOutput()
			if (err == nil) != (tc.want == "") || !strings.Contains(string(out), tc.want) {
				t.Errorf("check: %v, want %q in:\n%s", err, tc.want, out)
			}
		})
	}
}
