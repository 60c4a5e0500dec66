package mailets

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local/localtest"
)

// rrt makes a mailet over a table of "source=mapping" lines. Local domains are
// a.test and b.test.
func rrt(t testing.TB, params string, table ...string) (container.Mailet, *localtest.Storage) {
	t.Helper()
	s := testServices(t)
	d, store := localtest.Directory(t, []string{"a.test", "b.test"})
	for _, l := range table {
		source, m, _ := strings.Cut(l, "=")
		store.Map(source, m)
	}
	s.Local = d
	r := container.NewRegistry()
	Register(r, s)
	return mustLoad(t, r, "RecipientRewriteTable", params), store
}

// show describes a mail: state, sender, recipients with their NOTIFY and ORCPT.
func show(m *container.Mail) string {
	var rcpts []string
	for _, r := range m.Recipients {
		s := r.String()
		if n, ok := m.Attributes.RecipientString(container.AttrDSNNotify, r); ok {
			s += " " + n
		}
		if o, ok := m.Attributes.RecipientString(container.AttrDSNOrcpt, r); ok {
			s += " (" + o + ")"
		}
		rcpts = append(rcpts, s)
	}
	return fmt.Sprintf("%s %s -> %s", m.State, m.Sender.Pretty(), strings.Join(rcpts, ", "))
}

