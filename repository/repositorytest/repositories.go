package repositorytest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

var (
	urlA = repository.URL{Protocol: "file", Path: "var/mail/a"}
	urlB = repository.URL{Protocol: "file", Path: "var/mail/b"}
)

func (f *fixture) wantKeys(u repository.URL, q repository.MailFilter, offset, limit int, want string) {
	f.t.Helper()
	keys, err := f.s.Keys(f.t.Context(), u, q, offset, limit)
	f.must(err)
	if got := strings.Join(keys, " "); got != want {
		f.t.Errorf("repository %s has keys %q, want %q", u, got, want)
	}
}

func (f *fixture) wantMails(u repository.URL, want int64) {
	f.t.Helper()
	n, err := f.s.RepositorySize(f.t.Context(), u)
	f.must(err)
	if n != want {
		f.t.Errorf("repository %s has %d mails, want %d", u, n, want)
	}
}

func keysAndOverwrite(t *testing.T, f *fixture) {
	_, err := f.s.RepositorySize(t.Context(), urlA)
	f.wantErr(err, repository.ErrNotFound)
	_, err = f.s.Keys(t.Context(), urlA, repository.MailFilter{}, 0, 0)
	f.wantErr(err, repository.ErrNotFound)
	other := repository.URL{Protocol: "memory", Path: "var/mail/a"}
	f.must(f.s.CreateRepository(t.Context(), urlB))
	f.must(f.s.CreateRepository(t.Context(), repository.URL{Protocol: "file", Path: "var/mail/b/"}))
	f.store(urlA, newMail("1"), newMail("2"))
	f.store(other, newMail("1"))
	list, err := f.s.Repositories(t.Context())
	f.must(err)
	if fmt.Sprint(list) != fmt.Sprint([]repository.URL{urlA, other, urlB}) {
		t.Errorf("got repositories %v", list)
	}
	f.wantKeys(urlA, repository.MailFilter{}, 0, 0, "1 2")
	f.wantKeys(other, repository.MailFilter{}, 0, 0, "1")
	changed := newMail("1")
	changed.State = "changed"
	f.store(urlA, changed)
	f.wantMails(urlA, 2)
	got, err := f.s.Mail(t.Context(), repository.Ref{URL: urlA, Key: "1"})
	f.must(err)
	if got.State != "changed" {
		t.Errorf("the mail was not replaced: state %s", got.State)
	}
	got.State = "mine"
	again, err := f.s.Mail(t.Context(), repository.Ref{URL: urlA, Key: "1"})
	f.must(err)
	if again.State != "changed" {
		t.Error("a change of a retrieved mail was written back")
	}
	_, err = f.s.Mail(t.Context(), repository.Ref{URL: urlA, Key: "none"})
	f.wantErr(err, repository.ErrNotFound)
	_, err = f.s.Mail(t.Context(), repository.Ref{URL: repository.URL{Protocol: "file", Path: "none"}, Key: "1"})
	f.wantErr(err, repository.ErrNotFound)
}

func keyPages(t *testing.T, f *fixture) {
	for i := range 7 {
		f.store(urlA, newMail(fmt.Sprint(i)))
	}
	f.wantKeys(urlA, repository.MailFilter{}, 0, 3, "0 1 2")
	f.wantKeys(urlA, repository.MailFilter{}, 5, 3, "5 6")
	f.wantKeys(urlA, repository.MailFilter{}, 9, 3, "")
	first, next, last, err := f.s.KeysAfter(t.Context(), urlA, 0, 0, 4)
	f.must(err)
	f.store(urlA, newMail("new"), newMail("1")) // behind the first call
	rest, next, last, err := f.s.KeysAfter(t.Context(), urlA, next, last, 10)
	f.must(err)
	if got := fmt.Sprint(first, rest); got != "[0 1 2 3] [4 5 6]" {
		t.Errorf("got pages %s", got)
	}
	end, _, _, err := f.s.KeysAfter(t.Context(), urlA, next, last, 10)
	f.must(err)
	if len(end) != 0 {
		t.Errorf("got keys %v behind the end", end)
	}
	f.must(f.s.CreateRepository(t.Context(), urlB))
	none, next, last, err := f.s.KeysAfter(t.Context(), urlB, 0, 0, 10)
	f.must(err)
	f.store(urlB, newMail("new"))
	more, _, _, err := f.s.KeysAfter(t.Context(), urlB, next, last, 10)
	f.must(err)
	if len(none)+len(more) != 0 {
		t.Errorf("got keys %v, %v of a repository that was empty", none, more)
	}
}

