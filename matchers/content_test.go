package matchers

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

func TestHeaderMatchers(t *testing.T) {
	const subject = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= an\r\n alle \r\n"
	const twoX = "X-A: 1\r\nx-a: =?utf-8?q?=C3=BC?= b\r\nX-Bee: two\r\n"
	runAll(t, testRegistry(), []matchCase{
		{class: "HasMimeType", condition: "Text/HTML , multipart/mixed", header: "Content-Type: TEXT/html; charset=x\r\n", want: all},
		{class: "HasMimeType", condition: "text/html", header: "Content-Type: text/plain\r\nContent-Type: text/html\r\n", want: all},
		{class: "HasMimeType", condition: "text/*", header: "Content-Type: text/plain\r\n", want: ""},
		{class: "HasMimeType", condition: "text/plain", want: ""},
		{class: "HasMimeType", condition: "text/plain", header: "Content-Type: ;;;\r\n", want: ""},
		{class: "HasMimeTypeParameter", condition: `x=y, Report-Type = "disposition-notification"`, header: "Content-Type: multipart/report;\r\n report-TYPE=disposition-notification\r\n", want: all},
		{class: "HasMimeTypeParameter", condition: "x=y", header: "Content-Type: a/b; x=Y\r\n", want: ""},
		{class: "HasMimeTypeParameter", condition: "x=y=z", header: "Content-Type: a/b; x=\"y=z\"\r\n", want: all},
		{class: "HasMimeTypeParameter", condition: "x=y", header: "Content-Type: a/b; q; x=y\r\n", want: all},
		{class: "HasMimeTypeParameter", condition: "charset=us-ascii", want: ""},
		{class: "HasMimeTypeParameter", header: "Content-Type: a/b; x=y\r\n", want: ""},
		{class: "HasHeader", condition: "x-bee", header: twoX, want: all},
		{class: "HasHeader", condition: " X-A + X-Bee=two ", header: twoX, want: all},
		{class: "HasHeader", condition: "X-A=ü b", header: twoX, want: all},
		{class: "HasHeader", condition: "X-Bee=Two", header: twoX, want: ""},
		{class: "HasHeader", condition: "X-A=", header: twoX, want: all},
		{class: "HasHeader", condition: "X-Bee=two=three", header: twoX, want: all},
		{class: "HasHeader", condition: "X-A+X-Sea", header: twoX, want: ""},
		{class: "HasHeaderWithPrefix", condition: "x-b", header: twoX, want: all},
		{class: "HasHeaderWithPrefix", condition: "X-C", header: twoX, want: ""},
		{class: "HasHeaderWithPrefix", condition: "X-Bee-", header: twoX, want: ""},
		{class: "CompareNumericHeaderValue", condition: "X-P > 0.9", header: "X-P: 0.95 \r\n", want: all},
		{class: "CompareNumericHeaderValue", condition: "x-p\t>\t0.9 ignored", header: "X-P: 0.9\r\nX-P: 1\r\n", want: ""},
		{class: "CompareNumericHeaderValue", condition: "X-P < 1e3", header: "X-P: 999d\r\n", want: all},
		{class: "CompareNumericHeaderValue", condition: "X-P == 5", header: "X-P: 5.0f\r\n", want: all},
		{class: "CompareNumericHeaderValue", condition: "X-P LE 5", header: "X-P: -Infinity\r\n", want: all},
		{class: "CompareNumericHeaderValue", condition: "X-P GT 5", header: "X-P: NaN\r\n", want: all},
		{class: "CompareNumericHeaderValue", condition: "X-P > 5", want: ""},
		{class: "CompareNumericHeaderValue", condition: "X-P > 5", header: "X-P: many\r\n", err: "bad header value found in message: X-P"},
		{class: "CompareNumericHeaderValue", condition: "X-P > 5", header: "X-P: inf\r\n", err: "not a number"},
		{class: "CompareNumericHeaderValue", condition: "X-P > 5", header: "X-P: 1_0\r\n", err: "not a number"},
		{class: "SubjectIs", condition: "Grüße an alle", header: subject, want: all},
		{class: "SubjectIs", condition: " Grüße an alle ", header: subject, want: all},
		{class: "SubjectIs", condition: "grüße an alle", header: subject, want: ""},
		{class: "SubjectIs", condition: "", header: "Subject: \r\n", want: all},
		{class: "SubjectIs", condition: "", want: ""},
		{class: "SubjectStartsWith", condition: "Grüße an", header: subject, want: all},
		{class: "SubjectStartsWith", condition: "grüße", header: subject, want: ""},
		{class: "SubjectStartsWith", condition: "", header: subject, want: all},
		{class: "SubjectStartsWith", condition: "", want: ""},
		{class: "SizeGreaterThan", condition: " 1K ", header: "X: y\r\n", body: strings.Repeat("x", 1024-8), want: ""},
		{class: "SizeGreaterThan", condition: "1k", header: "X: y\r\n", body: strings.Repeat("x", 1024-7), want: all},
		{class: "SizeGreaterThan", condition: "4097m", body: "x", want: ""},
		{class: "SizeGreaterThan", condition: "1", want: all},
		{class: "TooManyLines", condition: "2", body: "1\r\n2\r\n", want: ""},
		{class: "TooManyLines", condition: "2", body: "1\r\n2\r\n3", want: all},
		{class: "TooManyLines", condition: "2", header: "Content-Transfer-Encoding: 7bit\r\n", body: "1\r\n2\r\n3\r\n", want: all},
		{class: "TooManyLines", condition: "2", body: "\n\n\n", want: all},
		{class: "TooManyLines", condition: "2", body: strings.Repeat("x", 100_000), want: ""},
		{class: "TooManyLines", condition: "2", want: ""},
		{class: "FetchedFrom", condition: "task", want: ""},
		{class: "FetchedFrom", condition: "task", header: "X-Fetched-From: Task\r\n", want: ""},
		{class: "FileRegexMatcher", condition: "testdata/header-patterns.txt", header: "subject: buy VIAGRA now\r\n", want: all},
		{class: "FileRegexMatcher", condition: "testdata/header-patterns.txt", header: "Subject: buy\r\n viagra\r\n", want: ""},
		{class: "FileRegexMatcher", condition: "testdata/header-patterns.txt", header: "X-Mailer: MassMailer 3\r\n", want: all},
		{class: "FileRegexMatcher", condition: "testdata/header-patterns.txt", header: "X-Mailer: x MassMailer 3\r\n", want: ""},
		{class: "FileRegexMatcher", condition: "testdata/header-patterns.txt", header: "Subject: \xfc viagra\r\n", want: all},
	})
}

