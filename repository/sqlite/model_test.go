package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// modelMail is a mail of which the store must think the same.
type modelMail struct {
	name, content string
	queue         string // "" in a repository
	repo          string
	state         int64
	due           time.Time // of a delayed one
	priority      int
	item          *repository.Item // of a leased one
	started       bool
}

// model drives a store and a list of mails side by side.
type model struct {
	t      *testing.T
	s      *Store
	dir    string
	now    time.Time
	mails  []*modelMail
	script []byte
	next   int // number of the next mail
	taker  *greedy
	taken  int // items of taker that are in mails
}

var (
	modelQueues = []string{"spool", "out", "back"}
	modelRepos  = []string{"file://var/mail/error", "memory://var/mail/error"}
)

// arg returns the next number of the script, below n.
func (m *model) arg(n int) int {
	if len(m.script) == 0 {
		return 0
	}
	b := int(m.script[0])
	m.script = m.script[1:]
	return b % n
}

func (m *model) open() {
	var err error
	m.s, err = Open(m.dir, Options{Logger: quiet(), Now: func() time.Time { return m.now }, MemoryBudget: 4000})
	must(m.t, err)
	for _, q := range modelQueues {
		must(m.t, m.s.CreateQueue(context.Background(), q))
	}
	for _, r := range modelRepos {
		must(m.t, m.s.CreateRepository(context.Background(), repoURL(m.t, r)))
	}
	m.taker, m.taken = &greedy{}, 0
}

func repoURL(t *testing.T, s string) repository.URL {
	u, err := repository.ParseURL(s)
	must(t, err)
	return u
}

func (m *model) text(msg *container.Message) string {
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		m.t.Errorf("read message: %v", err)
	}
	return b.String()
}

// which returns the mails that ok says yes to.
func (m *model) which(ok func(*modelMail) bool) []*modelMail {
	var out []*modelMail
	for _, x := range m.mails {
		if ok(x) {
			out = append(out, x)
		}
	}
	return out
}

func (m *model) in(queue string, state int64) []*modelMail {
	return m.which(func(x *modelMail) bool { return x.queue == queue && x.state == state })
}

func (m *model) held() []*modelMail {
	return m.which(func(x *modelMail) bool { return x.item != nil })
}

func (m *model) drop(gone ...*modelMail) {
	m.mails = slices.DeleteFunc(m.mails, func(x *modelMail) bool { return slices.Contains(gone, x) })
}

// fresh makes a message that the store has not seen.
func (m *model) fresh() container.Message {
	size := []int{0, 1, 3000, 10_000, 140_000}[m.arg(5)]
	w := m.s.NewBody()
	_, err := w.Write(bytes.Repeat([]byte{byte('a' + m.next%26)}, size))
	must(m.t, err)
	b, err := w.Finish()
	must(m.t, err)
	return container.NewMessage(fmt.Appendf(nil, "Subject: %d\r\n", m.next), b)
}

// entry makes an entry with msg, and what the model thinks will come of it.
func (m *model) entry(msg container.Message) (container.Entry, *modelMail) {
	m.next++
	mail := testMail(fmt.Sprintf("m%d", m.next), nil)
	mail.Message = msg
	if m.arg(3) == 0 {
		mail.Message.SetHeader(fmt.Appendf(nil, "Subject: edited %d\r\n", m.next))
	}
	x := &modelMail{name: mail.Name, content: m.text(&mail.Message)}
	if to := m.arg(5); to >= len(modelQueues) {
		x.repo = modelRepos[to-len(modelQueues)]
		if there := m.which(func(y *modelMail) bool { return y.repo == x.repo }); len(there) > 0 && m.arg(4) == 0 {
			mail.Name, x.name = there[0].name, there[0].name // takes its place
		}
		return container.Entry{Mail: mail, Repository: x.repo}, x
	} else {
		x.queue = modelQueues[to]
	}
	x.priority = m.arg(3) - 1
	mail.Set(container.AttrPriority, int32(x.priority))
	delay := []time.Duration{0, 0, -1, 10 * time.Second, math.MaxInt64}[m.arg(5)]
	if delay > 0 {
		x.state, x.due = stateDelayed, time.Unix(0, addDelay(m.now.UnixNano(), delay))
	}
	return container.Entry{Mail: mail, Queue: x.queue, Destination: string(rune('a' + m.arg(3))), Delay: delay}, x
}

