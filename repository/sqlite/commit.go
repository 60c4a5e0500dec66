package sqlite

import (
	"fmt"
	"math"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// change is a repository.Change, made ready for the writer.
type change struct {
	done    *repository.Item
	from    *repository.Ref
	entries []entry
	size    int // octets, roughly
}

// entry is one entry of a change.
type entry struct {
	mail        *container.Mail
	row         mailRow
	queue       string
	destination string
	delay       time.Duration
	url         repository.URL
	key         bodyKey
	content     container.Body // nil when the message remembers its row
}

// prepare does, in the goroutine of whoever asks, what needs no transaction:
// mails become text, bodies become what the writer can store.
func (s *Store) prepare(c repository.Change) (*change, error) {
	if c.Done == nil && c.From == nil && len(c.Entries) > 0 {
		if err := s.room.check(); err != nil {
			return nil, err
		}
	}
	ch := &change{done: c.Done, from: c.From, entries: make([]entry, len(c.Entries))}
	for i, in := range c.Entries {
		if err := s.prepareEntry(ch, i, in); err != nil {
			return nil, err
		}
	}
	return ch, nil
}

func (s *Store) prepareEntry(ch *change, i int, in container.Entry) (err error) {
	e := &ch.entries[i]
	e.mail, e.queue, e.destination, e.delay = in.Mail, in.Queue, in.Destination, in.Delay
	if e.row, err = encodeMail(in.Mail); err != nil {
		return err
	}
	if e.queue == "" {
		if e.url, err = repository.ParseURL(in.Repository); err != nil {
			return fmt.Errorf("store %s: %w", in.Mail.Name, err)
		}
	}
	body := in.Mail.Message.Body()
	e.key = keyOf(body)
	ch.size += len(in.Mail.Message.Header()) + 1024
	if s.refOf(&in.Mail.Message) != nil {
		return nil
	}
	for _, other := range ch.entries[:i] {
		if other.content != nil && other.key == e.key && e.key != (bodyKey{}) {
			e.content = other.content
			return nil
		}
	}
	if e.content, err = s.native(body); err != nil {
		return fmt.Errorf("store %s: %w", in.Mail.Name, err)
	}
	if b, ok := e.content.(container.BytesBody); ok {
		ch.size += len(b)
	}
	return nil
}

// applyChange is the transaction of one step in the life of mails.
func (w *writer) applyChange(c *change) error {
	w.scratch.seen = w.scratch.seen[:0]
	w.scratch.release = w.scratch.release[:0]
	var done *lease
	if c.done != nil {
		done = w.leased[c.done.ID]
		if done == nil || done.item != c.done || done.gone {
			return fmt.Errorf("item %d of queue %s: %w", c.done.ID, c.done.Queue, repository.ErrNotLeased)
		}
	}
	if c.from != nil {
		if err := w.takeFrom(c); err != nil {
			return err
		}
	}
	heir := w.heir(c, done)
	for i := range c.entries {
		e := &c.entries[i]
		ref, err := w.messageRow(e, done)
		if err != nil {
			return err
		}
		switch {
		case e.queue == "":
			err = w.putMail(e, ref)
		default:
			err = w.putItem(e, ref, done, i == heir)
		}
		if err != nil {
			return err
		}
	}
	if done != nil {
		if err := w.finish(done, heir >= 0); err != nil {
			return err
		}
	}
	for _, row := range w.scratch.release {
		if err := w.releaseMessage(row); err != nil {
			return err
		}
	}
	return nil
}

// heir returns the index of the entry that takes over the row of the item that
// is done with: one with the very same message; -1 for none.
func (w *writer) heir(c *change, done *lease) int {
	if done == nil {
		return -1
	}
	for i := range c.entries {
		e := &c.entries[i]
		if ref := w.s.refOf(&e.mail.Message); e.queue != "" && ref != nil && ref.row == done.message {
			return i
		}
	}
	return -1
}

// finish ends a lease: its row is removed, unless an entry took it over.
func (w *writer) finish(l *lease, inherited bool) error {
	if !inherited {
		n, err := w.write(stDeleteItem, l.id)
		if err != nil {
			return fmt.Errorf("remove item %d: %w", l.id, err)
		}
		if n == 0 {
			return fmt.Errorf("item %d: %w", l.id, repository.ErrNotLeased)
		}
		w.scratch.release = append(w.scratch.release, l.message)
	}
	w.endLease(l)
	return nil
}

// endLease forgets a lease, once the transaction is committed.
func (w *writer) endLease(l *lease) {
	l.gone = true
	w.undo = append(w.undo, func() { l.gone = false })
	w.after = append(w.after, func() {
		w.used -= l.cost
		if w.leased[l.id] == l {
			delete(w.leased, l.id)
		}
	})
}

// putItem adds an item to a queue: ready or delayed, or leased when the queue's
// consumer takes it at once. done is the lease that ends with it, or nil; an heir
// takes over its row.
func (w *writer) putItem(e *entry, ref *storedRef, done *lease, heir bool) error {
	q, err := w.queue(e.queue)
	if err != nil {
		return err
	}
	now := w.clock()
	since := entered(e, done, now)
	state, readyAt := int64(stateReady), now
	switch {
	case e.delay > 0:
		now = w.times.now() // so that the delay shows in the row
		state, readyAt = stateDelayed, addDelay(now, e.delay)
	case w.reserve(q, e):
		state = stateLeased
	}
	r := &e.row
	var id int64
	if heir {
		id = done.id
		var n int64
		n, err = w.write(stTakeOverItem, e.queue, e.destination, r.priority, state, readyAt, now, since, r.id, r.name, r.sender, r.recipients,
			r.state, r.error, r.remoteHost, r.remote, r.updated, r.attributes, r.recipientHeaders, id)
		if err == nil && n == 0 {
			err = repository.ErrNotLeased
		}
	} else {
		w.lastItem++
		id = w.lastItem
		_, err = w.write(stInsertItem, e.queue, e.destination, r.priority, state, readyAt, now, since, ref.row, r.id, r.name, r.sender, r.recipients,
			r.state, r.error, r.remoteHost, r.remote, r.updated, r.attributes, r.recipientHeaders, id)
	}
	if err != nil {
		return fmt.Errorf("put %s into queue %s: %w", r.name, e.queue, err)
	}
	w.mark(e.mail, ref)
	switch state {
	case stateLeased:
		w.handOver(q, e, ref, id, now, since)
	case stateReady:
		q.backlog.add(e.destination)
		w.wakes[e.queue] = true
	case stateDelayed:
		if q.next == 0 || readyAt < q.next {
			w.wakes[e.queue] = true
		}
	}
	return nil
}

// entered returns since when the mail of e is in its queue: one that is put back
// there, all of it or a part, since it came there first.
func entered(e *entry, done *lease, now int64) int64 {
	if done != nil && done.queue.name == e.queue && done.item.Mail.ID == e.row.id {
		return done.since
	}
	return now
}

// mark lets the message remember its row, once that is committed.
func (w *writer) mark(m *container.Mail, ref *storedRef) {
	if old := w.s.refOf(&m.Message); old != nil && *old == *ref {
		return
	}
	w.after = append(w.after, func() { m.Message.MarkStored(ref) })
}

// addDelay returns now+d; the far future when that cannot be said.
func addDelay(now int64, d time.Duration) int64 {
	if int64(d) > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + int64(d)
}

// putMail stores a mail in a repository, in place of one with the same key.
func (w *writer) putMail(e *entry, ref *storedRef) error {
	id, err := w.repository(e.url)
	if err != nil {
		return err
	}
	if err := w.replace(id, e.row.name, e.url); err != nil {
		return err
	}
	r := &e.row
	w.lastMail++
	_, err = w.write(stInsertMail, id, r.name, ref.row, r.id, r.name, r.sender, r.recipients, r.state, r.error, r.remoteHost, r.remote,
		r.updated, r.attributes, r.recipientHeaders, w.lastMail)
	if err != nil {
		return fmt.Errorf("put %s into repository %s: %w", r.name, e.url, err)
	}
	w.mark(e.mail, ref)
	return nil
}

// replace removes the mail of a key, to make room for another one.
func (w *writer) replace(repo int64, key string, u repository.URL) error {
	row, ok, err := w.st[stFindMail].one(repo, key)
	if err != nil || !ok {
		return err
	}
	id, message := asInt(row[0]), asInt(row[1])
	if _, err := w.write(stDeleteMail, id); err != nil {
		return fmt.Errorf("replace %s in repository %s: %w", key, u, err)
	}
	w.scratch.release = append(w.scratch.release, message)
	w.after = append(w.after, func() {
		w.log.Warn("mail in repository replaced by another of the same name", "mail", key, "repository", u.String())
	})
	return nil
}

// takeFrom takes the mail of c.from out of its repository. When an entry was
// made of a mail that has been replaced since, it is not there any more.
func (w *writer) takeFrom(c *change) error {
	gone := func() error {
		return fmt.Errorf("mail %s in repository %s: %w", c.from.Key, c.from.URL, repository.ErrNotFound)
	}
	repo, ok, err := w.findRepository(c.from.URL)
	if err != nil {
		return err
	}
	if !ok {
		return gone()
	}
	row, ok, err := w.st[stFindMail].one(repo, c.from.Key)
	if err != nil {
		return err
	}
	if !ok {
		return gone()
	}
	id, message := asInt(row[0]), asInt(row[1])
	for i := range c.entries {
		if ref := w.s.refOf(&c.entries[i].mail.Message); ref != nil && ref.mail != 0 && ref.mail != id {
			return gone()
		}
	}
	if _, err := w.write(stDeleteMail, id); err != nil {
		return fmt.Errorf("take %s out of repository %s: %w", c.from.Key, c.from.URL, err)
	}
	w.scratch.release = append(w.scratch.release, message)
	return nil
}

// queue returns the state of a queue, which is created if it is new: a mail for
// a queue that nobody created is kept, not refused.
func (w *writer) queue(name string) (*queueState, error) {
	if q := w.known[name]; q != nil && q.created {
		return q, nil
	}
	if _, err := w.write(stInsertQueue, name); err != nil {
		return nil, fmt.Errorf("create queue %s: %w", name, err)
	}
	q := w.known[name]
	if q == nil {
		q = newQueueState(name)
		w.known[name] = q
	}
	w.after = append(w.after, func() { q.created = true })
	return q, nil
}

// repository returns the id of a repository, which is created if it is new.
func (w *writer) repository(u repository.URL) (int64, error) {
	id, ok, err := w.findRepository(u)
	if err != nil || ok {
		return id, err
	}
	if _, err := w.write(stInsertRepository, u.Protocol, repository.CleanPath(u.Path)); err != nil {
		return 0, fmt.Errorf("create repository %s: %w", u, err)
	}
	id, _, err = w.findRepository(u)
	return id, err
}

// findRepository returns the id of a repository. Ids that are looked up in this
// transaction are remembered behind the commit: it may have made them.
func (w *writer) findRepository(u repository.URL) (id int64, ok bool, err error) {
	u.Path = repository.CleanPath(u.Path)
	if id, ok := w.urls[u]; ok {
		return id, true, nil
	}
	row, ok, err := w.st[stFindRepository].one(u.Protocol, u.Path)
	if err != nil || !ok {
		return 0, false, err
	}
	id = asInt(row[0])
	w.after = append(w.after, func() { w.urls[u] = id })
	return id, true, nil
}
