package container

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, tc := range []struct {
		in, want, path string
		bad            bool
	}{
		{in: "Bob@Example.ORG", want: "Bob@example.org"},
		{in: "a.b+c@x.test", want: "a.b+c@x.test"},
		{in: `"a b"@x.test`, want: `"a b"@x.test`},
		{in: `"a\"b"@x.test`, want: `"a\"b"@x.test`},
		{in: `"a@b"@x.test`, want: `"a@b"@x.test`},
		{in: "u@[192.0.2.1]", want: "u@192.0.2.1", path: "u@[192.0.2.1]"},
		{in: "u@[IPv6:2001:DB8::1]", want: "u@2001:db8::1", path: "u@[IPv6:2001:db8::1]"},
		{in: "jörg@bücher.example", want: "jörg@bücher.example"},
		{in: "u@localhost", want: "u@localhost"},
		{in: "under_score@a_b.test", want: "under_score@a_b.test"},
		{in: "", bad: true},
		{in: "@", bad: true},
		{in: "bob", bad: true},
		{in: "bob@", bad: true},
		{in: "@x.test", bad: true},
		{in: ".a@x.test", bad: true},
		{in: "a.@x.test", bad: true},
		{in: "a..b@x.test", bad: true},
		{in: "a b@x.test", bad: true},
		{in: "<a@x.test>", bad: true},
		{in: "a@b@x.test", bad: true},
		{in: "a@-x.test", bad: true},
		{in: "a@x..test", bad: true},
		{in: "a@x.test.", bad: true},
		{in: "a@x.1test", bad: true},
		{in: "a@[300.1.1.1]", bad: true},
		{in: "a@[fe80::1%eth0]", bad: true},
		{in: "a@x\r\n.test", bad: true},
		{in: "\"a\r\n\"@x.test", bad: true},
		{in: `"a@x.test`, bad: true},
		{in: "a\x00@x.test", bad: true},
		{in: "a\xff@x.test", bad: true},
		{in: "@r1,@r2:u@x.test", bad: true},
		{in: strings.Repeat("a", 600) + "@x.test", bad: true},
	} {
		a, err := ParseAddress(tc.in)
		if (err != nil) != tc.bad {
			t.Errorf("ParseAddress(%q): error %v, want error: %t", tc.in, err, tc.bad)
			continue
		}
		if a.String() != tc.want {
			t.Errorf("ParseAddress(%q) = %q, want %q", tc.in, a, tc.want)
		}
		if tc.path != "" && a.Path() != tc.path {
			t.Errorf("Path of %q is %q, want %q", tc.in, a.Path(), tc.path)
		}
	}
}

func TestAddressEqual(t *testing.T) {
	a, b := MustAddress("Bob@X.test"), MustAddress("bOB@x.TEST")
	if !a.Equal(b) || a.Key() != b.Key() {
		t.Errorf("%v and %v differ, keys %q and %q", a, b, a.Key(), b.Key())
	}
	if a.Equal(MustAddress("rob@x.test")) {
		t.Error("different local parts are equal")
	}
	if !(Address{}).IsNull() || (Address{}).Pretty() != "<>" {
		t.Error("the zero address is not <>")
	}
}

// Whatever parses is written as text that parses to the same address, and has
// no character that could break a line or a path out of its brackets.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"a@b.c", `"a b"@[127.0.0.1]`, "ü@ß.test", "a@[IPv6:::1]", `"\""@x`, "a@1.2.3.4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		for _, text := range []string{a.String(), a.Path()} {
			b, err := ParseAddress(text)
			if err != nil || a != b {
				t.Errorf("%q parses to %#v; its text %q to %#v, %v", s, a, text, b, err)
			}
			if strings.ContainsAny(text, "\r\n\x00") {
				t.Errorf("%q has a control character", text)
			}
		}
		if !strings.HasPrefix(s, `"`) && strings.ContainsAny(a.String(), "<> ") {
			t.Errorf("%q keeps a bracket or blank", a)
		}
	})
}