func TestNESSpamCheck(t *testing.T) {
	for header, want := range map[string]bool{
		"":                                   false,
		"X-UIDL:":                            true,
		"x-pmflags: 1":                       true,
		"X-pmrqc: 1":                         true,
		"Sender: x@x.org":                    true,
		"Sender:":                            false,
		"Resent-From: a":                     true,
		"Message-ID: <>":                     true,
		"Message-ID: <x@y>":                  false,
		"MessageID: <x@y>":                   true,
		"MessageID: x":                       false,
		"X-Mailer: Pegasus":                  true,
		"X-Mailer: Pegasus Mail":             false,
		"To: Friend@public.com":              true,
		"Comments: Authenticated sender":     true,
		"MIME-Version: 1.0From":              true,
		"MIME-Version: 1.0":                  false,
		"Subject: ADV:":                      true,
		"Subject: (AD)":                      true,
		"Subject: ADV: buy":                  false,
		"Subject: AD":                        false,
		"Subject:" + strings.Repeat(" ", 21): true,
		"Subject:" + strings.Repeat(" ", 20): false,
		"X-See-Also: 0A1":                    true,
		"X-References: 0a":                   false,
	} {
		ma, err := newNESSpamCheck("")
		if err != nil {
			t.Fatal(err)
		}
		m := newTestMail("")
		if header != "" {
			m = newTestMail("From: x\r\n" + header + "\r\n")
		}
		if got, err := ma.Match(t.Context(), m); err != nil || (len(got) > 0) != want {
			t.Errorf("%q: got %v, %v; want %v", header, got, err, want)
		}
	}
}