func TestRecipientRewriteTable(t *testing.T) {
	const from = "<sender@example.org>"
	for _, tc := range []struct {
		name, params string
		table        []string
		rcpts        []string
		mail         string
		sent         []string
	}{
		{name: "nothing", rcpts: []string{"u@a.test", "x@c.test"}, mail: "root " + from + " -> u@a.test, x@c.test"},
		{name: "local alias", table: []string{"al@a.test=alias:u@a.test"}, rcpts: []string{"al@a.test", "v@a.test"},
			mail: "root " + from + " -> u@a.test (al@a.test), v@a.test"},
		{name: "parameters travel to one target", table: []string{"al@a.test=alias:u@a.test"}, rcpts: []string{"al@a.test=SUCCESS,FAILURE"},
			mail: "root " + from + " -> u@a.test SUCCESS,FAILURE (al@a.test)"},
		{name: "remote target", table: []string{"al@a.test=x+y@c.test"}, rcpts: []string{"al@a.test=NEVER", "v@a.test=DELAY"},
			mail: "root " + from + " -> v@a.test DELAY", sent: []string{"root " + from + " -> x+y@c.test NEVER (al@a.test)"}},
		{name: "only remote", table: []string{"al@a.test=x@c.test"}, rcpts: []string{"al@a.test"},
			mail: "ghost " + from + " -> ", sent: []string{"root " + from + " -> x@c.test (al@a.test)"}},
		{name: "group", table: []string{"g@a.test=group:u@a.test", "g@a.test=group:x@c.test"}, rcpts: []string{"g@a.test=FAILURE"},
			mail: "root " + from + " -> u@a.test FAILURE (g@a.test)", sent: []string{"root " + from + " -> x@c.test FAILURE (g@a.test)"}},
		{name: "group, success asked", table: []string{"g@a.test=group:u@a.test", "g@a.test=group:x@c.test"}, rcpts: []string{"g@a.test=SUCCESS"},
			mail: "root " + from + " -> u@a.test NEVER (g@a.test)",
			sent: []string{"expanded g@a.test", "root " + from + " -> x@c.test NEVER (g@a.test)"}},
		{name: "group, success and failure asked", table: []string{"g@a.test=group:u@a.test", "g@a.test=group:v@a.test"}, rcpts: []string{"g@a.test=SUCCESS,FAILURE"},
			mail: "root " + from + " -> u@a.test FAILURE (g@a.test), v@a.test FAILURE (g@a.test)", sent: []string{"expanded g@a.test"}},
		{name: "no expansion", params: "<expandOnAlias>false</expandOnAlias>", table: []string{"g@a.test=group:u@a.test", "g@a.test=group:v@a.test"}, rcpts: []string{"g@a.test=SUCCESS"},
			mail: "root " + from + " -> u@a.test SUCCESS (g@a.test), v@a.test SUCCESS (g@a.test)"},
		{name: "two become one", table: []string{"al@a.test=alias:u@a.test"}, rcpts: []string{"al@a.test=SUCCESS", "u@a.test=NEVER"},
			mail: "root " + from + " -> u@a.test SUCCESS"},
		{name: "two become one that asked nothing", table: []string{"al@a.test=alias:u@a.test"}, rcpts: []string{"al@a.test=NEVER", "u@a.test"},
			mail: "root " + from + " -> u@a.test"},
		{name: "error", table: []string{"e@a.test=error:550 5.7.1 go away"}, rcpts: []string{"e@a.test=FAILURE", "u@a.test"},
			mail: "root " + from + " -> u@a.test", sent: []string{"error " + from + " -> e@a.test FAILURE | 550 5.7.1 go away | failed 550 5.7.1 go away"}},
		{name: "loop", params: "<errorProcessor>rrt-error</errorProcessor>", table: []string{"l@a.test=m@a.test", "m@a.test=l@a.test"}, rcpts: []string{"l@a.test=NEVER"},
			mail: "ghost " + from + " -> ", sent: []string{"rrt-error " + from + " -> l@a.test NEVER | 554 Too many mappings to process | failed 554 Too many mappings to process"}},
		{name: "forward", table: []string{"u@a.test=forward:x@c.test"}, rcpts: []string{"u@a.test=FAILURE", "v@a.test"},
			mail: "root " + from + " -> v@a.test", sent: []string{"root <u@a.test> -> x@c.test [u@a.test]"}},
		{name: "forward, success asked", table: []string{"u@a.test=forward:x@c.test"}, rcpts: []string{"u@a.test=SUCCESS"},
			mail: "ghost " + from + " -> ", sent: []string{"delivered u@a.test", "root <u@a.test> -> x@c.test [u@a.test]"}},
		{name: "forward with a copy", table: []string{"u@a.test=forward:u@a.test", "u@a.test=forward:v@a.test"}, rcpts: []string{"u@a.test=SUCCESS"},
			mail: "root " + from + " -> u@a.test SUCCESS", sent: []string{"root <u@a.test> -> v@a.test [u@a.test]"}},
		{name: "forward without rewriting", params: "<rewriteSenderUponForward>no</rewriteSenderUponForward>", table: []string{"u@a.test=forward:u@a.test", "u@a.test=forward:x@c.test"}, rcpts: []string{"u@a.test=SUCCESS"},
			mail: "root " + from + " -> u@a.test NEVER", sent: []string{"expanded u@a.test", "root " + from + " -> x@c.test NEVER (u@a.test)"}},
		{name: "alias to a forward", table: []string{"al@a.test=alias:u@a.test", "u@a.test=forward:x@c.test"}, rcpts: []string{"al@a.test"},
			mail: "ghost " + from + " -> ", sent: []string{"root <u@a.test> -> x@c.test [u@a.test]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ma, _ := rrt(t, tc.params, tc.table...)
			m := dsnMail(tc.rcpts...)
			out := serve(t, ma, m)
			if got := show(m); got != tc.mail {
				t.Errorf("mail: got  %s\n            want %s", got, tc.mail)
			}
			var sent []string
			for _, e := range out.Entries() {
				sent = append(sent, showSent(t, e.Mail))
			}
			if !slices.Equal(sent, tc.sent) {
				t.Errorf("sent: got  %q\n            want %q", sent, tc.sent)
			}
		})
	}
}

func showSent(t *testing.T, m *container.Mail) string {
	t.Helper()
	if m.Sender.IsNull() {
		out := &container.Outbox{}
		out.Send(m)
		r := sentReports(t, out)[0]
		return r.Recipients[0].Action + " " + finals(r)
	}
	s := show(m)
	if m.ErrorMessage != "" {
		s += " | " + m.ErrorMessage
	}
	if o, ok := m.Outcome(m.Recipients[0]); ok {
		s += " | " + o.Result + " " + o.Reply()
	}
	if rec := m.Attributes.Strings(container.AttrRecordedRcpts); rec != nil {
		s += " " + fmt.Sprint(rec)
	}
	return s
}

