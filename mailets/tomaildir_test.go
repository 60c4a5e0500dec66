package mailets

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-maildir"

	"github.com/mailetd/mailetd/container"
)

// unseen returns the new messages of a Maildir.
func unseen(t *testing.T, dir string) []string {
	t.Helper()
	list, err := maildir.Dir(dir).Unseen()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, msg := range list {
		r, err := msg.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	return out
}

func TestToMaildir(t *testing.T) {
	for _, tc := range []struct {
		path, folder string
		boxes        map[string]string // box: recipients in X-Envelope-To, "-" for none
	}{
		{"%d/%u", "", map[string]string{"example.com/bob": "-", "example.com/al": "-", "other.test/al": "-"}},
		{"m/%d-%u", "A/B", map[string]string{"m/example.com-bob/.A.B": "-", "m/example.com-al/.A.B": "-", "m/other.test-al/.A.B": "-"}},
		{"%d", "", map[string]string{"example.com": "Bob@example.com al@example.com", "other.test": "al@other.test"}},
		{"all", "Incoming", map[string]string{"all/.Incoming": "Bob@example.com al@example.com al@other.test"}},
	} {
		s := testServices(t)
		r := container.NewRegistry()
		Register(r, s)
		params := "<path>" + filepath.Join(t.TempDir(), tc.path) + "</path><folder>" + tc.folder + "</folder>"
		root := strings.TrimSuffix(strings.TrimPrefix(strings.Split(params, "</path>")[0], "<path>"), tc.path)
		x := mustLoad(t, r, "com.github.mailetd.ToMaildir", params)
		m := testMail("Bob@example.com", "al@example.com", "al@other.test")
		again := m.Clone()
		serve(t, x, m)
		if m.State != container.StateGhost || len(m.Recipients) != 3 {
			t.Errorf("%s: state %s, %v", tc.path, m.State, m.Recipients)
		}
		again.Redelivered = true // the process died before the end was noted
		serve(t, x, again)
		for box, want := range tc.boxes {
			msgs := unseen(t, filepath.Join(root, box))
			if len(msgs) != 1 {
				t.Errorf("%s: %d messages in %s", tc.path, len(msgs), box)
				continue
			}
			var to []string
			for line := range strings.Lines(msgs[0]) {
				if v, ok := strings.CutPrefix(line, "X-Envelope-To: "); ok {
					to = append(to, strings.TrimSpace(v))
				}
			}
			if got := strings.Join(to, " "); got != strings.Trim(want, "-") {
				t.Errorf("%s: %s is for %q", tc.path, box, got)
			}
		}
	}
}

// One box cannot be made, and one name cannot be a path; the others have their
// mail.
func TestToMaildirFailures(t *testing.T) {
	s := testServices(t)
	if err := os.WriteFile(filepath.Join(s.MailDir, "al"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := container.NewRegistry()
	Register(r, s)
	x := mustLoad(t, r, "ToMaildir", "<path>%u/%d</path>")
	m := testMail("bob@example.com", "al@example.com", strings.Repeat("x", 300)+"@example.com")
	out := serve(t, x, m)
	if len(m.Recipients) != 1 || out.Len() != 2 {
		t.Fatalf("delivered to %v, %d mails", m.Recipients, out.Len())
	}
	var got []string
	for _, e := range out.Entries() {
		o, _ := e.Mail.Outcome(e.Mail.Recipients[0])
		got = append(got, e.Mail.State+" "+o.Enhanced+" "+e.Delay.String())
		if strings.Contains(o.Text, s.MailDir) {
			t.Errorf("the outcome shows our paths: %s", o.Text)
		}
	}
	if want := []string{"error 5.1.3 0s", "root 4.3.0 " + time.Minute.String()}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestToMaildirParameters(t *testing.T) {
	for params, want := range map[string]string{
		"":                "error: <path> is required",
		"<path>%x</path>": "error: <path>: ",
		"<path>/</path>":  "error: <path>: the folder itself cannot be a mailbox",
		"<path>/srv/%d</path><folder>a//b</folder>": "error: <folder>: folder \"a//b\" has an empty level",
	} {
		_, problems := load(t, testRegistry(t), "ToMaildir", params)
		if len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: got %q, want %q", params, problems, want)
		}
	}
	s := testServices(t)
	_, problems := load(t, testRegistry(t), "ToMaildir", "<path>/srv/%u</path>")
	if virtual := s.Local.VirtualHosting(); (len(problems) == 1) != virtual {
		t.Errorf("virtual hosting is %t: got %q", virtual, problems)
	}
}
