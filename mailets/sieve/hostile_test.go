package sieve

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Work that neither copies nor looks at octets counts too: scripts that make much
// of it out of a small text and a hostile header end with their budget.
func TestBudgetOfLists(t *testing.T) {
	const many = 20_000
	list := func(s string, n int) string { return `["` + s + `"` + strings.Repeat(`,"`+s+`"`, n-1) + `]` }
	for _, tc := range []struct{ name, script, field string }{
		{"stars", `if header :matches "a" "` + strings.Repeat("*", 20_000) + `c" {}`, "a: b\r\n"},
		{"stars of an address", `if address :matches "to" "` + strings.Repeat("*", 20_000) + `x" {}`, "to: b@c\r\n"},
		{"names", "if header " + list("a", 5000) + ` "c" {}`, "a: b\r\n"},
		{"short fields", strings.Repeat(`deleteheader :index 1 "a";`, 20), "a:b\r\n"},
		{"counted", `if header :count "lt" ` + list("a", 5000) + ` "1" {}`, "a: b\r\n"},
		{"addresses", "if address " + list("to", 5000) + ` "c" {}`, "to: b@c\r\n"},
		{"types", "if body :content " + list("a", 10_000) + ` "c" {}`, "Content-Type: multipart/mixed; boundary=b\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := Compile([]byte(requireAll+tc.script), Limits{Steps: 1_000_000})
			if err != nil {
				t.Fatal(err)
			}
			n := many
			if tc.name == "types" {
				n = 1
			}
			m := container.NewMessage([]byte(strings.Repeat(tc.field, n)), container.BytesBody(strings.Repeat("--b\r\n\r\nx\r\n", 900)+"--b--\r\n"))
			if _, err = s.Run(t.Context(), Env{Message: &m, Now: time.Now()}); !errors.Is(err, ErrBudget) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A structure that is too complex is looked for once.
func TestTooComplexOnce(t *testing.T) {
	body := &countedBody{Body: container.BytesBody("--b\r\n" + strings.Repeat("--b\r\n\r\nx\r\n", 2*maxParts) + "--b--\r\n")}
	m := container.NewMessage([]byte("Content-Type: multipart/mixed; boundary=b\r\n"), body)
	s, err := Compile([]byte(requireAll+strings.Repeat(`if body :text :contains "zz" {}`, 50)), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), Env{Message: &m, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if body.opened > 3 {
		t.Errorf("opened %d times", body.opened)
	}
}

// Case is that of ASCII letters alone (RFC 5229 §4.1).
func TestSetCase(t *testing.T) {
	for script, want := range map[string]string{
		`set :upper "v" "straße é";`:     "STRAßE é",
		`set :lower "v" "ÉA";`:           "Éa",
		`set :upperfirst "v" "éa";`:      "éa",
		`set :lowerfirst "v" "AB";`:      "aB",
		`set :upperfirst "v" "";`:        "",
		`set :length "v" "éa";`:          "2",
		`set :quotewildcard "v" "*?\\";`: `\*\?\\`,
	} {
		e := env()
		res, err := runScript(t, requireAll+script+` fileinto "x${v}";`, e)
		if err != nil || len(res.Actions) != 1 || res.Actions[0].Folder != "x"+want {
			t.Errorf("%s: got %s, %v", script, show(res), err)
		}
	}
}

// What stops circles of redirects cannot be deleted.
func TestDeleteProtected(t *testing.T) {
	for _, name := range []string{"X-Sieve-Redirected-From", "Received", "Auto-Submitted", "Return-Path", "Delivered-To"} {
		m := container.NewMessage([]byte(name+": <a@b>\r\nX: y\r\n"), container.BytesBody(""))
		s, err := Compile([]byte(requireAll+`deleteheader "`+strings.ToUpper(name)+`"; addheader "Z" "z";`), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.Run(t.Context(), Env{Message: &m, Now: time.Now()})
		if err != nil || !mime.Has(res.Actions[0].Header, name) {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}

// A handle goes to the store for each correspondent: it is bounded, and other
// arguments make another one.
func TestVacationHandle(t *testing.T) {
	handle := func(script string) string {
		t.Helper()
		res, err := runScript(t, requireAll+script, env())
		if err != nil {
			t.Fatal(err)
		}
		return res.Actions[0].Vacation.Handle
	}
	long := strings.Repeat("h", 10_000)
	if h := handle(`vacation :handle "` + long + `" "a";`); len(h) > 200 || h == handle(`vacation :handle "`+long+`x" "a";`) {
		t.Errorf("handle has %d octets", len(h))
	}
	if handle(`vacation "a";`) == handle(`vacation :mime "a";`) {
		t.Error("an entity and a text have one handle")
	}
	if h := handle(`vacation :handle "mine" "a";`); h != "mine" {
		t.Errorf("handle is %q", h)
	}
}

type countedBody struct {
	container.Body
	opened int
}

func (b *countedBody) Open() (io.ReadCloser, error) {
	b.opened++
	return b.Body.Open()
}