func TestForwardGuards(t *testing.T) {
	table := []string{"u@a.test=forward:v@a.test"}
	t.Run("automatic reply stays", func(t *testing.T) {
		ma, _ := rrt(t, "", table...)
		m := dsnMail("u@a.test")
		m.Message.SetHeader([]byte("Auto-Submitted: Auto-Replied; x\r\n"))
		if out := serve(t, ma, m); out.Len() != 0 || len(m.Recipients) != 1 {
			t.Errorf("%d mails, %s", out.Len(), show(m))
		}
		ma, _ = rrt(t, "<forwardAutoSubmittedEmails>yes</forwardAutoSubmittedEmails>", table...)
		if out := serve(t, ma, m); out.Len() != 1 {
			t.Errorf("%d mails, want 1", out.Len())
		}
	})
	t.Run("null sender stays null", func(t *testing.T) {
		ma, _ := rrt(t, "", table...)
		m := dsnMail("u@a.test")
		m.Sender = container.Address{}
		out := serve(t, ma, m)
		if out.Len() != 1 || !out.Entries()[0].Mail.Sender.IsNull() {
			t.Errorf("got %d mails", out.Len())
		}
	})
	t.Run("recorded recipient is delivered", func(t *testing.T) {
		ma, _ := rrt(t, "", table...)
		m := dsnMail("u@a.test")
		m.Set(container.AttrRecordedRcpts, []container.Value{"U@a.test"})
		if out := serve(t, ma, m); out.Len() != 0 || len(m.Recipients) != 1 {
			t.Errorf("%d mails, %s", out.Len(), show(m))
		}
	})
	t.Run("circle", func(t *testing.T) {
		ma, _ := rrt(t, "", table...)
		m := dsnMail("u@a.test")
		m.Set(container.AttrRecordedRcpts, []container.Value{"v@a.test"})
		out := serve(t, ma, m)
		if out.Len() != 1 || out.Entries()[0].Mail.State != "error" || m.State != container.StateGhost {
			t.Fatalf("%d mails, %s", out.Len(), show(m))
		}
		if o, ok := out.Entries()[0].Mail.Outcome(container.MustAddress("u@a.test")); !ok || o.Result != container.Failed {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestRecipientRewriteTableStoreBroken(t *testing.T) {
	ma, store := rrt(t, "", "al@a.test=x@c.test")
	broken := errors.New("disk gone")
	store.FailWith(broken)
	m := dsnMail("u@a.test", "al@a.test")
	before := show(m)
	if err := ma.Service(t.Context(), m, &container.Outbox{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if show(m) != before {
		t.Errorf("the mail was changed to %s", show(m))
	}
}

func TestSeveralErrors(t *testing.T) {
	ma, _ := rrt(t, "", "e@a.test=error:550 5.7.1 no", "f@a.test=error:gone")
	m := dsnMail("e@a.test", "f@a.test")
	out := serve(t, ma, m)
	if out.Len() != 1 {
		t.Fatalf("%d mails, want 1", out.Len())
	}
	c := out.Entries()[0].Mail
	if want := "<e@a.test>: 550 5.7.1 no\n<f@a.test>: gone"; c.ErrorMessage != want || c.Name == m.Name || !strings.HasPrefix(c.Name, m.Name+"!") {
		// Under the same name the one would replace the other in an error repository.
		t.Errorf("got %q", c.ErrorMessage)
	}
	if o, _ := c.Outcome(container.MustAddress("f@a.test")); o.Enhanced != "5.1.0" || o.Text != "gone" {
		t.Errorf("outcome %+v", o)
	}
	// What DSNBounce makes of it.
	reps := sentReports(t, serve(t, loadDSNBounce(t, ""), c))
	if r := reps[0].Recipients; r[0].Status != "5.7.1" || r[1].Status != "5.1.0" || r[0].Diagnostic != "550 5.7.1 no" || r[0].DiagnosticType != "X-Mailetd" {
		t.Errorf("got %+v", r)
	}
}

func BenchmarkRecipientRewriteTable(b *testing.B) {
	ma, _ := rrt(b, "")
	m := dsnMail("u@a.test", "v@a.test")
	out := &container.Outbox{}
	b.ReportAllocs()
	for b.Loop() {
		if err := ma.Service(b.Context(), m, out); err != nil {
			b.Fatal(err)
		}
	}
}