// Fields for single recipients count for these recipients only, as long as the
// mail has them.
func TestRecipientHeaders(t *testing.T) {
	for _, tc := range []struct{ class, condition, want string }{
		{"HasHeader", "X-Spam", "a b"},
		{"HasHeader", "x-spam=yes", "a"},
		{"HasHeader", "X-Spam+Subject=hi", "a b"},
		{"HasHeader", "X-Spam=yes+X-Other", ""},
		{"HasHeader", "Subject", all},
		{"HasHeaderWithPrefix", "x-sp", "a b"},
		{"HasHeaderWithPrefix", "Sub", all},
		{"HasHeaderWithPrefix", "X-Spammy", ""},
		{"IsMarkedAsSpam", "", "c"},
		{"IsMarkedAsSpam", "X-Spam", "a b"},
		{"IsMarkedAsSpam", "x-spam", ""},
		{"IsMarkedAsSpam", "Subject", ""},
	} {
		t.Run(tc.class+"="+tc.condition, func(t *testing.T) {
			ma, err := testRegistry().NewMatcher(tc.class, tc.condition)
			if err != nil {
				t.Fatal(err)
			}
			m := newTestMail("Subject: hi\r\nX-Other-Thing: x\r\n")
			m.AddRecipientHeader(m.Recipients[0], "X-Spam", "yes")
			m.AddRecipientHeader(m.Recipients[1], "X-Spam", "YES, hits=3")
			m.AddRecipientHeader(m.Recipients[2], "org.apache.james.spamassassin.status", "Yes")
			m.AddRecipientHeader(container.MustAddress("gone@example.com"), "X-Spam", "yes")
			if got, err := ma.Match(t.Context(), m); err != nil || names(got) != tc.want {
				t.Errorf("got %q, %v; want %q", names(got), err, tc.want)
			}
		})
	}
}

func TestFetchedFromRemovesTheField(t *testing.T) {
	ma, err := newFetchedFrom("task")
	if err != nil {
		t.Fatal(err)
	}
	m := newTestMail("A: b\r\nX-fetched-from: task\r\nC: d\r\n")
	copied := m.Clone()
	if got, err := ma.Match(t.Context(), m); err != nil || names(got) != all {
		t.Errorf("got %v, %v; want everybody", got, err)
	}
	if h := string(m.Message.Header()); h != "A: b\r\nC: d\r\n" {
		t.Errorf("header is %q", h)
	}
	if !strings.Contains(string(copied.Message.Header()), "task") {
		t.Error("the field is gone from a copy too")
	}
}

func TestIsDelayedForMoreThan(t *testing.T) {
	now := time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		condition, header, want, err string
	}{
		{condition: "1 day", header: "Date: Fri, 1 May 2026 11:59:59 +0000\r\n", want: all},
		{condition: "1 day", header: "Date: Fri, 1 May 2026 14:00:00 +0200\r\n"},
		{condition: "2", header: "Date: Sat, 2 May 2026 09:59:00 +0000\r\n", want: all},
		{condition: "2", header: "Date: Sat, 2 May 2026 10:01:00 +0000\r\n"},
		{condition: "2", header: "Date: Sat, 2 May 2099 10:01:00 +0000\r\n"},
		{condition: "2", header: "Date: yesterday\r\n", err: "read Date field"},
		{condition: "2", err: "no Date field"},
	} {
		ma, err := testRegistry().NewMatcher("org.apache.james.examples.custom.mailets.IsDelayedForMoreThan", tc.condition)
		if err != nil {
			t.Fatal(err)
		}
		ma.(*IsDelayedForMoreThan).now = func() time.Time { return now }
		got, err := ma.Match(t.Context(), newTestMail(tc.header))
		if names(got) != tc.want || (err != nil) != (tc.err != "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s on %q: got %v, %v; want %q, %q", tc.condition, tc.header, got, err, tc.want, tc.err)
		}
	}
}