func mailFilters(t *testing.T, f *fixture) {
	base := time.Unix(1_700_000_000, 0)
	for i, m := range []*container.Mail{newMail("a", "One@Example.org"), newMail("b", "two@other.org", "three@example.org"), newMail("c", "two@other.org")} {
		m.LastUpdated = base.Add(time.Duration(i) * time.Hour)
		m.RemoteAddr, m.RemoteHost = fmt.Sprintf("192.0.2.%d", i), fmt.Sprintf("h%d.example", i)
		if i == 2 {
			m.Sender = container.MustAddress("Other@elsewhere.example")
			m.State = "relay"
			m.Set("virus", "yes")
			m.Set("count", int32(3))
		}
		f.store(urlA, m)
	}
	for _, tc := range []struct {
		filter        repository.MailFilter
		offset, limit int
		want          string
	}{
		{repository.MailFilter{Recipient: "one@example.ORG"}, 0, 0, "a"},
		{repository.MailFilter{Recipient: "*@EXAMPLE.org"}, 0, 0, "a b"},
		{repository.MailFilter{Recipient: "*@example.org"}, 1, 0, "b"},
		{repository.MailFilter{Recipient: "*@example.org"}, 0, 1, "a"},
		{repository.MailFilter{Sender: "other@elsewhere.example"}, 0, 0, "c"},
		{repository.MailFilter{Sender: "*@example.com"}, 0, 0, "a b"},
		{repository.MailFilter{RemoteAddr: "192.0.2.1"}, 0, 0, "b"},
		{repository.MailFilter{RemoteHost: "h2.example"}, 0, 0, "c"},
		{repository.MailFilter{UpdatedBefore: base.Add(time.Hour)}, 0, 0, "a"},
		{repository.MailFilter{UpdatedAfter: base, UpdatedBefore: base.Add(2 * time.Hour)}, 0, 0, "b"},
		{repository.MailFilter{UpdatedAfter: base, Recipient: "two@other.org", RemoteHost: "h2.example"}, 0, 0, "c"},
		{repository.MailFilter{Recipient: "one"}, 0, 0, ""},
		{repository.MailFilter{State: "relay"}, 0, 0, "c"},
		{repository.MailFilter{State: "Relay"}, 0, 0, ""},
		{repository.MailFilter{Attribute: "virus"}, 0, 0, "c"},
		{repository.MailFilter{Attribute: "virus=yes"}, 0, 0, "c"},
		{repository.MailFilter{Attribute: "virus=no"}, 0, 0, ""},
		{repository.MailFilter{Attribute: "count=3", Sender: "*@elsewhere.example"}, 0, 0, "c"},
		{repository.MailFilter{Attribute: "count=3", Sender: "*@example.com"}, 0, 0, ""},
		{repository.MailFilter{Attribute: "none"}, 0, 0, ""},
	} {
		f.wantKeys(urlA, tc.filter, tc.offset, tc.limit, tc.want)
	}
}

func fromRepository(t *testing.T, f *fixture) {
	f.store(urlA, newMail("1"), newMail("2"))
	ref := repository.Ref{URL: urlA, Key: "1"}
	m, err := f.s.Mail(t.Context(), ref)
	f.must(err)
	m.State = "again"
	f.must(f.s.Commit(t.Context(), repository.Change{From: &ref, Entries: []container.Entry{{Mail: m, Queue: "spool"}}}))
	f.wantMails(urlA, 1)
	it := f.leaseOne("spool")
	if it.Mail.State != "again" || !strings.Contains(f.content(&it.Mail.Message), "Hello, 1.") {
		t.Errorf("got mail in state %s", it.Mail.State)
	}
	f.wantErr(f.s.Commit(t.Context(), repository.Change{From: &ref, Entries: []container.Entry{{Mail: m.Clone(), Queue: "spool"}}}), repository.ErrNotFound)
	f.wantSize("spool", 1)
	// Without entries it is a removal.
	f.must(f.s.Commit(t.Context(), repository.Change{From: &repository.Ref{URL: urlA, Key: "2"}}))
	f.wantMails(urlA, 0)
	// Back under its own key in one step.
	f.must(f.s.Commit(t.Context(), repository.Change{Done: it, Entries: []container.Entry{{Mail: it.Mail, Repository: urlA.String()}}}))
	m, err = f.s.Mail(t.Context(), ref)
	f.must(err)
	f.must(f.s.Commit(t.Context(), repository.Change{From: &ref, Entries: []container.Entry{{Mail: m, Repository: urlA.String()}}}))
	f.wantMails(urlA, 1)
}

// fromReplaced: whoever read a mail must not take away the one that replaced it.
func fromReplaced(t *testing.T, f *fixture) {
	f.store(urlA, newMail("1"))
	ref := repository.Ref{URL: urlA, Key: "1"}
	old, err := f.s.Mail(t.Context(), ref)
	f.must(err)
	f.store(urlB, old.Clone()) // keeps its content alive
	replacement := newMail("1")
	replacement.State = "replacement"
	f.store(urlA, replacement)
	f.wantErr(f.s.Commit(t.Context(), repository.Change{From: &ref, Entries: []container.Entry{{Mail: old, Queue: "spool"}}}), repository.ErrNotFound)
	got, err := f.s.Mail(t.Context(), ref)
	f.must(err)
	if got.State != "replacement" {
		t.Errorf("got state %s, want the replacement", got.State)
	}
}

