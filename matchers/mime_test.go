package matchers

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// multipart returns a header and a body with parts, each a header and a body
// with a blank line between.
func multipart(kind string, parts ...string) (header, body string) {
	b := "b" + strings.ReplaceAll(kind, "/", "") // so that nested ones differ
	for _, p := range parts {
		body += "--" + b + "\r\n" + p + "\r\n"
	}
	return fmt.Sprintf("Content-Type: %s; boundary=%s\r\n", kind, b), body + "--" + b + "--\r\n"
}

// archive returns a part with a ZIP archive, of which the entries have names.
func archive(t testing.TB, name string, entries ...string) string {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for _, e := range entries {
		if _, err := w.Create(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return "Content-Type: application/zip; name=" + name + "\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
		base64.StdEncoding.EncodeToString(buf.Bytes())
}

func TestMIMEMatchers(t *testing.T) {
	altHeader, altBody := multipart("multipart/alternative", "Content-Type: Text/HTML\r\n\r\n<b>",
		"Content-Type: text/calendar; name=invite.ics\r\nContent-Disposition: attachment\r\n\r\nx")
	header, body := multipart("multipart/mixed", "\r\nplain", altHeader+"\r\n"+altBody,
		"Content-Type: Image/PNG; name=\"Logo.PNG\"\r\nContent-Disposition: ATTACHMENT; filename=\"evil.exe\"\r\n\r\nx",
		"Content-Type: message/rfc822\r\n\r\nContent-Type: application/pdf; name=inner.pdf\r\n\r\nx")
	const single = "Content-Type: application/pdf;\r\n name*0*=iso-8859-1''B%FC; name*1=cher.PDF\r\n"
	zipHeader, zipBody := multipart("multipart/mixed", archive(t, "Data.ZIP", "dir/EVIL.EXE", `x\setup.bat`, "inner.zip"))
	cutHeader, cutBody := multipart("multipart/mixed", "Content-Type: application/zip; name=a.zip\r\n\r\nno archive")
	emptyHeader, emptyBody := multipart("multipart/mixed")
	var cases []matchCase
	add := func(class, condition, header, body, want string) {
		tc := matchCase{class: class, condition: condition, header: header, body: body, want: want}
		if e, ok := strings.CutPrefix(want, "error: "); ok {
			tc.want, tc.err = "", e
		}
		cases = append(cases, tc)
	}
	add("HasMimeTypeAnySubPart", "text/calendar", header, body, all)
	add("HasMimeTypeAnySubPart", "multipart/alternative", header, body, all)
	add("HasMimeTypeAnySubPart", "multipart/mixed", header, body, all)
	add("HasMimeTypeAnySubPart", "Image/png", header, body, all)
	add("HasMimeTypeAnySubPart", "text/plain", header, body, "") // not said in the part
	add("HasMimeTypeAnySubPart", "application/pdf", header, body, "")
	add("HasMimeTypeAnySubPart", "text/x", emptyHeader, emptyBody, "error: starting boundary")
	add("HasMimeTypeAnySubPart", "multipart/mixed", emptyHeader, emptyBody, all)
	add("PartHasContentType", "image/png", header, body, all)
	add("PartHasContentType", "-z -D *IMAGE/, x/y", header, body, all)
	add("PartHasContentType", "text/plain", header, body, all)
	add("PartHasContentType", "text/calendar", header, body, "")
	add("PartHasContentType", "multipart/", header, body, "")
	add("PartHasContentType", "application/pdf", header, body, "")
	add("PartHasContentType", "-z", header, body, "")
	add("PartHasContentType", "text/plain", "", "x", all)
	add("PartHasContentType", "application/pdf", single, "x", all)
	add("PartHasContentType", "x/y", emptyHeader, emptyBody, "error: starting boundary")
	add("AttachmentFileNameIs", "*.exe", header, body, all)
	add("AttachmentFileNameIs", "-d LOGO.png", header, body, all)
	add("AttachmentFileNameIs", "logo", header, body, "")
	add("AttachmentFileNameIs", "l*o.png", header, body, "")
	add("AttachmentFileNameIs", "*.ics", header, body, all)
	add("AttachmentFileNameIs", "*.pdf", header, body, "")
	add("AttachmentFileNameIs", "=?utf-8?q?b=C3=BCcher.pdf?=", single, "x", all)
	add("AttachmentFileNameIs", "-z", header, body, "")
	add("AttachmentFileNameIs", "*.exe -z", zipHeader, zipBody, "")
	add("AttachmentFileNameIs", "*.exe", zipHeader, zipBody, "")
	add("AttachmentFileNameIs", "*.zip", zipHeader, zipBody, all)
	add("AttachmentFileNameIs", "-Z *.exe", zipHeader, zipBody, all)
	add("AttachmentFileNameIs", "-z evil.exe", zipHeader, zipBody, all)
	add("AttachmentFileNameIs", "-z dir/evil.exe", zipHeader, zipBody, all)
	add("AttachmentFileNameIs", "-z setup.bat", zipHeader, zipBody, all)
	add("AttachmentFileNameIs", "-z *.scr", zipHeader, zipBody, "")
	add("AttachmentFileNameIs", "-z *.scr", cutHeader, cutBody, "error: look into archive")
	add("AttachmentFileNameIs", "-z *.scr", "Content-Type: a/b; name=x.zip\r\nContent-Transfer-Encoding: rot13\r\n", "x", "error: rot13")
	add("AttachmentFileNameIs", "-z *.scr", "Content-Type: a/b; name=x.zip\r\nContent-Transfer-Encoding: base64\r\n", "!!!", "error: look into archive")
	add("AttachmentFileNameIs", "*.scr", emptyHeader, emptyBody, "error: starting boundary")
	add("HasAttachment", "", header, body, all)
	add("HasAttachment", "", altHeader, altBody, all)
	add("HasAttachment", "", zipHeader, zipBody, "")
	nestHeader, nestBody := multipart("multipart/mixed", altHeader+"\r\n"+altBody)
	add("HasAttachment", "", nestHeader, nestBody, "") // not on the first level
	add("HasAttachment", "", "Content-Disposition: attachment; filename=x\r\n", "x", all)
	add("HasAttachment", "", "Content-Disposition: inline; filename=x\r\n", "x", "")
	add("HasAttachment", "", "", "x", "")
	add("HasAttachment", "", emptyHeader, emptyBody, "error: starting boundary")
	add("HasAttachment", "", emptyHeader, "", "error: starting boundary")
	runAll(t, testRegistry(), cases)
}

func TestZipLimits(t *testing.T) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	for i := range maxZipEntries + 1 {
		if _, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := zipNames(bytes.NewReader(buf.Bytes())); !errors.Is(err, errZipLimit) {
		t.Errorf("got %v, want %v", err, errZipLimit)
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	if _, err := zipNames(bytes.NewReader(buf.Bytes())); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no temporary folder: got %v", err)
	}
}

// Signatures are counted wherever the pieces end in which they are written.
func TestEntryCounter(t *testing.T) {
	data := []byte("PPK\x01\x02PK\x01PK\x01\x02K\x01\x02PK\x01\x02PK\x01\x02")
	for step := 1; step <= len(data); step++ {
		c := &entryCounter{}
		for rest := data; len(rest) > 0; {
			n := min(step, len(rest))
			if _, err := c.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if c.n != 4 {
			t.Errorf("in pieces of %d: got %d, want 4", step, c.n)
		}
	}
}

// brokenBody cannot be opened, or breaks while it is read.
type brokenBody struct{ open, read error }

func (brokenBody) Size() int64                    { return 100 }
func (b brokenBody) Open() (io.ReadCloser, error) { return b, b.open }
func (b brokenBody) Read([]byte) (int, error)     { return 0, b.read }
func (brokenBody) Close() error                   { return nil }

func TestBrokenBody(t *testing.T) {
	broken := errors.New("disk on fire")
	for class, condition := range map[string]string{
		"TooManyLines": "3", "HasMimeTypeAnySubPart": "x/y", "PartHasContentType": "x/y", "AttachmentFileNameIs": "x", "HasAttachment": "",
	} {
		ma, err := testRegistry().NewMatcher(class, condition)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range []brokenBody{{open: broken}, {read: broken}} {
			m := newTestMail("")
			m.Message = container.NewMessage([]byte("Content-Type: multipart/mixed; boundary=b\r\n"), b)
			if got, err := ma.Match(t.Context(), m); !errors.Is(err, broken) {
				t.Errorf("%s: got %v, %v; want %v", class, got, err, broken)
			}
		}
	}
}

// Whatever the message is, a matcher of MIME structure ends, with all
// recipients, none, or an error that a stranger's message can cause.
func FuzzMIMEMatchers(f *testing.F) {
	header, body := multipart("multipart/mixed", "\r\nplain", archive(f, "a.zip", "x.exe"))
	f.Add(header+"\r\n"+body, "*.exe")
	f.Add("Content-Type: multipart/x\r\n\r\n--b\r\nContent-Disposition: attachment; filename*0*=a''%41; filename*1=\r\n\r\n", "text/")
	f.Add("Content-Type: a/b; x=\"\r\nContent-Type: c/d\r\nSubject: =?x?q?\r\n\r\n", "a/b")
	f.Fuzz(func(t *testing.T, raw, condition string) {
		msg := container.ParseMessage([]byte(raw))
		for _, class := range []string{"HasMimeType", "HasMimeTypeAnySubPart", "HasMimeTypeParameter", "PartHasContentType", "AttachmentFileNameIs", "HasAttachment"} {
			if class == "AttachmentFileNameIs" {
				condition = "-z " + condition
			}
			ma, err := testRegistry().NewMatcher(class, condition)
			if err != nil {
				continue
			}
			m := newTestMail("")
			m.Message = msg
			got, err := ma.Match(context.Background(), m)
			if err != nil && len(got) > 0 || len(got) != 0 && len(got) != len(m.Recipients) {
				t.Errorf("%s=%s: got %v, %v", class, condition, got, err)
			}
			if errors.Is(err, mime.ErrStop) || errors.Is(err, mime.ErrSkip) {
				t.Errorf("%s=%s: %v is not for callers", class, condition, err)
			}
		}
	})
}
