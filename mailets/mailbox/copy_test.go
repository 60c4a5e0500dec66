package mailbox

import (
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

func TestNewAnyLayout(t *testing.T) {
	for _, tc := range []struct {
		root, pattern, box string
		perUser            bool
		err                string
	}{
		{"/mail", "%d/%u", "/mail/example.com/bob", true, ""},
		{"/mail", "/srv/%n", "/srv/bob", true, ""},
		{"/mail", "archive", "/mail/archive", false, ""},
		{"/mail", "/srv/%d/all", "/srv/example.com/all", false, ""},
		{"/mail", "/srv/%%u", "/srv/%u", false, ""},
		{"/100%", "archive/", "/100%/archive", false, ""},
		{"/mail", "../../etc", "/mail/etc", false, ""},
		{"", "archive", "", false, "no mail folder"},
		{"/mail", "/srv/%x", "", false, "after % there must be"},
		{"/mail", "/srv/%", "", false, "after % there must be"},
		{"/mail", "/", "", false, "cannot be a mailbox"},
		{"/mail", ".", "", false, "cannot be a mailbox"},
	} {
		l, err := NewAnyLayout(tc.root, tc.pattern)
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, want %s", tc.pattern, err, tc.err)
			}
			continue
		}
		box, err2 := l.Box("bob", "example.com")
		if err != nil || err2 != nil || box != tc.box || l.PerUser() != tc.perUser {
			t.Errorf("%s: got %s, %v, %v, per user %t", tc.pattern, box, err, err2, l.PerUser())
		}
	}
}

func TestSharedCopy(t *testing.T) {
	m := container.NewMail(container.MustAddress("a@b.test"), nil,
		container.ParseMessage([]byte("Return-Path: <x@y.test>\r\nX-Envelope-To: forged@x.test\r\nSubject: s\r\n\r\nHi\r\n")))
	bob := container.MustAddress("Bob@example.com")
	m.AddRecipientHeader(bob, "X-Only", "bob")
	got := string(SharedCopy(m, []container.Address{bob, container.MustAddress("al@example.com")}).Header)
	if want := "Return-Path: <a@b.test>\r\nX-Envelope-To: Bob@example.com\r\nX-Envelope-To: al@example.com\r\nSubject: s\r\n\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if got, want := string(Copy(m, bob).Header), "Return-Path: <a@b.test>\r\nX-Only: bob\r\nX-Envelope-To: forged@x.test\r\nSubject: s\r\n\r\n"; got != want {
		t.Errorf("got %q", got)
	}
	if Copy(m, bob).ID == SharedCopy(m, nil).ID {
		t.Error("one name for two copies")
	}
	m.Redelivered = true
	if !Copy(m, bob).Repeated {
		t.Error("a mail that runs again is not looked for")
	}
}
