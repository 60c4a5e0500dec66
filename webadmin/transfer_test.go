package webadmin

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailetd/mailetd/container"
)

func TestTransfer(t *testing.T) {
	b := newBench(t, Config{}, nil)
	// The line ends of a file on this machine.
	const message = "From: Bob <bob@b.com>\nTo: One <one@x.org>, two@x.org\nCc: group: three@x.org, ONE@x.org;\nBcc: secret@x.org\nSubject: hi\n\nline 1\nline 2"
	w := b.do("POST", "/mail-transfer-service", message, "Content-Type", "application/x-www-form-urlencoded")
	if w.Code != 201 || w.Body.Len() != 0 || w.Header().Get("Location") != "" {
		t.Fatalf("got %d %s %v", w.Code, w.Body, w.Header())
	}
	if len(b.store.changes) != 1 || len(b.store.changes[0].Entries) != 1 {
		t.Fatalf("got changes %+v", b.store.changes)
	}
	e := b.store.changes[0].Entries[0]
	m := e.Mail
	var got bytes.Buffer
	if _, err := m.Message.WriteTo(&got); err != nil {
		t.Fatal(err)
	}
	const want = "From: Bob <bob@b.com>\r\nTo: One <one@x.org>, two@x.org\r\nCc: group: three@x.org, ONE@x.org;\r\nSubject: hi\r\n\r\nline 1\r\nline 2\r\n"
	if got.String() != want {
		t.Errorf("message: got %q, want %q", got.String(), want)
	}
	if e.Queue != "spool" || m.State != "root" || m.Sender.String() != "bob@b.com" || len(m.Name) != 36 ||
		strings.Join(container.AddressStrings(m.Recipients), " ") != "one@x.org two@x.org three@x.org secret@x.org" {
		t.Errorf("got %+v to %v in %s", m, m.Recipients, e.Queue)
	}
	if b.store.aborted != 0 {
		t.Error("the body was thrown away")
	}
}

func TestTransferErrors(t *testing.T) {
	b := newBench(t, Config{}, func(d *Deps) { d.MaxMessageSize = 2 << 20 })
	const unexpected = "WebAdmin encountered an unexpected internal error"
	for name, message := range map[string]string{
		"empty": "", "no From": "To: a@b.com\n\nx", "no recipient": "From: a@b.com\n\nx", "empty group": "From: a@b.com\nTo: undisclosed-recipients:;\n\nx",
		"bad From": "From: me\nTo: a@b.com\n\nx", "one bad To": "From: a@b.com\nTo: a@b.com, nobody\n\nx", "no header": "hello\n\nx",
		"header too long": "From: a@b.com\nTo: b@b.com\nX: " + strings.Repeat("x", maxHeader) + "\n\n",
	} {
		w := b.do("POST", "/mail-transfer-service", message)
		if w.Code != 500 || !strings.Contains(w.Body.String(), unexpected) {
			t.Errorf("%s: got %d %s", name, w.Code, w.Body)
		}
	}
	b.wantError("POST", "/mail-transfer-service", "From: a@b.com, b@b.com\nTo: c@b.com\n\n", 400, "InvalidArgument", generic, "From must have one address, not 2")
	big := "From: a@b.com\nTo: b@b.com\n\n" + strings.Repeat("x", 2<<20)
	b.wantError("POST", "/mail-transfer-service", big, 413, "InvalidArgument", "The request body is larger than 2097152 octets", "")
	if len(b.store.changes) != 0 || b.store.aborted != 1 {
		t.Errorf("got %d changes, %d bodies thrown away, want 0, 1", len(b.store.changes), b.store.aborted)
	}
	b.store.fail = errDisk
	b.wantError("POST", "/mail-transfer-service", "From: a@b.com\nTo: b@b.com\n\nx", 500, "ServerError", unexpected, "enqueue message: disk full")
}

func TestTransferKeepsUTF8(t *testing.T) {
	b := newBench(t, Config{}, nil)
	b.want("POST", "/mail-transfer-service", "From: ü@b.com\nTo: b@b.com\n\nx", 201, "")
	if v, _ := b.store.changes[0].Entries[0].Mail.Attributes.Bool(container.AttrSMTPUTF8); !v {
		t.Error("the envelope needs SMTPUTF8 and does not say so")
	}
}

func TestCRLF(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "a": "a\r\n", "a\n": "a\r\n", "a\r\n": "a\r\n", "a\r": "a\r\n", "a\n\nb": "a\r\n\r\nb\r\n", "a\r\rb": "a\r\n\r\nb\r\n",
		"\n": "\r\n", "\r": "\r\n", "\r\n\r\n": "\r\n\r\n", "a\r\r\nb\n": "a\r\n\r\nb\r\n", "a\n\rb": "a\r\n\r\nb\r\n",
	} {
		for _, slow := range []bool{false, true} {
			var out bytes.Buffer
			c := &crlfWriter{w: &out}
			var r io.Reader = strings.NewReader(in)
			if slow {
				r = iotest.OneByteReader(r)
			}
			if _, err := io.Copy(c, r); err != nil {
				t.Fatal(err)
			}
			if err := c.end(); err != nil {
				t.Fatal(err)
			}
			if out.String() != want {
				t.Errorf("%q (slow %v): got %q, want %q", in, slow, out.String(), want)
			}
		}
	}
}

// FuzzCRLF: however the text is cut, each line ends with CRLF and nothing else
// has changed.
func FuzzCRLF(f *testing.F) {
	f.Add([]byte("a\r\nb\rc\n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		var out bytes.Buffer
		c := &crlfWriter{w: &out}
		cut = max(0, min(cut, len(in)))
		for _, p := range [][]byte{in[:cut], in[cut:]} {
			if n, err := c.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		_ = c.end()
		want := strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(string(in))
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if out.String() != want {
			t.Errorf("%q cut at %d: got %q, want %q", in, cut, out.String(), want)
		}
	})
}
