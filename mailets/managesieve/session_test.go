package managesieve_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/mailets/managesieve"
)

// check finds the word bad.
func check(text []byte) error {
	if strings.Contains(string(text), "bad") {
		return errors.New("1:1: there is no command bad\n1:5: \"x\" is missing")
	}
	return nil
}

// TestCommands runs commands one after the other over one store. A script comes
// behind a bar.
func TestCommands(t *testing.T) {
	store := &localtest.Said{}
	if err := store.SetSieveQuota(t.Context(), "", 100); err != nil {
		t.Fatal(err)
	}
	s := managesieve.Session{Store: store, User: "bob@here.test", Check: check, Extensions: []string{"fileinto", "vacation"}}
	for _, tc := range []struct{ line, want string }{
		{`LISTSCRIPTS`, `OK`},
		{`putscript "a \"b\" \\"|keep;`, `OK`},
		{`PUTSCRIPT second|stop;`, `OK`},
		{`LISTSCRIPTS`, `"a \"b\" \\"` + "\r\n" + `"second"` + "\r\nOK"},
		{`SETACTIVE  "second"`, `OK`},
		{`LISTSCRIPTS`, `"a \"b\" \\"` + "\r\n" + `"second" ACTIVE` + "\r\nOK"},
		{`GETSCRIPT second`, "{5}\r\nstop;\r\nOK"},
		{`GETSCRIPT third`, `NO (NONEXISTENT) "There is no script by that name"`},
		{`DELETESCRIPT second`, `NO (ACTIVE) "You may not delete an active script"`},
		{`RENAMESCRIPT second "a \"b\" \\"`, `NO (ALREADYEXISTS) "A script with that name already exists"`},
		{`RENAMESCRIPT second third`, `OK`},
		{`RENAMESCRIPT third ""`, `NO "the name of a script has 1 to 128 characters of UTF-8"`},
		{`SETACTIVE ""`, `OK`},
		{`DELETESCRIPT third`, `OK`},
		{`SETACTIVE third`, `NO (NONEXISTENT) "There is no script by that name"`},
		{`PUTSCRIPT c|bad;`, "NO {63}\r\nSyntax Error: 1:1: there is no command bad\r\n1:5: \"x\" is missing"},
		{`CHECKSCRIPT|bad;`, "NO {63}\r\nSyntax Error: 1:1: there is no command bad\r\n1:5: \"x\" is missing"},
		{`CHECKSCRIPT|`, `OK`},
		{`CHECKSCRIPT`, `NO "There is no script with the command"`},
		{`PUTSCRIPT c`, `NO "There is no script with the command"`},
		{`PUTSCRIPT "` + "a\x01" + `"|keep;`, `NO "the name of a script has no control characters"`},
		{`HAVESPACE c 95`, `OK`},
		{`HAVESPACE c 96`, `NO (QUOTA/MAXSIZE) "Quota exceeded"`},
		{`HAVESPACE "a \"b\" \\" 100`, `OK`},
		{`HAVESPACE c many`, `NO "many is no size"`},
		{`HAVESPACE c -1`, `NO "-1 is no size"`},
		{`PUTSCRIPT c|` + strings.Repeat("#", 96), `NO (QUOTA/MAXSIZE) "Quota exceeded"`},
		{`PUTSCRIPT`, `NO "PUTSCRIPT takes 1 arguments, not 0"`},
		{`LISTSCRIPTS x`, `NO "LISTSCRIPTS takes 0 arguments, not 1"`},
		{`SETACTIVE "x`, `NO "A quoted string does not end"`},
		{``, `NO "There is no command"`},
		{`LOGOUT`, `NO "unknown command LOGOUT"`},
		{`capability`, "\"IMPLEMENTATION\" \"mailetd\"\r\n\"SIEVE\" \"fileinto vacation\"\r\n\"VERSION\" \"1.0\"\r\n\"OWNER\" \"bob@here.test\"\r\nOK"},
	} {
		line, script, has := strings.Cut(tc.line, "|")
		if s.Script = nil; has {
			s.Script = []byte(script)
		}
		if got, err := s.Execute(t.Context(), line); got != tc.want || err != nil {
			t.Errorf("%s\ngot  %q, %v\nwant %q", tc.line, got, err, tc.want)
		}
	}
}

func TestNobody(t *testing.T) {
	s := managesieve.Session{Store: &localtest.Said{}, Check: check, Script: []byte("keep;")}
	for _, line := range []string{"LISTSCRIPTS", "PUTSCRIPT a", "SETACTIVE a", "GETSCRIPT a", "DELETESCRIPT a", "RENAMESCRIPT a b", "HAVESPACE a 1", "CHECKSCRIPT"} {
		if got, err := s.Execute(t.Context(), line); got != `NO "Authenticate first"` || err != nil {
			t.Errorf("%s: got %q, %v", line, got, err)
		}
	}
	if got, err := s.Execute(t.Context(), "CAPABILITY"); !strings.HasSuffix(got, "OK") || strings.Contains(got, "OWNER") || err != nil {
		t.Errorf("CAPABILITY: got %q, %v", got, err)
	}
}

func TestNumberOfScripts(t *testing.T) {
	store := &localtest.Said{}
	for i := range 100 {
		if err := store.PutSieveScript(t.Context(), "bob", fmt.Sprint(i), nil); err != nil {
			t.Fatal(err)
		}
	}
	s := managesieve.Session{Store: store, User: "bob", Check: check, Script: []byte("keep;")}
	for line, want := range map[string]string{"PUTSCRIPT 7": "OK", "PUTSCRIPT x": `NO (QUOTA/MAXSCRIPTS) "There can be 100 scripts"`} {
		if got, err := s.Execute(t.Context(), line); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", line, got, err, want)
		}
	}
	store.FailWith(errors.New("disk full"))
	for _, line := range []string{"PUTSCRIPT 7", "LISTSCRIPTS", "SETACTIVE 7", "GETSCRIPT 7", "HAVESPACE 7 1"} {
		if got, err := s.Execute(t.Context(), line); got != "" || err == nil {
			t.Errorf("%s without a disk: got %q, %v", line, got, err)
		}
	}
}

// Whatever the line, there is a reply, and it is OK or NO.
func FuzzExecute(f *testing.F) {
	f.Add(`PUTSCRIPT "a\"b"`, "keep;")
	f.Add(`RENAMESCRIPT a "b`, "")
	f.Fuzz(func(t *testing.T, line, script string) {
		s := managesieve.Session{Store: &localtest.Said{}, User: "bob", Check: check, Script: []byte(script)}
		got, err := s.Execute(t.Context(), line)
		if err != nil || got != "OK" && !strings.HasSuffix(got, "\r\nOK") && !strings.HasPrefix(got, "NO ") {
			t.Errorf("%q: got %q, %v", line, got, err)
		}
	})
}
