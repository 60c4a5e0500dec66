package container

import "time"

// Entry is one thing that shall become of a mail: an item of a queue, or a mail
// in a repository.
type Entry struct {
	Mail        *Mail
	Queue       string        // name of the queue, "" for a repository entry
	Repository  string        // URL of the repository, "" for a queue entry
	Destination string        // queue: what the scheduler groups by, such as a domain
	Delay       time.Duration // queue: not before this time has passed
}

// Outbox collects what mailets want to come of the mail they serve. Nothing on
// disk moves until the whole run is over; then one transaction applies all of
// it and takes the mail off the spool. A mailet's test reads from it what the
// mailet did.
//
// When a mailet returns an error, what it wrote during that call is dropped.
// An Outbox is used by one goroutine.
type Outbox struct {
	entries []Entry
	forks   []*Mail
}

// Fork makes m go on beside the mail that the mailet serves: behind the mailet in
// the processor that is at work, or at the beginning of another one that m.State
// names. It is for a mailet that gives some recipients a message of their own; m
// is a copy of the mail, such as CloneFor makes, under a derived name.
func (o *Outbox) Fork(m *Mail) { o.forks = append(o.forks, m) }

// TakeForks returns what was forked since the last call. It is for the engine.
func (o *Outbox) TakeForks() []*Mail {
	forks := o.forks
	o.forks = nil
	return forks
}

// Send puts m into the spool, to be processed from m.State on, and marks it as
// sent by a mailet (attribute org.apache.james.SentByMailet). m must not be
// changed afterwards; pass m.Clone() to keep on using it.
//
// Source: MailetContext.sendMail.
func (o *Outbox) Send(m *Mail) { o.SendDelayed(m, 0) }

// SendDelayed is Send, not before delay has passed.
func (o *Outbox) SendDelayed(m *Mail, delay time.Duration) {
	m.Set(AttrSentByMailet, true)
	o.entries = append(o.entries, Entry{Mail: m, Queue: SpoolQueue, Delay: delay})
}

// Enqueue puts m into a queue, for destination. m must not be changed
// afterwards.
func (o *Outbox) Enqueue(queue, destination string, m *Mail, delay time.Duration) {
	o.entries = append(o.entries, Entry{Mail: m, Queue: queue, Destination: destination, Delay: delay})
}

// Store puts m into the repository at url, under its name; a mail of that name
// is replaced. m must not be changed afterwards.
func (o *Outbox) Store(url string, m *Mail) {
	o.entries = append(o.entries, Entry{Mail: m, Repository: url})
}

// Entries returns what was collected, in order.
func (o *Outbox) Entries() []Entry { return o.entries }

// Len returns the number of entries, for Truncate.
func (o *Outbox) Len() int { return len(o.entries) }

// Truncate drops the entries from the n-th on.
func (o *Outbox) Truncate(n int) { o.entries = o.entries[:n] }
