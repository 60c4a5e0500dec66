package sieve

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
)

// message is what most tests run on.
var message = "Return-Path: <coyote@desert.example.org>\r\n" +
	"Received: from b (b.test [192.0.2.2]) by c; Mon, 29 Jun 2026 13:05:07 -0300\r\n" +
	"Received: from a (a.test [192.0.2.1]) by b; Mon, 29 Jun 2026 12:05:06 -0300\r\n" +
	"Date: Tue, 1 Apr 1997 23:30:00 -0800 (PST)\r\n" +
	"From: \"Wile E. Coyote\" <Coyote@Desert.example.org>\r\n" +
	"To: ken+sieve@example.org, roadrunner@acme.example.com,\r\n \"a, b\" <ab@example.net>\r\n" +
	"Cc: friend@example.net\r\n" +
	"Subject:  =?utf-8?q?I_have_a_pres=C3=A9nt?=\r\n for you \r\n" +
	"X-Priority: 3\r\n" +
	"X-Padding: " + strings.Repeat("0123456789", 40) + "\r\n" +
	"X-Score: 0042 points\r\n" +
	"X-Empty:\r\n" +
	"List-Id: <acme.lists.example.com>\r\n" +
	"Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nLook, caf=E9=\r\n!\r\n" +
	"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n--b--\r\n"

func env() Env {
	m := container.ParseMessage([]byte(message))
	return Env{
		Message: &m, From: container.MustAddress("Coyote@desert.example.org"), To: container.MustAddress("ken+sieve@example.org"), Auth: "ken",
		Now: time.Date(2026, 11, 21, 17, 5, 9, 0, time.FixedZone("", 3600)),
	}
}

