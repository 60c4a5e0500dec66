package mailets

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// headerMailets are the mailets of FuzzHeaders, with the header fields that they
// may change, add or remove; a * at the end stands for anything.
var headerMailets = []struct {
	class, params string
	fields        []string
}{
	{"SetMimeHeader", "<name>X-New</name><value>5 € for %s</value>", []string{"X-New"}},
	{"RemoveMimeHeader", "<name>bcc, received</name>", []string{"Bcc", "Received"}},
	{"RemoveMimeHeaderByPrefix", "<prefix>X-</prefix>", []string{"X-*"}},
	{"AddSubjectPrefix", "<subjectPrefix>[größer]</subjectPrefix>", []string{"Subject"}},
	{"AddDeliveredToHeader", "", nil},
	{"SanitizeMimeMessageId", "", []string{"Message-ID"}},
	{"SaveMailNameInHeaders", "", []string{"X-JAMES-Mail-Name"}},
	{"Expires", "<minAge>1d</minAge><maxAge>1w</maxAge><defaultAge>4 days</defaultAge>", []string{"Expires"}},
	{"MailAttributesToMimeHeaders", "<simplemapping>text;X-Text</simplemapping>", []string{"X-Text"}},
	{"MailAttributesListToMimeHeaders", "<simplemapping>list;X-List</simplemapping>", []string{"X-List"}},
	{"MimeDecodingMailet", "<attribute>parts</attribute>", nil},
	{"org.apache.james.ai.classic.BayesianAnalysis", "<repositoryPath>db://a</repositoryPath>", []string{"Subject", "X-MessageIsSpamProbability"}},
	{"DKIMSign", "<signatureTemplate>s=mail; d=example.com; h=from:subject</signatureTemplate><privateKey>" + benchKey + "</privateKey>", []string{"DKIM-Signature"}},
	{"FoldLongLines", "<maxCharacters>80</maxCharacters>", []string{"*"}},
	{"ClassifyBounce", "<headerName>X-Bounce</headerName>", []string{"X-Bounce"}},
	{"ReplaceContent", "<subjectPattern>/a/€uro/r/</subjectPattern>", []string{"Subject"}},
}

// otherFields returns the fields of a header that have none of the names, as they
// stand there.
func otherFields(header []byte, names []string) []string {
	var out []string
	for f := range mime.Fields(header) {
		touched := slices.ContainsFunc(names, func(n string) bool {
			prefix, begins := strings.CutSuffix(n, "*")
			name := string(f.Name)
			return strings.EqualFold(name, n) || begins && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
		})
		if !touched {
			out = append(out, string(f.Raw))
		}
	}
	return out
}

// A mailet that edits the header leaves the body and all other fields as they
// were, octet for octet and in their order, whatever the message is; what it makes
// is a header still, which does not run into the body; and what mail programs
// could read they can read.
func FuzzHeaders(f *testing.F) {
	files, err := filepath.Glob("testdata/edit/*.in.eml")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		for i := range headerMailets {
			f.Add(readMessage(f, filepath.Base(name)), "text", uint8(i))
		}
	}
	f.Add([]byte("Subject: a\r\n\tb\r\nsubject : =?utf-8?q?=0D=0Ax?=\r\nX-A:\r\nBcc: a\r\n\r\nbody"), "a\r\nb: c", uint8(3))
	s := testServices(f)
	words := newWordCounts()
	words.messages["db://a"] = [2]int64{1, 1}
	s.Words = words
	r := container.NewRegistry()
	Register(r, s)
	f.Fuzz(func(t *testing.T, data []byte, text string, which uint8) {
		data = bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		tc := headerMailets[int(which)%len(headerMailets)]
		m := editMail(data)
		m.Set("text", text)
		m.Set("list", []container.Value{text, text})
		m.Set("parts", map[string]container.Value{"a": []byte(text)})
		before := m.Message
		parsed := parses(messageBytes(t, &before)) == nil
		if err := mustLoad(t, r, tc.class, tc.params).Service(t.Context(), m, &container.Outbox{}); err != nil {
			if tc.class == "DKIMSign" || unreadable(err) {
				return
			}
			t.Fatalf("%s: %v", tc.class, err)
		}
		header := m.Message.Header()
		if n := container.HeaderLength(header); n != len(header) {
			t.Errorf("%s: the header ends after %d of %d octets:\n%q\nmade of\n%q", tc.class, n, len(header), header, data)
		}
		if have, want := otherFields(header, tc.fields), otherFields(before.Header(), tc.fields); !slices.Equal(have, want) {
			t.Errorf("%s: other fields are\n%q\nand were\n%q", tc.class, have, want)
		}
		if m.Message.Body().Size() != before.Body().Size() || !bytes.HasSuffix(messageBytes(t, &m.Message), messageBytes(t, &before)[len(before.Header()):]) {
			t.Errorf("%s: the body was changed of\n%q", tc.class, data)
		}
		if err := parses(messageBytes(t, &m.Message)); parsed && err != nil {
			t.Errorf("%s: %v in\n%q\nmade of\n%q", tc.class, err, messageBytes(t, &m.Message), data)
		}
	})
}