func TestMoreBadConditions(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, tc := range []struct{ class, condition, err string }{
		{"RecipientDomainIs", "", "want one or more domains"},
		{"RecipientDomainIs", "a..b", "labels have"},
		{"RecipientIsRegex", " ", "want a regular expression"},
		{"RecipientIsRegex", "(", "malformed pattern"},
		{"SenderIsRegex", "", "want a regular expression"},
		{"SenderIsRegex", "[a&&b]", "intersection"},
		{"UserIs", "", "want one or more local parts"},
		{"RecipientCountExceeds", "", "not a whole number"},
		{"RecipientCountExceeds", "0", "not a whole number"},
		{"TooManyRecipients", "x", "not a whole number"},
		{"CommandForListserv", "", "want the address of a mailing list"},
		{"CommandForListserv", "a@x.org b@x.org", "want the address of a mailing list"},
		{"CommandListservMatcher", "nobody", "no @"},
		{"SenderDomainIs", "", "want one or more domains"},
		{"SenderDomainIs", "x.org.", "labels have"},
		{"SenderHostIs", ",", "want one or more domains"},
		{"SMTPAuthUserIs", "", "want one or more user names"},
		{"SMTPAuthUserIs", " ,", "want one or more user names"},
		{"XOriginatingIpInNetwork", "10.0.0.0/33", "network"},
		{"XOriginatingIpInNetwork", "1*", "not a wildcard"},
		{"InSpammerBlacklist", "", "want the zone of a blacklist"},
		{"InSpammerBlacklist", ".", "want the zone of a blacklist"},
		{"InSpammerBlacklist", "a b", "want the zone of a blacklist"},
		{"HasMimeType", "", "want one or more media types"},
		{"HasMimeType", " , ", "want one or more media types"},
		{"HasMimeTypeAnySubPart", "", "want one or more media types"},
		{"HasMimeTypeParameter", "x", "error parsing configuration"},
		{"HasMimeTypeParameter", "x=y,", "error parsing configuration"},
		{"HasMimeTypeParameter", "=y", "error parsing configuration"},
		{"HasMimeTypeParameter", `x=""`, "error parsing configuration"},
		{"PartHasContentType", "", "want one or more beginnings"},
		{"AttachmentFileNameIs", "", "want one or more file names"},
		{"HasHeader", "", "missing header name"},
		{"HasHeader", "A++B", "missing header name"},
		{"HasHeader", "=x", "missing header name"},
		{"HasHeaderWithPrefix", "", "want the beginning of a field name"},
		{"CompareNumericHeaderValue", "", "want the name of a header field"},
		{"CompareNumericHeaderValue", "X-P >0.90", "want the name of a header field"},
		{"CompareNumericHeaderValue", "X-P gt 1", "unknown operator"},
		{"CompareNumericHeaderValue", "X-P <> 1", "unknown operator"},
		{"CompareNumericHeaderValue", "X-P > one", "not a number"},
		{"SizeGreaterThan", "", "not a size"},
		{"SizeGreaterThan", "0", "not a size"},
		{"SizeGreaterThan", "-1k", "not a size"},
		{"SizeGreaterThan", "1 k", "not a size"},
		{"SizeGreaterThan", "1kb", "not a size"},
		{"SizeGreaterThan", "1g", "not a size"},
		{"SizeGreaterThan", "k", "not a size"},
		{"SizeGreaterThan", "9223372036854775807k", "not a size"},
		{"TooManyLines", "", "not a whole number"},
		{"TooManyLines", "-3", "not a whole number"},
		{"FetchedFrom", "", "want the name of a fetchmail task"},
		{"FileRegexMatcher", "", "want the path"},
		{"FileRegexMatcher", filepath.Join(dir, "none"), "no such file"},
		{"FileRegexMatcher", dir, "no plain file"},
		{"FileRegexMatcher", write("blank", "Subject:x\n\nTo:y\n"), "blank:2: want Name:expression"},
		{"FileRegexMatcher", write("nameless", ":x\n"), "nameless:1: want Name:expression"},
		{"FileRegexMatcher", write("bad", "Subject:(\r\n"), "bad:1: malformed pattern"},
		{"FileRegexMatcher", write("large", strings.Repeat("x", maxPatternFile+1)), "no plain file"},
		{"HasMailAttributeWithValueRegex", "", "want the name of an attribute"},
		{"HasMailAttributeWithValueRegex", "k", "want the name of an attribute"},
		{"HasMailAttributeWithValueRegex", " ,x", "want the name of an attribute"},
		{"HasMailAttributeWithValueRegex", "k,(", "malformed pattern"},
		{"HasException", "", "want the name of an exception class"},
		{"HasException", "a..b", "want the name of an exception class"},
		{"HasException", "not a class", "want the name of an exception class"},
		{"HasException", "1x", "want the name of an exception class"},
		{"HasPriority", "", "not a whole number"},
		{"HasPriority", "0", "not a whole number"},
		{"AtLeastPriority", "-1", "not a whole number"},
		{"AtMostPriority", "high", "not a whole number"},
		{"RecipientHasMXRecord", "", "want host names"},
		{"RecipientHasMXRecord", "a.test, b.test", "want host names"},
		{"RecipientHasMXRecord", "a.test,,b.test", "want host names"},
		{"RecipientHasMXRecord", "a.test.", "want host names"},
		{"SenderHasMXRecord", "", "want host names"},
		{"SenderHasMXRecord", "a.test,", "want host names"},
		{"SenderInFakeDomain", "10.0.0.0/33", "network"},
		{"IsDelayedForMoreThan", "", "not a duration"},
		{"IsDelayedForMoreThan", "-1 day", "should be positive"},
		{"IsDelayedForMoreThan", "3 fortnights", "unknown unit"},
		{"DLP", "", "its name is dlp.Dlp"},
		{"dlp.Dlp", "cache:", "not a duration"},
		{"dlp.Dlp", "cache:-1 s", "should be positive"},
		{"dlp.Dlp", "cache:3 fortnights", "unknown unit"},
	} {
		t.Run(tc.class+"="+tc.condition, func(t *testing.T) {
			_, err := testRegistry().NewMatcher(tc.class, tc.condition)
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", err, tc.err)
			}
		})
	}
}