// show writes a result in a line.
func show(res Result) string {
	var out []string
	for _, a := range res.Actions {
		s := a.Kind.String()
		if a.Implicit {
			s = "implicit"
		}
		if a.Folder != "" {
			s += " " + a.Folder
		}
		if a.Create {
			s += " :create"
		}
		if !a.Address.IsNull() {
			s += " " + a.Address.String()
		}
		if a.HasFlags {
			s += fmt.Sprintf(" %v", a.Flags)
		}
		if a.Kind == Reject {
			s += fmt.Sprintf(" %q %t", a.Text, a.Extended)
		}
		if v := a.Vacation; v != nil {
			s += fmt.Sprintf(" %v %q %q %v %t %q", v.Period, v.Subject, v.From, v.Addresses, v.MIME, v.Text)
		}
		if a.Header != nil {
			s += " edited"
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

const requireAll = `require ["body", "comparator-i;ascii-numeric", "copy", "date", "editheader", "encoded-character", "envelope", "ereject",
 "fileinto", "imap4flags", "index", "mailbox", "reject", "relational", "subaddress", "vacation", "vacation-seconds", "variables"];
`

func runScript(t *testing.T, script string, e Env) (Result, error) {
	t.Helper()
	s, err := Compile([]byte(script), Limits{})
	if err != nil {
		t.Fatalf("%v\nin\n%s", err, script)
	}
	return s.Run(t.Context(), e)
}

// TestTests: what each test answers.
func TestTests(t *testing.T) {
	for _, tc := range []struct {
		test string
		want bool
	}{
		{`true`, true}, {`false`, false}, {`not false`, true},
		{`allof(true, false)`, false}, {`allof(true, true)`, true}, {`anyof(false, true)`, true}, {`anyof(false, false)`, false},
		{`anyof(allof(true, not true), not anyof(false))`, true},
		{`size :over 1K`, true}, {`size :under 1K`, false}, {`size :over 1M`, false},
		{`exists "subject"`, true}, {`exists ["From", "X-None"]`, false}, {`exists "X-Empty"`, true},

		{`header "subject" "i have a presént for you"`, true},
		{`header :comparator "i;octet" "subject" "i have a presént for you"`, false},
		{`header :contains "SUBJECT" "PRES"`, true},
		{`header :contains "subject" "PRESÉNT"`, false}, // ASCII letters only
		{`header :matches "subject" "*pres?nt*"`, true},
		{`header :matches :comparator "i;octet" "subject" "*pres?nt*"`, false}, // two octets
		{`header :matches :comparator "i;octet" "subject" "*pres??nt*"`, true},
		{`header :contains ["x-none", "x-priority"] ["1", "3"]`, true},
		{`header :is "x-empty" ""`, true}, {`header :contains "x-empty" ""`, true}, {`header :is "x-none" ""`, false},
		{`header :matches "x-score" "*\\*"`, false},
		{`header :matches "x-score" "0042"`, false}, {`header :matches "x-priority" "3"`, true}, {`header :matches "x-score" "0042 p*s"`, true},
		{`header :contains "from" "Wile"`, true},

		{`address "from" "coyote@desert.example.org"`, true},
		{`address :domain "to" "EXAMPLE.net"`, true},
		{`address :localpart "to" "ab"`, true},
		{`address :all "to" "a"`, false},
		{`address :user "to" "ken"`, true}, {`address :detail "to" "sieve"`, true},
		{`address :detail :contains "cc" ""`, false}, // has none
		{`address :is ["to", "cc"] "friend@example.net"`, true},
		{`address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] "4"`, true},
		{`address :contains "from" "Wile"`, false}, // no display names
		{`address "x-score" "x"`, false},

		{`envelope "from" "coyote@desert.example.org"`, true},
		{`envelope :user "to" "ken"`, true}, {`envelope :detail "to" "sieve"`, true}, {`envelope :domain "to" "example.org"`, true},
		{`envelope "auth" "ken"`, true},

		{`header :value "lt" :comparator "i;ascii-numeric" "x-priority" "10"`, true},
		{`header :value "lt" "x-priority" "10"`, false}, // as text
		{`header :is :comparator "i;ascii-numeric" "x-score" "42"`, true},
		{`header :value "gt" :comparator "i;ascii-numeric" "subject" "999999999999999999999999"`, true}, // no number is infinite
		{`header :value "eq" :comparator "i;ascii-numeric" "subject" "none"`, true},
		{`header :value "ge" :comparator "i;ascii-numeric" "x-score" "43"`, false},
		{`header :count "eq" "received" "2"`, true}, {`header :count "ne" "received" "2"`, false},
		{`header :count "gt" :comparator "i;ascii-numeric" "x-none" "0"`, false},

		{`header :index 1 :contains "received" "a.test"`, false}, {`header :index 2 :contains "received" "a.test"`, true},
		{`header :index 1 :last :contains "received" "a.test"`, true}, {`header :index 3 :contains "received" "test"`, false},
		{`header :index 9007199254740991 :last :contains "received" "test"`, false},

		{`date :originalzone "date" "date" "1997-04-01"`, true}, {`date :zone "+0000" "date" "date" "1997-04-02"`, true},
		{`date "date" "hour" "08"`, true}, // local zone is +0100
		{`date :originalzone "date" "hour" "23"`, true}, {`date :originalzone "date" "zone" "-0800"`, true},
		{`date :originalzone "date" "julian" "50539"`, true}, {`date :originalzone "date" "weekday" "2"`, true},
		{`date :originalzone "date" "std11" "Tue, 1 Apr 1997 23:30:00 -0800"`, true},
		{`date :originalzone "date" "iso8601" "1997-04-01T23:30:00-08:00"`, true}, {`date :originalzone "date" "time" "23:30:00"`, true},
		{`date :index 2 :originalzone "received" "minute" "05"`, true}, {`date :index 2 :originalzone "received" "second" "06"`, true},
		{`date "subject" "year" "1997"`, false}, {`date "x-none" "year" "1997"`, false},
		{`currentdate "date" "2026-11-21"`, true}, {`currentdate :value "ge" "iso8601" "2026-11-21T17:05:09+01:00"`, true},
		{`currentdate :zone "-1000" "hour" "06"`, true}, {`currentdate :value "gt" "year" ["2026", "2025"]`, true},
		{`allof(currentdate :value "ge" "date" "2026-11-01", currentdate :value "le" "date" "2026-11-30")`, true},

		{`body :contains "café!"`, true}, {`body :contains "secret"`, false}, {`body :content "application" :contains "secret"`, true},
		{`body :content "" :is "secret"`, true}, {`body :content ["text/plain"] :matches "*caf?!*"`, true}, {`body :raw :contains "caf=E9"`, true},
		{`body :raw :contains "café"`, false}, {`body :content "text/html" :contains ""`, false},

		{`string "a" ["b", "A"]`, true}, {`string :matches "" ""`, true}, {`string " a" "a"`, false},
		{`string :count "eq" ["", "x", ""] "1"`, true},
		{`string "${hex: 24 7b}x}" "$\{x}"`, true}, {`string "${unicode: 40}${HEX:41}" "@A"`, true}, {`string "${hex:}" "$\{hex:}"`, true},
		{`string "${nothing}" ""`, true}, {`string "$\{}" "${}"`, true}, {`string "${1}" ""`, true},
		{"string text:\n..dot\n.x\nend\n.\n \".dot\r\n.x\r\nend\r\n\"", true},
		{"string \"a\\b\\\\\" \"ab\\\\\"", true},
		{`hasflag "\\Seen"`, false},
		{`mailboxexists ["a", "b"]`, true},
	} {
		res, err := runScript(t, requireAll+"if "+tc.test+" { discard; }", env())
		if got := show(res) == "discard"; err != nil || got != tc.want {
			t.Errorf("%s: got %v, %v, want %v", tc.test, got, err, tc.want)
		}
	}
}

func TestNullSender(t *testing.T) {
	e := env()
	e.From = container.Address{}
	for test, want := range map[string]bool{`envelope "from" ""`: true, `envelope :domain "from" ""`: true, `envelope :localpart :is "from" ""`: true,
		`envelope :detail "from" ""`: false, `envelope :contains "from" "@"`: false} {
		res, err := runScript(t, requireAll+"if "+test+" { discard; }", e)
		if got := show(res) == "discard"; err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", test, got, err, want)
		}
	}
}

// TestActions: what scripts want done, or their mistake.
func TestActions(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"nothing", "", "implicit"},
		{"keep", "keep;", "keep"},
		{"keep twice", "keep; keep;", "keep"},
		{"discard", "discard;", "discard"},
		{"stop", "stop; discard;", "implicit"},
		{"stop in a block", "if true { discard; stop; } keep;", "discard"},
		{"keep and discard", "discard; keep;", "discard; keep"},
		{"fileinto", `fileinto "A";`, "fileinto A"},
		{"two folders", `fileinto "A"; fileinto :create "B"; fileinto "A";`, "fileinto A; fileinto B :create"},
		{"copy", `fileinto :copy "A";`, "fileinto A; implicit"},
		{"redirect", `redirect "x@example.com";`, "redirect x@example.com"},
		{"redirect to a mailbox", `redirect "X <x@example.com>";`, "redirect x@example.com"},
		{"redirect twice", `redirect "x@example.com"; redirect :copy "X@example.com";`, "redirect x@example.com"},
		{"redirect and copy", `redirect :copy "x@example.com";`, "redirect x@example.com; implicit"},
		{"redirect to a variable", `set "a" "nobody"; redirect "${a}";`, `3:19: "nobody" is not an address`},
		{"five redirects", strings.Repeat("set :length \"n\" \"${n}x\"; set \"l\" \"${l}x\"; redirect \"${l}@example.com\";", 5), "redirect x@example.com; redirect xx@example.com; redirect xxx@example.com; redirect xxxx@example.com; redirect xxxxx@example.com"},
		{"six redirects", strings.Repeat("set \"l\" \"${l}x\"; redirect \"${l}@example.com\";\n", 6), "8:18: more than 5 redirects"},
		{"many actions", strings.Repeat("set \"l\" \"${l}x\"; fileinto \"${l}\";\n", 33), "35:18: more than 32 actions"},
		{"elsif", `if false { fileinto "A"; } elsif true { fileinto "B"; } elsif true { fileinto "C"; } else { fileinto "D"; }`, "fileinto B"},
		{"else", `if false { fileinto "A"; } elsif false { fileinto "B"; } else { fileinto "D"; }`, "fileinto D"},
		{"no else", `if true { fileinto "A"; } else { fileinto "D"; }`, "fileinto A"},
		{"if behind if", `if true { fileinto "A"; } if false { fileinto "B"; } else { fileinto "C"; }`, "fileinto A; fileinto C"},
		{"reject", `reject "no";`, `reject "no" false`},
		{"ereject", "ereject text:\nno\n.\n;", `reject "no\r\n" true`},
		{"reject and discard", `discard; reject "no";`, `discard; reject "no" false`},
		{"reject and keep", `keep; reject "no";`, "3:7: reject cannot be done besides keep"},
		{"fileinto behind reject", `reject "no"; fileinto "A";`, "3:14: fileinto cannot be done besides reject"},
		{"two rejects", `reject "no"; ereject "no";`, "3:14: reject cannot be done besides reject"},
		{"vacation and reject", `vacation "gone"; reject "no";`, "3:18: reject cannot be done besides vacation"},
		{"vacation", `vacation "gone";`, `vacation 168h0m0s "" "" [] false "gone"; implicit`},
		{"vacation with all", `vacation :days 3 :subject "s" :from "Me <me@example.org>" :addresses ["a@example.org", "x"] :mime :handle "h" "gone";`,
			`vacation 72h0m0s "s" "Me <me@example.org>" [a@example.org] true "gone"; implicit`},
		{"vacation days", `vacation :days 0 "gone"; discard;`, `vacation 24h0m0s "" "" [] false "gone"; discard`},
		{"vacation many days", `vacation :days 99999999999 "gone"; discard;`, `vacation 8760h0m0s "" "" [] false "gone"; discard`},
		{"vacation seconds", `vacation :seconds 0 "gone"; discard;`, `vacation 0s "" "" [] false "gone"; discard`},
		{"two vacations", `vacation "gone"; vacation "away";`, "3:18: vacation can be done once"},

		{"flags of an argument", `fileinto :flags ["\\Seen bogus(", "$x \\Seen"] "A";`, `fileinto A [\Seen $x]`},
		{"setflag", `setflag ["\\Seen", "a"]; addflag "b"; removeflag "A"; keep;`, `keep [\Seen b]`},
		{"flags of the implicit keep", `addflag "\\flagged";`, `implicit [\flagged]`},
		{"no flags", `setflag "a"; removeflag "a"; keep;`, "keep []"},
		{"flags at the time", `fileinto "A"; setflag "x"; fileinto "B";`, "fileinto A; fileinto B [x]"},
		{"later flags", `fileinto "A"; setflag "x"; fileinto "A";`, "fileinto A [x]"},
		{"flags in a variable", `setflag "v" ["x", "y"]; addflag "v" "Y z"; removeflag "v" "x"; fileinto "${v}"; if hasflag :contains "v" "z" { fileinto :flags "${v}" "A"; }`, "fileinto y z; fileinto A [y z]"},
		{"hasflag", `setflag ["a", "b"]; if hasflag :count "ge" :comparator "i;ascii-numeric" "2" { if hasflag ["x", "B"] { discard; } }`, "discard"},
		{"unknown system flag", `keep :flags ["\\Recent", "\\Bogus", "\\Draft"];`, `keep [\Draft]`},

		{"variables", `set "a" "X"; set "B" "${A}-${b}-${a}"; fileinto "${b}";`, "fileinto X--X"},
		{"modifiers", `set :quotewildcard :upperfirst :lower "a" "éA*B?\\C"; fileinto "${a}";`, `fileinto éa\*b\?\\c`},
		{"length", `set :length "a" "ab${unicode: e9}"; fileinto "${a}";`, "fileinto 3"},
		{"captures", `if header :matches "subject" "* a *?nt*you" { fileinto "${1}|${2}|${3}|${4}|${5}"; }`, "fileinto I have|pres|é| for |"},
		{"captured text keeps its case", `if address :matches "from" "*@*" { fileinto "${0} ${1} ${2}"; }`, "fileinto Coyote@desert.example.org Coyote desert.example.org"},
		{"captures stay", `if header :matches "x-priority" "*" {} if header :matches "x-priority" "9*" {} fileinto "${1}";`, "fileinto 3"},
		{"captures of the body", `if header :matches "x-priority" "*" {} if body :matches "*" {} fileinto "${1}";`, "fileinto 3"},
		{"empty folder", `fileinto "${x}";`, "3:1: fileinto needs the name of a folder"},
		{"variable that grows", strings.Repeat(`set "a" "${a}${a}x";`, 40) + ` set :length "n" "${a}"; fileinto "${n}";`, "fileinto 4000"},
		{"zone from a variable", `set "z" "CET"; if currentdate :zone "${z}" "year" "1" {}`, `3:19: time zone "CET" is not of the form +hhmm`},

		{"addheader", `addheader "X-A" "1"; if header "x-a" "1" { fileinto "A"; }`, "fileinto A edited"},
		{"edits count from then on", `fileinto "A"; addheader "X-A" "1"; fileinto "A"; redirect :copy "x@example.com";`, "fileinto A; fileinto A edited; redirect x@example.com edited"},
		{"addheader of a variable", `set "n" "a b"; addheader "${n}" "1";`, `3:16: "a b" is not the name of a header field`},
		{"deleteheader", `deleteheader "cc"; if not exists "cc" { discard; }`, "discard edited"},
		{"deleteheader by index", `deleteheader :index 1 :last "x-priority"; deleteheader :index 2 "subject"; if not exists "x-priority" { discard; }`, "discard edited"},
		{"deleteheader of nothing", `deleteheader :contains "subject" "xyz"; deleteheader "x-none"; keep;`, "keep"},
		{"deleteheader by value", `addheader "X-A" "1"; addheader "X-A" "2"; deleteheader :is "x-a" "1"; if header :count "eq" "x-a" "1" { fileinto "A"; }`, "fileinto A edited"},
		{"protected", `deleteheader "Received"; deleteheader "auto-submitted"; keep;`, "keep"},
		{"too many fields", strings.Repeat("addheader \"a\" \"b\";\n", 65), "67:1: more than 64 fields added"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, err := runScript(t, requireAll+tc.script, env())
			got := show(res)
			if err != nil {
				if len(res.Actions) > 0 {
					t.Error("a script with a mistake wants something done")
				}
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// TestEdits: what an edited header looks like.
func TestEdits(t *testing.T) {
	m := container.ParseMessage([]byte("Received: x\r\nA: 1\r\nB: 2\r\nA: 3\r\n\r\nbody"))
	e := env()
	e.Message = &m
	res, err := runScript(t, requireAll+"addheader \"T\" \"top\r\nBcc: x@example.com\"; addheader :last \"L\" \"l\"; deleteheader :index 2 \"a\"; keep;", e)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(res.Actions[0].Header), "T: top Bcc: x@example.com\r\nReceived: x\r\nA: 1\r\nB: 2\r\nL: l\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if string(m.Header()) != "Received: x\r\nA: 1\r\nB: 2\r\nA: 3\r\n" {
		t.Error("the message itself was changed")
	}
}

// The example of RFC 5228 §9, on mail it sorts.
func TestExampleOfTheStandard(t *testing.T) {
	const script = `#
# Example Sieve Filter
# Declare any optional features or extension used by the script
#
require ["fileinto"];

#
# Handle messages from known mailing lists
# Move messages from IETF filter discussion list to filter mailbox
#
if header :is "Sender" "owner-ietf-mta-filters@imc.org"
        {
        fileinto "filter";  # move to "filter" mailbox
        }
#
# Keep all messages to or from people in my company
#
elsif address :DOMAIN :is ["From", "To"] "example.com"
        {
        keep;               # keep in "In" mailbox
        }

#
# Try and catch unsolicited email.  If a message is not to me,
# or it contains a subject known to be spam, file it away.
#
elsif anyof (NOT address :all :contains
               ["To", "Cc", "Bcc"] "me@example.com",
             header :matches "subject"
               ["*make*money*fast*", "*university*dipl*mas*"])
        {
        fileinto "spam";   # move to "spam" mailbox
        }
else
        {
        # Move all other (non-company) mail to "personal"
        # mailbox.
        fileinto "personal";
        }
`
	for header, want := range map[string]string{
		"Sender: owner-ietf-mta-filters@imc.org\r\n":                                              "fileinto filter",
		"From: a@EXAMPLE.com\r\nTo: x@y.test\r\n":                                                 "keep",
		"From: a@b.test\r\nTo: x@y.test\r\n":                                                      "fileinto spam",
		"From: a@b.test\r\nTo: me@example.com.test, some@b.test\r\nSubject: MAKE money fast!\r\n": "fileinto spam",
		"From: a@b.test\r\nTo: me@example.com.test\r\n":                                           "fileinto personal",
	} {
		m := container.ParseMessage([]byte(header + "\r\n"))
		e := env()
		e.Message = &m
		if res, err := runScript(t, script, e); err != nil || show(res) != want {
			t.Errorf("%q: got %s, %v, want %s", header, show(res), err, want)
		}
	}
}

// TestBudget: scripts made to take long end with a mistake.
func TestBudget(t *testing.T) {
	long := container.ParseMessage([]byte("Subject: " + strings.Repeat("a", 900000) + "\r\nFrom: a@b.test\r\n\r\n" + strings.Repeat("a", 1<<20)))
	for _, tc := range []struct{ name, script string }{
		{"question marks", `if header :matches "subject" "*` + strings.Repeat("?", 10000) + `b" {}`},
		{"literal", `if header :matches "subject" "*` + strings.Repeat("a", 60000) + `?b" {}`},
		{"contains", strings.Repeat(`if header :contains "subject" "b" {}`, 1500)},
		{"body", strings.Repeat(`if body :contains "`+strings.Repeat("a", 20)+`b" {}`, 1000)},
		{"edits", strings.Repeat(`deleteheader :contains "x" "y"; addheader "a" "b"; if exists "x" {}`, 500)},
	} {
		e := env()
		e.Message = &long
		s, err := Compile([]byte(requireAll+tc.script), Limits{Edits: 1000})
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		start := time.Now()
		if _, err := s.Run(t.Context(), e); !errors.Is(err, ErrBudget) {
			t.Errorf("%s: got %v", tc.name, err)
		}
		t.Logf("%s: %v", tc.name, time.Since(start))
	}
}

// Many stars take no more time than few.
func TestManyStars(t *testing.T) {
	e := env()
	m := container.ParseMessage([]byte("Subject: " + strings.Repeat("a", 900000) + "\r\n\r\n"))
	e.Message = &m
	res, err := runScript(t, `if header :matches "subject" "`+strings.Repeat("a*", 30000)+`b" { discard; }`, e)
	if err != nil || show(res) != "implicit" {
		t.Errorf("got %s, %v", show(res), err)
	}
}

func TestEndOfTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := Compile([]byte("discard;"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.Run(ctx, env()); !errors.Is(err, context.Canceled) || len(res.Actions) > 0 {
		t.Errorf("got %v, %v", show(res), err)
	}
}
