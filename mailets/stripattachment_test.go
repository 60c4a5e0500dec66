package mailets

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

func TestStripAttachment(t *testing.T) {
	r := testRegistry(t)
	data := readMessage(t, "nested.in.eml")
	for _, tc := range []struct {
		name, params   string
		stored, remove []string
	}{
		{"pattern", `<pattern>.*\.exe</pattern><remove>matched</remove>`, []string{"../../evil.exe"}, []string{"../../evil.exe"}},
		{"notpattern", `<notpattern>.*\.exe</notpattern><remove>matched</remove>`, []string{"grüße.txt", "logo.png"}, []string{"logo.png", "grüße.txt"}},
		{"type", `<mimeType>image/PNG</mimeType>`, []string{"logo.png"}, nil},
		{"any type", `<mimeType>image/*</mimeType><remove>Matched</remove>`, []string{"logo.png"}, []string{"logo.png"}},
		{"type of the text", `<mimeType>text/html</mimeType><remove>matched</remove>`, []string{"attachment-2"}, []string{"attachment-2"}},
		{"never", `<pattern>a</pattern><notpattern>a</notpattern><remove>matched</remove>`, nil, nil},
		{"text has no name", `<pattern>.*</pattern>`, []string{"../../evil.exe", "grüße.txt", "logo.png"}, nil},
		{"all", `<pattern>.*exe</pattern><remove>ALL</remove>`, []string{"../../evil.exe"}, []string{"attachment-1", "attachment-2", "logo.png", "../../evil.exe", "grüße.txt"}},
		{"renamed", `<pattern>evil-exe</pattern><replaceFilenamePattern>/.*\/([a-z]+)\./$1-//</replaceFilenamePattern><decodeFilename>true</decodeFilename><remove>matched</remove>`, []string{"evil-exe"}, []string{"evil-exe"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "folder")
			m := editMail(data)
			serve(t, mustLoad(t, r, "StripAttachment", tc.params+"<attribute>parts</attribute><directory>"+dir+"</directory>"), m)
			stored, _ := m.Attributes.Map("parts")
			if got := slices.Sorted(maps.Keys(stored)); !slices.Equal(got, tc.stored) {
				t.Errorf("stored: got %q, want %q", got, tc.stored)
			}
			if got := m.Attributes.Strings(attrStripRemoved); !slices.Equal(got, tc.remove) {
				t.Errorf("removed: got %q, want %q", got, tc.remove)
			}
			saved := m.Attributes.Strings(attrStripSaved)
			if len(saved) != len(tc.stored) {
				t.Errorf("saved: got %q", saved)
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*"))
			if len(files) != len(saved) {
				t.Errorf("files: got %q, want %q", files, saved)
			}
			checkParses(t, messageBytes(t, &m.Message))
		})
	}
}

