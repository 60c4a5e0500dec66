package mailets

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

var updateEdits = flag.Bool("update-edits", false, "write the golden files of the mailets that edit messages")

func readMessage(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "edit", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func editMail(data []byte) *container.Mail {
	m := container.NewMail(container.MustAddress("ann@example.org"), []container.Address{container.MustAddress("bob@example.com")}, container.ParseMessage(data))
	m.ID = "ID"
	return m
}

func messageBytes(t testing.TB, m *container.Message) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := m.WriteTo(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != m.Size() {
		t.Errorf("message has %d octets, says %d", n, m.Size())
	}
	return b.Bytes()
}

// randomBoundary is the boundary of a multipart that was made here.
var randomBoundary = regexp.MustCompile(`=_[A-Z2-7]{26}`)

// edits are mailets with parameters and the messages they are shown.
var edits = []struct {
	name, class, params string
	inputs              []string
}{
	{"footer", "AddFooter", "<text>--\nSent by a list</text>", []string{"alternative", "nested", "gb18030", "latin1", "broken", "ascii", "signed", "html", "flowed"}},
	{"eurofooter", "AddFooter", "<text>5 € für 你</text>", []string{"alternative", "nested", "gb18030", "latin1", "broken", "ascii", "html"}},
	{"replace", "ReplaceContent", `<subjectPattern>/plain/changed//</subjectPattern><bodyPattern>/colour/color//,/(\d+) EUR/€ $1/r/,/世界/地球//</bodyPattern>`, []string{"latin1", "gb18030", "nested"}},
	{"recharset", "ReplaceContent", `<bodyPattern>/EUR/Euro/r/,/colour/color//</bodyPattern><charset>utf-8</charset>`, []string{"latin1", "gb18030", "broken"}},
	{"strip", "StripAttachment", `<pattern>.*\.(exe|png)</pattern><remove>matched</remove>`, []string{"nested", "signed", "alternative"}},
	{"stripall", "StripAttachment", `<pattern>.*</pattern><remove>all</remove>`, []string{"nested", "ascii"}},
	{"onlytext", "OnlyText", "", []string{"alternative", "nested", "html", "latin1", "signed"}},
	{"toplain", "ToPlainText", "", []string{"alternative", "nested", "html", "signed"}},
	{"wrap", "WrapText", "<width>40</width>", []string{"wrapped", "flowed", "latin1", "html"}},
	{"wrapdelsp", "WrapText", "<width>20</width><delsp>yes</delsp>", []string{"gb18030"}},
	{"unwrap", "UnwrapText", "", []string{"wrapped", "flowed", "html", "gb18030"}},
	{"fold", "FoldLongLines", "<maxCharacters>100</maxCharacters>", []string{"long", "ascii"}},
	{"sevenbit", "ConvertTo7Bit", "", []string{"eightbit", "latin1", "nested", "signed", "calendar"}},
	{"ics", "ICSSanitizer", "", []string{"ics", "nested"}},
	{"calendar", "TextCalendarBodyToAttachment", "", []string{"calendar", "ics"}},
}

func TestEditGolden(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range edits {
		ma := mustLoad(t, r, tc.class, tc.params)
		for _, in := range tc.inputs {
			t.Run(tc.name+"/"+in, func(t *testing.T) {
				data := readMessage(t, in+".in.eml")
				m := editMail(data)
				serve(t, ma, m)
				got := messageBytes(t, &m.Message)
				if parses(data) == nil {
					checkParses(t, got)
				}
				got = randomBoundary.ReplaceAll(got, []byte("BOUNDARY"))
				file := in + "." + tc.name + ".eml"
				if bytes.Equal(got, data) {
					// What stays as it is has no file.
					if _, err := os.Stat(filepath.Join("testdata", "edit", file)); err == nil {
						t.Error("the message was not changed")
					}
					return
				}
				if *updateEdits {
					if err := os.WriteFile(filepath.Join("testdata", "edit", file), got, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if want := readMessage(t, file); !bytes.Equal(got, want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// checkParses reads a message as a mail program does.
func checkParses(t testing.TB, data []byte) {
	t.Helper()
	if err := parses(data); err != nil {
		t.Errorf("%v in\n%q", err, data)
	}
}

func parses(data []byte) error {
	e, err := message.Read(bytes.NewReader(data))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return err
	}
	return e.Walk(func(_ []int, e *message.Entity, err error) error {
		if e.MultipartReader() != nil || message.IsUnknownEncoding(err) {
			return nil
		}
		_, err = io.Copy(io.Discard, e.Body)
		return err
	})
}

// A DKIM signature covers the octets of the body: where nothing is to be changed,
// the body must be the very same one, and not be read.
func TestEditLeavesAlone(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct{ class, params, in string }{
		{"AddFooter", "<text>x</text>", "signed"},
		{"ReplaceContent", "<bodyPattern>/nothing/x//</bodyPattern>", "latin1"},
		{"ReplaceContent", "<bodyPattern>/a/x//</bodyPattern>", "nested"},
		{"StripAttachment", `<pattern>.*\.zip</pattern><remove>matched</remove>`, "nested"},
		{"OnlyText", "", "latin1"},
		{"ToPlainText", "", "latin1"},
		{"ToPlainText", "", "signed"},
		{"WrapText", "", "html"},
		{"UnwrapText", "", "html"},
		{"FoldLongLines", "", "nested"},
		{"ConvertTo7Bit", "", "signed"},
		{"ICSSanitizer", "", "nested"},
		{"TextCalendarBodyToAttachment", "", "nested"},
		{"RecoverAttachment", "<attribute>a</attribute>", "nested"},
	} {
		t.Run(tc.class+"/"+tc.in, func(t *testing.T) {
			m := editMail(readMessage(t, tc.in+".in.eml"))
			m.Message.MarkStored("row 7")
			serve(t, mustLoad(t, r, tc.class, tc.params), m)
			if m.Message.Stored() != "row 7" {
				t.Error("the message was changed")
			}
		})
	}
}

func TestBadEditParameters(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.rules")
	if err := os.WriteFile(bad, []byte("# comment\n/a/b//\n/a/b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ class, params, want string }{
		{"AddFooter", "", "warning: <text> is empty"},
		{"ReplaceContent", "<subjectPattern>a</subjectPattern>", "error: <subjectPattern>: \"a\" is not /"},
		{"ReplaceContent", "<subjectPattern>/</subjectPattern>", "error: <subjectPattern>: "},
		{"ReplaceContent", "<subjectPattern>/a/b/</subjectPattern>", "has no replacement or no place for flags"},
		{"ReplaceContent", "<bodyPattern>/(/b//</bodyPattern>", "error: <bodyPattern>: malformed pattern"},
		{"ReplaceContent", "<bodyPattern>/a/$1//</bodyPattern>", "there is no group 1"},
		{"ReplaceContent", "<bodyPattern>/a/b//,/c/</bodyPattern>", "error: <bodyPattern>: "},
		{"ReplaceContent", "<bodyPatternFile>" + dir + "/none</bodyPatternFile>", "warning: <bodyPatternFile>: no rules are read"},
		{"ReplaceContent", "<subjectPatternFile>#res</subjectPatternFile>", "warning: <subjectPatternFile>: no rules are read"},
		{"ReplaceContent", "<subjectPatternFile>" + bad + "</subjectPatternFile>", "bad.rules:3: "},
		{"ReplaceContent", "<subjectPatternFile>" + bad + "?x-none</subjectPatternFile>", "x-none"},
		{"ReplaceContent", "<subjectPatternFile>" + dir + "</subjectPatternFile>", "no regular file"},
		{"ReplaceContent", "<charset>x-none</charset>", "error: <charset>: "},
		{"ReplaceContent", "<debug>yes</debug>", "error: <debug> is"},
		{"StripAttachment", "", "<pattern>, <notpattern> or <mimeType> is required"},
		{"StripAttachment", "<pattern>(</pattern>", "error: <pattern>: malformed pattern"},
		{"StripAttachment", "<notpattern>[</notpattern>", "error: <notpattern>: malformed pattern"},
		{"StripAttachment", "<pattern>a</pattern><remove>some</remove>", "error: <remove>: \"some\""},
		{"StripAttachment", "<pattern>a</pattern><directory>" + bad + "</directory>", "error: <directory>: "},
		{"StripAttachment", "<pattern>a</pattern><replaceFilenamePattern>x</replaceFilenamePattern>", "error: <replaceFilenamePattern>: "},
		{"RecoverAttachment", "", "error: <attribute> is required"},
		{"MimeDecodingMailet", "", "error: <attribute> is required"},
		{"WrapText", "<width>wide</width>", "error: <width> is"},
		{"WrapText", "<width>0</width>", "warning: <width> is 0; using 78"},
		{"UnwrapText", "<quotewidth>x</quotewidth>", "error: <quotewidth> is"},
		{"FoldLongLines", "<maxCharacters>0</maxCharacters>", "error: <maxCharacters>: 0 is not positive"},
		{"FoldLongLines", "<maxCharacters>x</maxCharacters>", "error: <maxCharacters> is"},
		{"ClassifyBounce", "", "error: <headerName> is required"},
		{"ClassifyBounce", "<headerName>a b</headerName>", "cannot be the name of a header field"},
		{"ConvertTo7Bit", "<x>1</x>", "warning: <x> is not a parameter"},
	} {
		_, problems := load(t, testRegistry(t), tc.class, tc.params)
		if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestReplaceRuleSyntax(t *testing.T) {
	for _, tc := range []struct{ rules, in, want string }{
		{"/a/b//", "aa", "ba"},
		{"/a/b/r/", "aa", "bb"},
		{"/a/b//,/b/c/r/", "ab", "cc"},
		{`/\/\/,//`, "x/y", "x,y"},
		{`/a\/b/c\/d//`, "a/b", "c/d"},
		{`/a/\r\n\t//`, "a", "\r\n\t"},
		{`/(a)(b)/$2$1//`, "ab", "ba"},
		{`/A/b/ix/`, "a", "b"},
		{" /a/b// ", "a", "b"},
	} {
		rules, err := parseReplaceRules(tc.rules)
		if err != nil {
			t.Errorf("%s: %v", tc.rules, err)
			continue
		}
		m := editMail([]byte("Subject: x\r\n\r\n" + tc.in))
		r := &ReplaceContent{log: slog.New(slog.DiscardHandler), body: rules, timeLimit: time.Minute}
		serve(t, r, m)
		if got := string(messageBytes(t, &m.Message)); got != "Subject: x\r\n\r\n"+tc.want {
			t.Errorf("%s: got %q, want %q", tc.rules, got, tc.want)
		}
	}
}

func TestReplaceRuleFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(name, []byte("\xef\xbb\xbf# a comment\r\n\r\n/colour/color/r/\r\n/\xc3\xa9/e/r/\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	latin := name + ".latin1"
	if err := os.WriteFile(latin, []byte("/\xe8/e/r/\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := testRegistry(t)
	ma := mustLoad(t, r, "ReplaceContent", "<subjectPattern>/^$/none//</subjectPattern><bodyPatternFile>"+name+", "+latin+"?iso-8859-1</bodyPatternFile><debug>1</debug>")
	m := editMail([]byte("Content-Type: text/plain; charset=utf-8\r\n\r\ncolour \u00e9\u00e8"))
	serve(t, ma, m)
	if got, want := string(messageBytes(t, &m.Message)), "Subject: none\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ncolor ee"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplaceContentLimits(t *testing.T) {
	r := testRegistry(t)
	large := "Subject: x\r\n\r\n" + strings.Repeat("x", maxReplaced+1)
	for _, tc := range []struct{ params, in, want string }{
		{"<bodyPattern>/y/x//</bodyPattern>", large, "too large"},
		{"<bodyPattern>/x/xx/r/</bodyPattern>", large[:1<<20], ""},
		{"<bodyPattern>/x/€//</bodyPattern>", "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\xff", "does not fit"},
		{"<bodyPattern>/x/y//</bodyPattern>", "Content-Transfer-Encoding: base64\r\n\r\n????", "malformed"},
		{"<subjectPattern>/(x+x+)+y/z//</subjectPattern>", "Subject: " + strings.Repeat("x", 60) + "\r\n\r\n", "match"},
	} {
		m := editMail([]byte(tc.in))
		before := m.Message
		ma := mustLoad(t, r, "ReplaceContent", tc.params).(*ReplaceContent)
		ma.timeLimit = 100 * time.Millisecond
		err := ma.Service(t.Context(), m, &container.Outbox{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want %q", tc.params, err, tc.want)
		}
		if !bytes.Equal(m.Message.Header(), before.Header()) {
			t.Error("half of it was done")
		}
	}
}

func TestOnlyTextStates(t *testing.T) {
	r := testRegistry(t)
	for _, tc := range []struct{ in, params, state, text string }{
		{"Content-Type: image/png\r\n\r\nx", "<NoTextProcessor>none</NoTextProcessor>", "none", ""},
		{"Content-Type: image/png\r\n\r\nx", "", "root", ""},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n\r\n--b--\r\n", "", "root", "MIME-Version: 1.0\r\n\r\ntext\r\n"},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n", "<NoTextProcessor>none</NoTextProcessor>", "none", ""},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/csv\r\n\r\na,b\r\n--b--\r\n", "", "root", "MIME-Version: 1.0\r\nContent-Type: text/csv\r\n\r\na,b\r\n"},
		{"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nlog\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--b--\r\n", "", "root", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nx\r\n"},
	} {
		ma := mustLoad(t, r, "OnlyText", tc.params)
		m := editMail([]byte(tc.in))
		serve(t, ma, m)
		if m.State != tc.state {
			t.Errorf("%q: state %s, want %s", tc.in, m.State, tc.state)
		}
		if got := string(messageBytes(t, &m.Message)); tc.text != "" && got != tc.text {
			t.Errorf("got %q, want %q", got, tc.text)
		}
		states := ma.(container.StateReferrer).ReferredStates()
		if (len(states) == 1) != (tc.params != "") {
			t.Errorf("refers to %q", states)
		}
	}
}

func TestClassifyBounce(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "ClassifyBounce", "<headerName>X-Class</headerName>")
	multi := "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\n  \r\n--b\r\nContent-Type: %s\r\n\r\n%s\r\n--b--\r\n"
	for _, tc := range []struct{ in, want string }{
		{"Subject: Hello\r\n\r\nHow are you?", classNormal},
		{"\r\nmailbox: USER\r\n  unknown", classFailure},
		{"Subject: out  of the\r\n OFFICE\r\n\r\nuser unknown", classAway},
		{"Subject: =?utf-8?q?on_leave?=\r\n\r\n", classAway},
		{"Subject: Email message blocked: Image File Type\r\n\r\n", classFull},
		{"Subject: Delivery failure: x does not exist\r\n\r\n", classFailure},
		{"Subject: A user whom is unknown\r\n\r\n", classFailure},
		{"Subject: User is unknown\r\n\r\n", classNormal},
		{"Subject: Delivery Status Notification (Failure)\r\n\r\nUnable to read message contents; over quota", classFailure},
		{"Subject: x\r\n\r\nYour account\r\nis full, over quota. I am away", classAway},
		{"Subject: x\r\n\r\nYour account\r\nis full, no such user", classFull},
		{"Subject: x\r\n\r\nauto  generated: on leave", classAway},
		{"Subject: x\r\n\r\nautogenerated", classNormal},
		{"Subject: x\r\n" + strings.Replace(strings.Replace(multi, "%s", "text/html", 1), "%s", "no such user", 1), classFailure},
		{"Subject: x\r\n" + strings.Replace(strings.Replace(multi, "%s", "message/rfc822", 1), "%s", "Subject: y\r\n\r\nover quota", 1), classFull},
		{"Subject: x\r\nContent-Type: text/plain; charset=utf-16be\r\nContent-Transfer-Encoding: base64\r\n\r\nAG8AdgBlAHIAIABxAHUAbwB0AGE=", classFull},
		{"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n????", classNormal},
		{"X-Class: old\r\nSubject: x\r\n\r\n", classNormal},
	} {
		m := editMail([]byte(tc.in))
		serve(t, ma, m)
		if got := mime.Values(m.Message.Header(), "X-Class"); !slices.Equal(got, []string{tc.want}) {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestAddFooterUnreadable(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "AddFooter", "<text>é</text>")
	for _, in := range []string{
		"Content-Transfer-Encoding: base64\r\n\r\n????",
		"Content-Transfer-Encoding: x-none\r\n\r\nx",
		"Content-Type: text/plain; charset=x-none\r\n\r\nx",
		"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\nAA==",
		"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat("--b\r\n\r\n", 1002),
		"Content-Type: multipart/mixed; boundary=b\r\n\r\nno parts",
		"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx",
		"Content-Type: text/csv\r\n\r\nx",
	} {
		m := editMail([]byte(in))
		serve(t, ma, m)
		if got := string(messageBytes(t, &m.Message)); in != "Content-Type: text/plain; charset=x-none\r\n\r\nx" && got != in {
			t.Errorf("got %q, want %q", got, in)
		}
	}
}

func TestConvertTo7BitIsClean(t *testing.T) {
	ma := mustLoad(t, testRegistry(t), "ConvertTo7Bit", "")
	for _, in := range []string{"eightbit", "latin1", "nested", "calendar", "broken"} {
		m := editMail(readMessage(t, in+".in.eml"))
		serve(t, ma, m)
		got := messageBytes(t, &m.Message)
		if i := bytes.IndexFunc(got, func(r rune) bool { return r >= 0x80 }); i >= 0 {
			t.Errorf("%s: 8-bit octet at %d of\n%s", in, i, got)
		}
		again := m.Message
		serve(t, ma, m)
		if !bytes.Equal(again.Header(), m.Message.Header()) || again.Body() != m.Message.Body() {
			t.Errorf("%s: converted twice", in)
		}
	}
}
