package mailbox

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestLayout(t *testing.T) {
	for _, tc := range []struct{ root, pattern, user, domain, want, err string }{
		{root: "/mail", user: "bob", domain: "example.com", want: "/mail/example.com/bob"},
		{root: "/mail", pattern: "%u", user: "bob", domain: "x", want: "/mail/bob"},
		{root: "/100%u", pattern: "%n", user: "bob", domain: "x", want: "/100%u/bob"},
		{root: "/mail", pattern: "/srv/%d/%u/Maildir/", user: "bob", domain: "x", want: "/srv/x/bob/Maildir"},
		{root: "", pattern: "/srv/%u%%", user: "bob", domain: "x", want: "/srv/bob%"},
		{root: "/mail", pattern: "../%u", user: "bob", domain: "x", want: "/mail/bob"},
		{root: "/mail", user: "..", domain: "..", want: "/mail/%2E./%2E."},
		{root: "/mail", user: "../../etc/passwd", domain: "x", want: "/mail/x/%2E.%2F..%2Fetc%2Fpasswd"},
		{root: "/mail", user: "a/b", domain: "x", want: "/mail/x/a%2Fb"},
		{root: "/mail", user: "a%2Fb", domain: "x", want: "/mail/x/a%252Fb"},
		{root: "/mail", user: "a\x00\x7f\nb", domain: "x", want: "/mail/x/a%00%7F%0Ab"},
		{root: "/mail", user: "grün\xff", domain: "x", want: "/mail/x/grün%FF"},
		{root: "/mail", user: `"a b"\`, domain: "x", want: `/mail/x/"a b"%5C`},
		{root: "/mail", user: ".hidden", domain: "x", want: "/mail/x/%2Ehidden"},
		{root: "/mail", user: "bob", domain: "2001:db8::1", want: "/mail/2001:db8::1/bob"},
		{root: "/mail", user: "", domain: "x", err: "empty name"},
		{root: "/mail", user: "x", domain: "", err: "empty name"},
		{root: "/mail", user: strings.Repeat("x", 201), domain: "x", err: "longer than"},
		{root: "", pattern: "%u", err: "no mail folder"},
		{root: "/mail", pattern: "/srv/mail", err: "has no %u"},
		{root: "/mail", pattern: "/srv/%%u", err: "has no %u"},
		{root: "/mail", pattern: "/srv/%u/../x", err: "has no %u"},
		{root: "/mail", pattern: "/srv/%u/%h", err: "after % there must be"},
		{root: "/mail", pattern: "/srv/%u/%", err: "after % there must be"},
	} {
		l, err := NewLayout(tc.root, tc.pattern)
		got := ""
		if err == nil {
			if got, err = l.Box(tc.user, tc.domain); err != nil && !errors.Is(err, ErrName) {
				t.Errorf("error %v is no ErrName", err)
			}
		}
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%q %q %q@%q: got %q, %v; want %q, %q", tc.root, tc.pattern, tc.user, tc.domain, got, err, tc.want, tc.err)
		}
	}
}

func TestHasDomain(t *testing.T) {
	for pattern, want := range map[string]bool{"%d/%u": true, "%u": false, "%%d/%u": false, "%u%%%d": true} {
		if l, err := NewLayout("/mail", pattern); err != nil || l.HasDomain() != want {
			t.Errorf("%s: got %v, %v", pattern, l.HasDomain(), err)
		}
	}
}

func TestFolderPath(t *testing.T) {
	for _, tc := range []struct{ folder, want, err string }{
		{folder: "INBOX", want: ""},
		{folder: "/inbox", want: ""},
		{folder: "Junk", want: ".Junk"},
		{folder: "/A/B", want: ".A.B"},
		{folder: "A.B", want: ".A.B"},
		{folder: "INBOX/x", want: ".INBOX.x"},
		{folder: "a & b", want: ".a &- b"},
		{folder: "Entwürfe", want: ".Entw&APw-rfe"},
		{folder: "台北", want: ".&U,BTFw-"},
		{folder: "日本語/😀x", want: ".&ZeVnLIqe-.&2D3eAA-x"},
		{folder: "", err: "empty level"},
		{folder: "/", err: "empty level"},
		{folder: "..", err: "empty level"},
		{folder: "a/../b", err: "empty level"},
		{folder: "a//b", err: "empty level"},
		{folder: "a/", err: "empty level"},
		{folder: "a\nb", err: "control characters"},
		{folder: "a\x00b", err: "control characters"},
		{folder: "a\xff", err: "not UTF-8"},
		{folder: strings.Repeat("x", 300), err: "longer than"},
	} {
		got, err := folderPath(tc.folder)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && (!strings.Contains(err.Error(), tc.err) || !errors.Is(err, ErrName)) {
			t.Errorf("%q: got %q, %v; want %q, %q", tc.folder, got, err, tc.want, tc.err)
		}
		if c := CheckFolder(tc.folder); (c == nil) != (err == nil) {
			t.Errorf("%q: CheckFolder says %v", tc.folder, c)
		}
	}
}

// FuzzMaildirName: whatever user, domain and folder are called, the folder is a
// direct child of the box, the box is two levels below the root, and different
// users have different boxes.
func FuzzMaildirName(f *testing.F) {
	for _, s := range []string{"bob", "..", "../../etc", "a/b", "\x00", "%2F", ".", "a\\b", "ü", "\xff"} {
		f.Add(s, "example.com", "A/B")
		f.Add("bob", s, s)
	}
	l, err := NewLayout("/mail", "")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, user, domain, folder string) {
		box, err := l.Box(user, domain)
		if err != nil {
			return
		}
		rel, err := filepath.Rel("/mail", box)
		if err != nil || filepath.Clean(box) != box || strings.Count(rel, "/") != 1 || strings.HasPrefix(rel, ".") || strings.ContainsRune(box, 0) {
			t.Fatalf("box of %q@%q is %q", user, domain, box)
		}
		if got := unescape(filepath.Base(box)); got != user {
			t.Errorf("box %q of %q reads back as %q", box, user, got)
		}
		sub, err := folderPath(folder)
		if err != nil || sub == "" {
			return
		}
		path := filepath.Join(box, sub)
		if filepath.Dir(path) != box || filepath.Base(path) != sub || sub[0] != '.' || sub == "." || sub == ".." {
			t.Errorf("folder %q is at %q", folder, path)
		}
	})
}

// unescape undoes element.
func unescape(s string) string {
	var out []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		n := 0
		for _, c := range s[i+1 : i+3] {
			n = n<<4 | strings.IndexRune("0123456789ABCDEF", c)
		}
		out = append(out, byte(n))
		i += 2
	}
	return string(out)
}
