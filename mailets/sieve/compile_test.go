package sieve

import (
	"errors"
	"strings"
	"testing"
)

// TestMistakes: each script has the mistakes listed, with their places.
func TestMistakes(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"empty", "", ""},
		{"comments", "# a\r\n/* b\n */ keep /* c */ ; # d", ""},
		{"unknown command", "keep;\n  frob;", `2:3: command "frob" is not known`},
		{"unknown test", "if frob { keep; }", `1:4: test "frob" is not known`},
		{"missing require", `fileinto "x";`, `1:1: fileinto needs require "fileinto"`},
		{"unknown extension", `require ["fileinto", "frob"];`, `1:22: extension "frob" is not known`},
		{"late require", `keep; require "fileinto";`, `1:7: require stands in front of all other commands`},
		{"require without list", `require 5;`, `1:1: require takes a list of strings and nothing else`},
		{"no semicolon", "keep", `1:5: unexpected end of the script after keep, want ";" or a block`},
		{"closing brace too many", "keep; } discard;", `1:7: unexpected "}"`},
		{"open block", "if true { keep;", `1:16: unexpected end of the script, want "}"`},
		{"list with a comma at its end", `if header ["a",] "b" { keep; }`, `1:16: unexpected "]", want a string`},
		{"empty list", `if header [] "b" { keep; }`, `1:12: unexpected "]", want a string`},
		{"open string", "redirect \"a\nb;", `1:10: string does not end`},
		{"open comment", "keep; /* x", `1:7: comment does not end`},
		{"open text", "redirect text:\nabc\n..\n", `1:10: text: does not end; a line with a dot alone is missing`},
		{"something behind text:", "redirect text: abc\n.\n;", `1:10: only a comment may follow text: on its line`},
		{"character", "keep;\n @", `2:2: unexpected character '@'`},
		{"number too large", "if size :over 99999999999999999999 { keep; }", `1:15: number is too large`},
		{"number with unit too large", "if size :over 9007199254740991K { keep; }", `1:15: number is too large`},
		{"number with letters", "if size :over 10X { keep; }", `1:17: unexpected character 'X' in a number`},
		{"not UTF-8", "keep;\n# \xff", `2:3: octet 0xff is not text in UTF-8`},
		{"NUL", "keep;\x00", `1:6: octet 0x00 is not text in UTF-8`},
		{"elsif alone", "elsif true { keep; }", `1:1: elsif does not follow if or elsif`},
		{"else after else", "if true { } else { } else { }", `1:22: else does not follow if or elsif`},
		{"else with test", "if true { } else true { }", `1:18: else takes no test`},
		{"if without test", "if { keep; }", `1:1: if needs one test`},
		{"if without block", "if true;", `1:1: if needs a block in braces`},
		{"allof without list", "if allof true { }", `1:4: allof needs a list of tests in parentheses`},
		{"not with list", "if not (true) { }", `1:4: not needs one test`},
		{"keep with block", "keep { }", `1:1: keep takes no block`},
		{"keep with argument", `keep "x";`, `1:1: keep has 1 arguments besides tags, want none`},
		{"unknown tag", `keep :frob;`, `1:6: keep has no tag :frob`},
		{"tag without require", `redirect :copy "a@b.test";`, `1:10: :copy needs require "copy"`},
		{"tag behind an argument", `if header "a" :is "b" { }`, `1:15: tag :is stands behind an argument; tags come first`},
		{"two match types", `if header :is :contains "a" "b" { }`, `1:15: :contains after :is`},
		{"tag twice", `if header :is :is "a" "b" { }`, `1:15: :is after :is`},
		{"tag without value", `if header :comparator :is "a" "b" { }`, `1:11: :comparator needs a string`},
		{"wrong type", `if size :over "1" { } redirect ["a@b.test"];`, "1:15: size needs a number here\n1:32: redirect needs a string here"},
		{"size without tag", `if size 1 { }`, `1:4: size needs :over or :under`},
		{"comparator", `if header :comparator "i;frob" "a" "b" { }`, `1:23: comparator "i;frob" is not known`},
		{"numeric without require", `if header :comparator "i;ascii-numeric" "a" "b" { }`, `1:23: comparator i;ascii-numeric needs require "comparator-i;ascii-numeric"`},
		{"numeric contains", `require "comparator-i;ascii-numeric"; if header :contains :comparator "i;ascii-numeric" "a" "b" { }`, `1:71: comparator i;ascii-numeric cannot do :contains`},
		{"relation", `require "relational"; if header :value "xx" "a" "b" { }`, `1:40: :value needs gt, ge, lt, le, eq or ne, not "xx"`},
		{"address of a subject", `if address "subject" "x" { }`, `1:12: header field "subject" has no addresses`},
		{"envelope part", `require "envelope"; if envelope "frob" "x" { }`, `1:33: envelope part "frob" is not known, only from, to and auth`},
		{"detail without require", `if address :detail "to" "x" { }`, `1:12: :detail needs require "subaddress"`},
		{"bad redirect", `redirect "nobody";`, `1:10: "nobody" is not an address`},
		{"last without index", `require "index"; if header :last "a" "b" { }`, `1:28: :last needs :index`},
		{"index 0", `require "index"; if header :index 0 "a" "b" { }`, `1:35: :index counts from 1`},
		{"date part", `require "date"; if currentdate "century" "20" { }`, `1:32: "century" is no part of a date`},
		{"zone", `require "date"; if currentdate :zone "CET" "hour" "20" { }`, `1:38: time zone "CET" is not of the form +hhmm`},
		{"header name", `require "editheader"; addheader "X Y" "v";`, `1:33: "X Y" is not the name of a header field`},
		{"variable name", `require "variables"; set "1a" "v";`, `1:26: "1a" is not the name of a variable that can be set`},
		{"set a match variable", `require "variables"; set "0" "v";`, `1:26: "0" is not the name of a variable that can be set`},
		{"namespace", `require ["variables","fileinto"]; fileinto "${env.x}";`, `1:44: variables in the namespace "env" are not known`},
		{"modifiers of one precedence", `require "variables"; set :upper :lower "a" "v";`, `1:33: :lower after :upper`},
		{"flags in a variable", `require "imap4flags"; setflag "x" "\\Seen";`, `1:31: setflag of a variable needs require "variables"`},
		{"no character", `require "encoded-character"; redirect "${unicode: D800}";`, `1:39: D800 is no character of Unicode`},
		{"vacation from", `require "vacation"; vacation :from "x y" "r";`, `1:36: "x y" is not an address`},
		{"days and seconds", `require ["vacation", "vacation-seconds"]; vacation :days 1 :seconds 2 "r";`, `1:60: :seconds after :days`},
		{"several", "frob;\nif header { keep :x; }\nblah 1;", "1:1: command \"frob\" is not known\n2:4: header has 0 arguments besides tags, want a list of strings, a list of strings\n2:18: keep has no tag :x\n3:1: command \"blah\" is not known"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Compile([]byte(tc.script), Limits{})
			got := ""
			if err != nil {
				got = err.Error()
				if e := (*Error)(nil); !errors.As(err, &e) || e.Line < 1 || e.Column < 1 {
					t.Errorf("error is %#v", err)
				}
			}
			if got != tc.want || (s == nil) != (err != nil) {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// Text that looks like variables and encoded characters over and over takes no
// longer than other text.
func TestManyReferences(t *testing.T) {
	for _, piece := range []string{"${", "${a", "${hex:", "${unicode: 41 ", "${a.", "${1"} {
		text := `require ["variables", "encoded-character", "fileinto"]; fileinto "` + strings.Repeat(piece, 60000/len(piece)) + `}";`
		if n := testing.AllocsPerRun(1, func() { _, _ = Compile([]byte(text), Limits{}) }); n > 10000 {
			t.Errorf("%s: %v allocations", piece, n)
		}
	}
}

func TestLimitsOfText(t *testing.T) {
	for _, tc := range []struct{ name, script, want string }{
		{"size", strings.Repeat("#", 65537), "1:1: the script has 65537 octets, more than 65536"},
		{"blocks", strings.Repeat("if true {", 16) + strings.Repeat("}", 16), "more than 15 blocks within each other"},
		{"15 blocks", strings.Repeat("if true {", 15) + strings.Repeat("}", 15), ""},
		{"tests", "if " + strings.Repeat("not ", 16) + "true {}", "more than 15 tests within each other"},
		{"15 tests", "if " + strings.Repeat("not ", 14) + "true {}", ""},
		{"test lists", "if " + strings.Repeat("allof(", 10000) + "true", "more than 15 tests within each other"},
		{"errors", strings.Repeat("x;", 1000), `1:99: command "x" is not known`},
	} {
		_, err := Compile([]byte(tc.script), Limits{})
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}