func moves(t *testing.T, f *fixture) {
	f.store(urlA, newMail("1"), newMail("2"), newMail("3"))
	_, err := f.s.MoveMails(t.Context(), urlA, urlB, nil)
	f.wantErr(err, repository.ErrNotFound)
	old := newMail("2")
	old.State = "old"
	f.store(urlB, old)
	n, err := f.s.MoveMails(t.Context(), urlA, urlB, []string{"2", "none"})
	f.must(err)
	if n != 1 {
		t.Errorf("moved %d mails, want 1", n)
	}
	f.wantKeys(urlA, repository.MailFilter{}, 0, 0, "1 3")
	f.wantKeys(urlB, repository.MailFilter{}, 0, 0, "2")
	m, err := f.s.Mail(t.Context(), repository.Ref{URL: urlB, Key: "2"})
	f.must(err)
	if m.State == "old" {
		t.Error("the mail in the target was not replaced")
	}
	n, err = f.s.MoveMails(t.Context(), urlA, urlB, nil)
	f.must(err)
	f.wantKeys(urlB, repository.MailFilter{}, 0, 0, "2 1 3")
	f.wantMails(urlA, 0)
	if n != 2 {
		t.Errorf("moved %d mails, want 2", n)
	}
	n, err = f.s.MoveMails(t.Context(), urlB, urlB, nil)
	f.must(err)
	f.wantMails(urlB, 3)
	if n != 0 {
		t.Errorf("moved %d mails to where they are", n)
	}
}

func clears(t *testing.T, f *fixture) {
	_, err := f.s.ClearRepository(t.Context(), urlA, nil)
	f.wantErr(err, repository.ErrNotFound)
	for i := range 1100 {
		f.s.CommitAsync(repository.Change{Entries: []container.Entry{{Mail: newMail(fmt.Sprint(i)), Repository: urlA.String()}}}, nil)
	}
	f.store(urlB, newMail("stays"))
	calls := 0
	n, err := f.s.ClearRepository(t.Context(), urlA, func(int64) { calls++ })
	f.must(err)
	if n != 1100 || calls < 2 {
		t.Errorf("removed %d in %d portions, want 1100 in at least 2", n, calls)
	}
	f.wantMails(urlA, 0)
	f.wantMails(urlB, 1)
	n, err = f.s.ClearRepository(t.Context(), urlA, nil)
	f.must(err)
	if n != 0 {
		t.Errorf("removed %d from an empty repository", n)
	}
}

// sharedContent: mails over one message, some with another header, go one after
// the other, and what is left stays whole.
func sharedContent(t *testing.T, f *fixture) {
	for _, size := range []int{5000, 300_000} {
		data := bytes.Repeat([]byte{'x'}, size)
		m := newMail("m")
		m.Message = container.NewMessage([]byte("Subject: first\r\n"), f.newBody(data))
		f.must(f.s.Commit(t.Context(), repository.Change{Entries: []container.Entry{{Mail: m, Queue: "spool"}}}))
		it := f.leaseOne("spool")
		edited, again := it.Mail.Clone(), it.Mail.Clone()
		edited.Message.SetHeader([]byte("Subject: second\r\n"))
		f.must(f.s.Commit(t.Context(), repository.Change{Done: it, Entries: []container.Entry{
			{Mail: edited, Queue: "q"}, {Mail: again, Queue: "q"}, {Mail: it.Mail, Repository: urlA.String()}, {Mail: edited.Clone(), Repository: urlB.String()}}}))
		l := f.lease("q", 2)
		if len(l.Items) != 2 {
			t.Fatalf("got %d items, want 2", len(l.Items))
		}
		f.done(l.Items[1])
		f.must(f.s.Commit(t.Context(), repository.Change{From: &repository.Ref{URL: urlA, Key: "m"}}))
		third := l.Items[0].Mail
		third.Message.SetHeader([]byte("Subject: third\r\n"))
		f.must(f.s.Commit(t.Context(), repository.Change{Done: l.Items[0], Entries: []container.Entry{{Mail: third, Queue: "q", Delay: -1}}}))
		_, err := f.s.ClearRepository(t.Context(), urlB, nil)
		f.must(err)
		left := f.leaseOne("q")
		if got := f.content(&left.Mail.Message); got != "Subject: third\r\n\r\n"+string(data) {
			t.Errorf("got a message of %d octets beginning with %.40q", len(got), got)
		}
		f.done(left)
	}
}
