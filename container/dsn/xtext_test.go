package dsn

import (
	"testing"
	"unicode/utf8"
)

func TestXtext(t *testing.T) {
	for decoded, encoded := range map[string]string{
		"QQ314159":           "QQ314159",
		"a+b=c d":            "a+2Bb+3Dc+20d",
		"Alice@Example.ORG":  "Alice@Example.ORG",
		"":                   "",
		"rfc822;\"a b\"@x.y": "rfc822;\"a+20b\"@x.y",
	} {
		if got := EncodeXtext(decoded); got != encoded {
			t.Errorf("EncodeXtext(%q): got %q, want %q", decoded, got, encoded)
		}
		if got, err := DecodeXtext(encoded); got != decoded || err != nil {
			t.Errorf("DecodeXtext(%q): got %q, %v, want %q", encoded, got, err, decoded)
		}
	}
	if got, err := DecodeXtext("+41"); got != "A" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	for _, bad := range []string{"a+2b", "a+4", "a+", "a=b", "a b", "caf\xe9", "a+0D+0AX-Evil:+20y", "+00", "+7F", "+E9", "a\tb"} {
		if got, err := DecodeXtext(bad); err == nil {
			t.Errorf("DecodeXtext(%q): got %q, want an error", bad, got)
		}
	}
}

func TestUnitext(t *testing.T) {
	for _, tc := range []struct{ addr, ascii, utf string }{
		{"željko@example", `\x{17E}eljko@example`, "željko@example"},
		{`a\b`, `a\x{5C}b`, `a\x{5C}b`},
		{"a+b=c d", `a\x{2B}b\x{3D}c\x{20}d`, `a\x{2B}b\x{3D}c\x{20}d`},
	} {
		if got := EncodeUnitext(tc.addr, true); got != tc.ascii {
			t.Errorf("got %q, want %q", got, tc.ascii)
		}
		if got := EncodeUnitext(tc.addr, false); got != tc.utf {
			t.Errorf("got %q, want %q", got, tc.utf)
		}
		for _, enc := range []string{tc.ascii, tc.utf} {
			if got, err := DecodeUnitext(enc); got != tc.addr || err != nil {
				t.Errorf("DecodeUnitext(%q): got %q, %v", enc, got, err)
			}
		}
	}
	for _, bad := range []string{`a\b`, `\x{`, `\x{zz}`, `\x{D800}`, `\x{0D}`, "\xff", "a\nb"} {
		if got, err := DecodeUnitext(bad); err == nil {
			t.Errorf("DecodeUnitext(%q): got %q, want an error", bad, got)
		}
	}
}

// Encoding gives valid xtext that decodes to the same; decoding something valid
// and encoding it again changes nothing but the spelling.
func FuzzXtext(f *testing.F) {
	f.Add("a+b=c d")
	f.Add("+41")
	f.Fuzz(func(t *testing.T, s string) {
		printable := true
		for i := range len(s) {
			printable = printable && s[i] >= ' ' && s[i] < 0x7f
		}
		got, err := DecodeXtext(EncodeXtext(s))
		if printable && (got != s || err != nil) || !printable && err == nil {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
		if d, err := DecodeXtext(s); err == nil {
			if again, err := DecodeXtext(EncodeXtext(d)); again != d || err != nil {
				t.Errorf("%q decodes to %q, then to %q, %v", s, d, again, err)
			}
		}
		if u, err := DecodeUnitext(EncodeUnitext(s, true)); err == nil && utf8.ValidString(s) && u != s {
			t.Errorf("unitext: %q becomes %q", s, u)
		}
	})
}