func TestStripAttachmentSaves(t *testing.T) {
	r := testRegistry(t)
	dir := filepath.Join(t.TempDir(), "folder")
	part := func(name, rest string) string {
		return "--b\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n" + rest + "\r\n"
	}
	data := "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		part("..", "\r\none") + part("a/../../b.txt", "Content-Transfer-Encoding: base64\r\n\r\ndHdv") +
		part(`C:\\x\\c.exe`, "Content-Transfer-Encoding: base64\r\n\r\n????") + part("c.exe", "Content-Transfer-Encoding: x-uu\r\n\r\nfour") +
		part(".bashrc", "\r\nfive") + part(strings.Repeat("ü", 300)+".txt", "\r\nsix") + part("=?utf-8?q?=2E=2E=2Fz?=", "\r\nseven") +
		part("same", "\r\neight") + part("same", "\r\nnine") + "--b--\r\n"
	ma := mustLoad(t, r, "StripAttachment", "<pattern>.*</pattern><remove>matched</remove><attribute>parts</attribute><directory>"+dir+"</directory>")
	var first []string
	for range 2 { // again after a crash: the same files
		m := editMail([]byte(data))
		serve(t, ma, m)
		saved := m.Attributes.Strings(attrStripSaved)
		if first == nil {
			first = saved
		}
		if !slices.Equal(first, saved) {
			t.Errorf("got %q and %q", first, saved)
		}
		if parts, _ := m.Attributes.Map("parts"); len(parts) != 9 || parts["same-2"] == nil {
			t.Errorf("stored %d parts", len(parts))
		}
	}
	var got []string
	for _, name := range first {
		if filepath.Base(name) != name || strings.HasPrefix(name, ".") || len(name) > 160 {
			t.Errorf("bad name %q", name)
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(content))
	}
	if want := []string{"one", "two", "????", "four", "five", "six", "seven", "eight", "nine"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if files, _ := os.ReadDir(dir); len(files) != 9 {
		t.Errorf("%d files in the folder", len(files))
	}
	if files, _ := os.ReadDir(filepath.Dir(dir)); len(files) != 1 {
		t.Errorf("files outside the folder: %v", files)
	}
}

// A file that cannot be written must not cost the attachment.
func TestStripAttachmentCannotSave(t *testing.T) {
	r := testRegistry(t)
	dir := filepath.Join(t.TempDir(), "folder")
	ma := mustLoad(t, r, "StripAttachment", "<pattern>.*</pattern><remove>matched</remove><directory>"+dir+"/x</directory>")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where a folder should be
		t.Fatal(err)
	}
	data := readMessage(t, "nested.in.eml")
	m := editMail(data)
	if err := ma.Service(t.Context(), m, &container.Outbox{}); err == nil || !strings.Contains(err.Error(), "save attachment") {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(messageBytes(t, &m.Message), data) || len(m.Attributes) > 0 {
		t.Error("the mail was changed")
	}
}

func TestStripSingleAttachment(t *testing.T) {
	r := testRegistry(t)
	ma := mustLoad(t, r, "StripAttachment", `<pattern>.*\.exe</pattern><remove>matched</remove><attribute>parts</attribute>`)
	m := editMail([]byte("Subject: x\r\nContent-Type: application/x; name=a.exe\r\nContent-Transfer-Encoding: base64\r\n\r\nTVo=\r\n"))
	serve(t, ma, m)
	if got, want := string(messageBytes(t, &m.Message)), "MIME-Version: 1.0\r\nSubject: x\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	serve(t, mustLoad(t, r, "MimeDecodingMailet", "<attribute>parts</attribute>"), m)
	if parts, _ := m.Attributes.Map("parts"); string(parts["a.exe"].([]byte)) != "MZ" {
		t.Errorf("got %q", parts)
	}
}

// A simple message has no attachments, whatever its type.
func TestStripSimpleMessage(t *testing.T) {
	r := testRegistry(t)
	for _, params := range []string{"<mimeType>text/plain</mimeType><remove>matched</remove>", "<notpattern>x</notpattern><remove>all</remove>"} {
		m := editMail(readMessage(t, "latin1.in.eml"))
		before := messageBytes(t, &m.Message)
		serve(t, mustLoad(t, r, "StripAttachment", params), m)
		if !bytes.Equal(messageBytes(t, &m.Message), before) || len(m.Attributes) > 0 {
			t.Errorf("%s: the message was changed", params)
		}
	}
}

// What was stripped comes back, part by part the same octets.
func TestRecoverAttachment(t *testing.T) {
	r := testRegistry(t)
	strip := mustLoad(t, r, "StripAttachment", `<pattern>.*</pattern><remove>matched</remove><attribute>parts</attribute>`)
	back := mustLoad(t, r, "RecoverAttachment", "<attribute>parts</attribute>")
	for _, in := range []string{"nested", "signed", "ics"} {
		data := readMessage(t, in+".in.eml")
		m := editMail(data)
		serve(t, strip, m)
		stored, _ := m.Attributes.Map("parts")
		serve(t, back, m)
		got := messageBytes(t, &m.Message)
		checkParses(t, got)
		for name, part := range stored {
			if !bytes.Contains(got, part.([]byte)) {
				t.Errorf("%s: part %q is missing", in, name)
			}
		}
	}
	for _, tc := range []struct{ in, want string }{
		{"Subject: x\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\r\n",
			"MIME-Version: 1.0\r\nSubject: x\r\nContent-Type: multipart/mixed; boundary=\"BOUNDARY\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
				"--BOUNDARY\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xff\r\n\r\n--BOUNDARY\r\nA: b\r\n\r\none\r\n--BOUNDARY\r\nC: d\r\n\r\n--x\r\n\r\n--BOUNDARY--\r\n"},
		{"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n0\r\n--y--\r\n",
			"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n0\r\n--y\r\nA: b\r\n\r\none\r\n--y\r\nC: d\r\n\r\n--x\r\n\r\n--y--\r\n"},
		{"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n0\r\n--x--\r\n", // the boundary is in a part
			"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"BOUNDARY\"\r\n\r\n--BOUNDARY\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n0\r\n--x--\r\n\r\n" +
				"--BOUNDARY\r\nA: b\r\n\r\none\r\n--BOUNDARY\r\nC: d\r\n\r\n--x\r\n\r\n--BOUNDARY--\r\n"},
	} {
		m := editMail([]byte(tc.in))
		m.Set("parts", map[string]container.Value{"2": []byte("C: d\r\n\r\n--x\r\n"), "1": []byte("A: b\r\n\r\none"), "3": "no octets"})
		serve(t, back, m)
		if got := string(randomBoundary.ReplaceAll(messageBytes(t, &m.Message), []byte("BOUNDARY"))); got != tc.want {
			t.Errorf("got  %q\nwant %q", got, tc.want)
		}
	}
}

func TestMimeDecodingMailet(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "MimeDecodingMailet", "<attribute>a</attribute>")
	m := testMail("bob@example.com")
	serve(t, ma, m)
	if _, there := m.Attributes["a"]; there {
		t.Error("an attribute was made")
	}
	m.Set("a", map[string]container.Value{
		"plain":  []byte("A: b\r\n\r\ntext"),
		"base64": []byte("Content-Transfer-Encoding: base64\r\n\r\ndGV4\r\ndA==\r\n"),
		"qp":     []byte("Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC"),
		"broken": []byte("Content-Transfer-Encoding: base64\r\n\r\n????"),
		"none":   []byte("Content-Transfer-Encoding: x-none\r\n\r\nx"),
		"string": "text",
	})
	serve(t, ma, m)
	got, _ := m.Attributes.Map("a")
	if len(got) != 3 || string(got["plain"].([]byte)) != "text" || string(got["base64"].([]byte)) != "text" || string(got["qp"].([]byte)) != "ü" {
		t.Errorf("got %q", got)
	}
	m.Set("a", "no map")
	serve(t, ma, m)
	if got, ok := m.Attributes.Map("a"); !ok || len(got) != 0 {
		t.Errorf("got %v", m.Attributes["a"])
	}
}

func TestFileName(t *testing.T) {
	for in, want := range map[string]string{
		"a.txt":            "a__*.txt",
		"report.pdf":       "report*.pdf",
		"noext":            "noext*.bin",
		"":                 "___*.bin",
		".hidden":          "hidden*.bin",
		"dot.":             "dot.*.bin",
		"a/b\\c.x":         "a_b_c*.x",
		"../../etc.d":      "_.._etc*.d",
		"x\x00\n\u202ey.z": "x___y*.z",
		"q?*.<x>":          "q__*._x_",
		"a. . ":            "a. *. ",
	} {
		got := fileName(in, "id", &mime.Entity{})
		base, ext, _ := strings.Cut(want, "*")
		if in == "a. . " {
			ext = ""
		}
		if !strings.HasPrefix(got, base) || !strings.HasSuffix(got, ext) || len(got) != len(base)+16+len(ext) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