// commit applies a change to both, or, when commits are refused, to neither.
func (m *model) commit(c repository.Change, gone []*modelMail, come []*modelMail) {
	refused := m.arg(6) == 0
	if refused {
		refuseCommits(m.s, true)
	}
	err := m.s.Commit(context.Background(), c)
	if refused {
		if err == nil {
			m.t.Error("a refused commit went through")
		}
		refuseCommits(m.s, false)
		return
	}
	must(m.t, err)
	m.drop(gone...)
	for _, x := range come {
		if x.repo != "" {
			m.drop(m.which(func(y *modelMail) bool { return y.repo == x.repo && y.name == x.name })...)
		}
		m.mails = append(m.mails, x)
	}
}

// change commits up to three entries over msg, and the end of gone.
func (m *model) change(c repository.Change, msg container.Message, gone ...*modelMail) {
	var come []*modelMail
	for range m.arg(4) {
		e, x := m.entry(msg)
		c.Entries = append(c.Entries, e)
		come = append(come, x)
	}
	m.commit(c, gone, come)
}

// takeIn notes what was handed over.
func (m *model) takeIn() {
	must(m.t, m.s.do(context.Background(), func(*writer) error { return nil }))
	m.taker.mu.Lock()
	defer m.taker.mu.Unlock()
	for _, it := range m.taker.items[m.taken:] {
		m.hold(it, stateReady)
	}
	m.taken = len(m.taker.items)
	if m.taker.reserved != m.taken {
		m.t.Errorf("%d places are reserved, %d items were handed over", m.taker.reserved, m.taken)
	}
}

// hold notes that an item is leased, which must have been in one of the states.
func (m *model) hold(it *repository.Item, states ...int64) {
	for _, x := range m.mails {
		if x.queue == it.Queue && x.name == it.Mail.Name {
			if !slices.Contains(states, x.state) {
				m.t.Errorf("%s was leased in state %d", x.name, x.state)
			}
			if got := m.text(&it.Mail.Message); got != x.content {
				m.t.Errorf("%s has %d octets, want %d: %.40q, want %.40q", x.name, len(got), len(x.content), got, x.content)
			}
			x.state, x.item, x.started = stateLeased, it, false
			return
		}
	}
	m.t.Errorf("leased %s from %s, which is not there", it.Mail.Name, it.Queue)
}

func (m *model) lease(queue string, limit int) {
	for _, x := range m.in(queue, stateDelayed) {
		if !x.due.After(m.now) {
			x.state = stateReady
		}
	}
	ready := m.in(queue, stateReady)
	l, err := m.s.Lease(context.Background(), repository.LeaseRequest{Queue: queue, Limit: limit})
	must(m.t, err)
	if len(l.Items) != min(limit, len(ready)) {
		m.t.Errorf("leased %d items of %s, want %d of %d", len(l.Items), queue, limit, len(ready))
	}
	sort.SliceStable(ready, func(i, j int) bool { return ready[i].priority > ready[j].priority })
	for i, it := range l.Items {
		if it.Priority != ready[i].priority {
			m.t.Errorf("item %d of %s has priority %d, want %d", i, queue, it.Priority, ready[i].priority)
		}
		m.hold(it, stateReady)
	}
}

// remove lets an operator remove one mail of a queue, or all.
func (m *model) remove(queue string) {
	gone := m.which(func(x *modelMail) bool {
		return x.queue == queue && x.state != stateDead && !(x.item != nil && x.started)
	})
	var f repository.QueueFilter
	if len(gone) > 0 && m.arg(2) == 0 {
		gone = gone[:1]
		f.Name = &gone[0].name
	}
	n, err := m.s.RemoveFromQueue(context.Background(), queue, f, nil)
	must(m.t, err)
	if int(n) != len(gone) {
		m.t.Errorf("removed %d mails of %s, want %d", n, queue, len(gone))
	}
	m.drop(gone...)
}