func TestJavaDouble(t *testing.T) {
	for s, want := range map[string]float64{
		"1": 1, " -2.5 ": -2.5, "1e3": 1000, "1.5d": 1.5, "1F": 1, "0x1fp0": 31, "0x1p1d": 2, "1e999": math.Inf(1),
		"Infinity": math.Inf(1), "-Infinity": math.Inf(-1), ".5": .5,
	} {
		if got, err := javaDouble(s); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "d", "1dd", "inf", "nan", "infinity", "1_0", "0x1f", "1,5", "+-Infinity"} {
		if got, err := javaDouble(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, got)
		}
	}
	if n, err := javaDouble("NaN"); err != nil || !math.IsNaN(n) {
		t.Errorf("NaN: got %v, %v", n, err)
	}
	sorted := []float64{math.Inf(-1), -1, math.Copysign(0, -1), 0, 1, math.Inf(1), math.NaN()}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := compareDoubles(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("compareDoubles(%v, %v) = %d", a, b, got)
			}
		}
	}
}

func TestComparisons(t *testing.T) {
	for _, tc := range []struct {
		operators            string
		less, equal, greater bool
	}{
		{"< LT", true, false, false},
		{"<= =< LE", true, true, false},
		{"== = EQ", false, true, false},
		{">= => GE", false, true, true},
		{"> GT", false, false, true},
	} {
		for op := range strings.FieldsSeq(tc.operators) {
			c := comparison(op)
			if c(-1) != tc.less || c(0) != tc.equal || c(1) != tc.greater {
				t.Errorf("%s: got %v %v %v", op, c(-1), c(0), c(1))
			}
		}
	}
}
