package mailets

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/local/localtest"
	"github.com/mailetd/mailetd/container/mime"
)

// vacationRig is a VacationMailet over a store in memory.
func vacationRig(t *testing.T, params string) (*VacationMailet, *localtest.Said) {
	t.Helper()
	said := &localtest.Said{}
	s := testServices(t)
	s.Vacations = said
	r := container.NewRegistry()
	Register(r, s)
	v, ok := mustLoad(t, r, "VacationMailet", params).(*VacationMailet)
	if !ok {
		t.Fatal("no VacationMailet")
	}
	return v, said
}

func vacationMail(header string, rcpts ...string) *container.Mail {
	m := testMail(rcpts...)
	m.Sender = container.MustAddress("carol@far.test")
	m.Message = container.ParseMessage([]byte(strings.ReplaceAll(header, "\n", "\r\n") + "\r\n\r\nHello.\r\n"))
	return m
}

func TestVacationMailet(t *testing.T) {
	at := time.Date(2026, 8, 22, 0, 0, 0, 0, time.UTC)
	const plain = "From: carol@far.test\nTo: bob@example.com\nSubject: hi"
	away := local.Vacation{Enabled: true, Text: "away"}
	for _, tc := range []struct {
		name, params, header string
		rcpts                string
		vacation             local.Vacation
		want                 string
	}{
		{name: "away", vacation: away, want: "carol@far.test"},
		{name: "off", vacation: local.Vacation{Text: "away"}},
		{name: "not begun", vacation: local.Vacation{Enabled: true, From: at.Add(time.Second)}},
		{name: "begun", vacation: local.Vacation{Enabled: true, From: at, To: at}, want: "carol@far.test"},
		{name: "over", vacation: local.Vacation{Enabled: true, To: at.Add(-time.Second)}},
		{name: "others are not", vacation: away, rcpts: "alice@example.com"},
		{name: "both", vacation: away, rcpts: "alice@example.com BOB@example.com", want: "carol@far.test"},
		{name: "Reply-To", vacation: away, header: plain + "\nReply-To: Dave <dave@far.test>", want: "dave@far.test"},
		{name: "envelope", params: "<replyMode>ENVELOPE</replyMode>", vacation: away, header: plain + "\nReply-To: Dave <dave@far.test>", want: "carol@far.test"},
		{name: "not named", vacation: away, header: "From: carol@far.test\nTo: x@far.test", want: "carol@far.test"},
		{name: "not named, which matters", params: "<onlyWhenAddressed>true</onlyWhenAddressed>", vacation: away, header: "From: carol@far.test\nTo: x@far.test"},
		{name: "list", vacation: away, header: plain + "\nList-Id: <x>"},
		{name: "nobody wrote it", vacation: away, header: "Subject: x"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v, said := vacationRig(t, tc.params)
			v.now = func() time.Time { return at }
			if err := said.SetVacation(t.Context(), "bob@example.com", tc.vacation); err != nil {
				t.Fatal(err)
			}
			m := vacationMail(firstOf(tc.header, plain), strings.Fields(firstOf(tc.rcpts, "bob@example.com"))...)
			want := text(t, m)
			out := serve(t, v, m)
			var got []string
			for _, e := range out.Entries() {
				got = append(got, container.AddressStrings(e.Mail.Recipients)...)
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("answered %q, want %q", got, tc.want)
			}
			if text(t, m) != want || m.State == container.StateGhost {
				t.Error("the mail was changed")
			}
		})
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// One answer for each correspondent and vacation.
func TestVacationOnce(t *testing.T) {
	v, said := vacationRig(t, "<useUserAsMailFrom>true</useUserAsMailFrom>")
	set := func() {
		if err := said.SetVacation(t.Context(), "bob@example.com", local.Vacation{Enabled: true, Subject: "away", Text: "Bin weg.", HTML: "<p>Bin weg.</p>"}); err != nil {
			t.Fatal(err)
		}
	}
	count := func(want int) *container.Outbox {
		t.Helper()
		out := serve(t, v, vacationMail("From: carol@far.test\nTo: bob@example.com\nSubject: hi", "bob@example.com"))
		if out.Len() != want {
			t.Errorf("got %d answers, want %d", out.Len(), want)
		}
		return out
	}
	set()
	out := count(1)
	count(0)
	set()
	count(1)
	answer := out.Entries()[0].Mail
	if s, _ := mime.Text(answer.Message.Header(), "Subject"); s != "away" || answer.Sender.String() != "bob@example.com" {
		t.Errorf("got subject %q from %s", s, answer.Sender)
	}
	said.FailWith(errors.New("disk full"))
	count(0)
}

// A mail with a megabyte of addresses is read for none of the users who are away.
func TestVacationCrowded(t *testing.T) {
	v, said := vacationRig(t, "")
	if err := said.SetVacation(t.Context(), "bob@example.com", local.Vacation{Enabled: true, Text: "away"}); err != nil {
		t.Fatal(err)
	}
	users := &countedUsers{vacationUsers: v.users}
	v.users = users
	for _, name := range []string{"From", "Reply-To", "To"} {
		m := vacationMail(name+": "+strings.Repeat("carol@far.test, ", 60_000)+"x@far.test", "bob@example.com")
		if out := serve(t, v, m); out.Len() > 0 || users.asked > 0 {
			t.Errorf("%s: %d answers, users looked up %d times", name, out.Len(), users.asked)
		}
	}
}

type countedUsers struct {
	vacationUsers
	asked int
}

func (u *countedUsers) UserExists(ctx context.Context, a container.Address) (bool, error) {
	u.asked++
	return u.vacationUsers.UserExists(ctx, a)
}

func TestVacationParameters(t *testing.T) {
	_, problems := load(t, testRegistry(t), "VacationMailet", "<replyMode>sender</replyMode>")
	if len(problems) != 1 || !strings.Contains(problems[0], "neither replyToHeader nor envelope") {
		t.Errorf("got %q", problems)
	}
}