// reopen ends the process, as it were, with everything in hand.
func (m *model) reopen() {
	must(m.t, m.s.Close(context.Background()))
	for _, x := range m.held() {
		x.state, x.item = stateReady, nil
	}
	m.open()
}

// step does one thing.
func (m *model) step() {
	ctx := context.Background()
	op, queue := m.arg(16), modelQueues[m.arg(len(modelQueues))]
	var one *modelMail // in hand
	if held := m.held(); len(held) > 0 {
		one = held[m.arg(len(held))]
	}
	switch op {
	case 0, 1, 2:
		m.change(repository.Change{}, m.fresh())
	case 3, 4:
		m.lease(queue, 1+m.arg(5))
	case 5, 6, 7:
		if one != nil {
			m.change(repository.Change{Done: one.item}, one.item.Mail.Message, one)
		}
	case 8:
		if one != nil {
			must(m.t, m.s.Release(ctx, []*repository.Item{one.item}))
			if err := m.s.Commit(ctx, repository.Change{Done: one.item}); !errors.Is(err, repository.ErrNotLeased) {
				m.t.Errorf("got error %v for a released item", err)
			}
			one.state, one.item = stateReady, nil
		}
	case 9:
		if one != nil {
			must(m.t, m.s.Bury(ctx, one.item, "buried"))
			one.state, one.item = stateDead, nil
		}
	case 10:
		if one != nil && !one.started {
			one.started = one.item.Start()
			if !one.started {
				m.t.Errorf("%s was cancelled", one.name)
			}
		}
	case 11:
		m.bulk(queue)
	case 12:
		m.remove(queue)
	case 13:
		m.now = m.now.Add(time.Duration(m.arg(9)-2) * time.Second) // backwards as well
	case 14:
		m.repositories()
	case 15:
		switch m.arg(3) {
		case 0:
			m.reopen()
		case 1:
			m.s.Consume(queue, m.taker)
		default:
			m.s.Consume(queue, nil)
		}
	}
	m.takeIn()
}

// bulk makes the delayed or the dead mails of a queue ready.
func (m *model) bulk(queue string) {
	state, do := int64(stateDelayed), m.s.FlushQueue
	if m.arg(2) == 0 {
		state, do = stateDead, m.s.Revive
	}
	list := m.in(queue, state)
	n, err := do(context.Background(), queue)
	must(m.t, err)
	if int(n) != len(list) {
		m.t.Errorf("%d mails of %s became ready, want %d", n, queue, len(list))
	}
	for _, x := range list {
		x.state = stateReady
	}
}

// repositories does something with mails that are stored.
func (m *model) repositories() {
	ctx := context.Background()
	i := m.arg(2)
	from, to := modelRepos[i], modelRepos[1-i]
	list := m.which(func(x *modelMail) bool { return x.repo == from })
	switch m.arg(4) {
	case 0:
		n, err := m.s.ClearRepository(ctx, repoURL(m.t, from), nil)
		must(m.t, err)
		if int(n) != len(list) {
			m.t.Errorf("cleared %d mails, want %d", n, len(list))
		}
		m.drop(list...)
	case 1:
		_, err := m.s.MoveMails(ctx, repoURL(m.t, from), repoURL(m.t, to), nil)
		must(m.t, err)
		for _, x := range list {
			m.drop(m.which(func(y *modelMail) bool { return y.repo == to && y.name == x.name })...)
			x.repo = to
		}
	default:
		if len(list) == 0 {
			return
		}
		one := list[m.arg(len(list))]
		ref := repository.Ref{URL: repoURL(m.t, from), Key: one.name}
		mail, err := m.s.Mail(ctx, ref)
		must(m.t, err)
		if got := m.text(&mail.Message); got != one.content {
			m.t.Errorf("%s has %d octets, want %d", one.name, len(got), len(one.content))
		}
		m.change(repository.Change{From: &ref}, mail.Message, one)
	}
}

// compare looks at everything.
func (m *model) compare() {
	ctx := context.Background()
	wantSound(m.t, m.s)
	dead, err := m.s.Dead(ctx)
	must(m.t, err)
	for _, q := range modelQueues {
		all := len(m.which(func(x *modelMail) bool { return x.queue == q && x.state != stateDead }))
		if n, err := m.s.QueueSize(ctx, q); err != nil || int(n) != all {
			m.t.Errorf("queue %s has size %d, %v; want %d", q, n, err, all)
		}
		if n := len(m.in(q, stateDead)); int(dead[q]) != n {
			m.t.Errorf("queue %s has %d dead items, want %d", q, dead[q], n)
		}
		var got, want []string
		must(m.t, m.s.BrowseQueue(ctx, q, repository.QueueFilter{}, 0, func(e repository.QueueEntry) error {
			got = append(got, e.Name)
			return nil
		}))
		for _, x := range append(m.in(q, stateReady), m.in(q, stateDelayed)...) {
			want = append(want, x.name)
		}
		m.same("queue "+q, got, want)
	}
	for _, r := range modelRepos {
		got, err := m.s.Keys(ctx, repoURL(m.t, r), repository.MailFilter{}, 0, 0)
		must(m.t, err)
		var want []string
		for _, x := range m.which(func(x *modelMail) bool { return x.repo == r }) {
			want = append(want, x.name)
			mail, err := m.s.Mail(ctx, repository.Ref{URL: repoURL(m.t, r), Key: x.name})
			must(m.t, err)
			if got := m.text(&mail.Message); got != x.content {
				m.t.Errorf("%s in %s has %d octets, want %d", x.name, r, len(got), len(x.content))
			}
		}
		m.same("repository "+r, got, want)
	}
	if st := m.s.Stats(); int(st.Leased) != len(m.held()) || st.Leased == 0 && st.Memory != 0 {
		m.t.Errorf("got %+v, want %d leased", st, len(m.held()))
	}
}

func (m *model) same(what string, got, want []string) {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		m.t.Errorf("%s has %s, want %s", what, strings.Join(got, " "), strings.Join(want, " "))
	}
}

// finish takes every mail out, and finds the store empty.
func (m *model) finish() {
	m.compare()
	m.reopen()
	m.compare()
	for _, q := range modelQueues {
		_, err := m.s.Revive(context.Background(), q)
		must(m.t, err)
		_, err = m.s.FlushQueue(context.Background(), q)
		must(m.t, err)
		for _, x := range m.which(func(x *modelMail) bool { return x.queue == q }) {
			x.state = stateReady
		}
		m.lease(q, 1000)
	}
	for _, x := range m.held() {
		must(m.t, m.s.Commit(context.Background(), repository.Change{Done: x.item}))
		m.drop(x)
	}
	for _, r := range modelRepos {
		_, err := m.s.ClearRepository(context.Background(), repoURL(m.t, r), nil)
		must(m.t, err)
	}
	wantEmpty(m.t, m.s)
}

// FuzzModel: whatever is done in whatever order, commits that fail and new
// starts included, the store holds what a simple list of mails holds, does not
// contradict itself, and is empty when the last mail is gone.
func FuzzModel(f *testing.F) {
	for seed := range 12 { // some scripts that are the same every time
		var script []byte
		for n, x := 0, uint32(seed+1); n < 400; n++ {
			x = x*1664525 + 1013904223
			script = append(script, byte(x>>24))
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		m := &model{t: t, dir: t.TempDir(), now: time.Unix(1_800_000_000, 0), script: script[:min(len(script), 1000)]}
		m.open()
		defer func() { must(t, m.s.Close(context.Background())) }()
		for i := 0; len(m.script) > 0 && !t.Failed(); i++ {
			m.step()
			if i%10 == 0 {
				m.compare()
			}
		}
		m.finish()
	})
}
