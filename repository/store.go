package repository

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/container"
)

// Errors that callers branch on.
var (
	ErrNotFound  = errors.New("not found")
	ErrNotLeased = errors.New("item is not leased any more")
	ErrClosed    = errors.New("store is closed")
)

// Item is a mail in a queue.
type Item struct {
	ID          int64
	Queue       string
	Destination string // what the scheduler of the queue groups by
	Priority    int
	Attempts    int       // how often it was leased before, by processes that did not finish it
	Enqueued    time.Time // when it entered this queue, however often it was put off since
	ReadyAt     time.Time
	Mail        *container.Mail

	phase atomic.Int32
}

const (
	phaseWaiting = iota
	phaseStarted
	phaseCancelled
)

// Start tells that work on a leased item begins. It returns false when the item
// was removed from the queue meanwhile: then the holder just forgets it.
func (it *Item) Start() bool {
	return it.phase.CompareAndSwap(phaseWaiting, phaseStarted)
}

// Cancel is for stores: it takes an item that is leased, but on which no work
// has begun, away from its holder.
func (it *Item) Cancel() bool {
	return it.phase.CompareAndSwap(phaseWaiting, phaseCancelled)
}

// Ref names a mail in a repository.
type Ref struct {
	URL URL
	Key string
}

// Change is one step in the life of mails: all of it happens, or nothing.
type Change struct {
	Done    *Item // a leased item that is over with; nil for none
	From    *Ref  // a repository mail to take away; nil for none
	Entries []container.Entry
}

// BodyWriter takes in the body of a message as it arrives. Small bodies stay in
// memory, large ones go to a file of the store. Finish returns it, durable as
// soon as a Change with it is committed; Abort throws it away. One of the two
// must be called; Abort after Finish does nothing.
type BodyWriter interface {
	io.Writer
	Finish() (container.Body, error)
	Abort()
}

// Consumer is the part of this process that empties a queue. The store calls it
// from its writer: none of the methods may block or call the store.
type Consumer interface {
	// Reserve asks for a place for one more item of destination. If it says yes
	// the item is born leased and handed over with Accept after the commit, or
	// given back with Unreserve.
	Reserve(destination string) bool
	Unreserve(destination string)
	Accept(it *Item)
	// Wake tells that an item may have become ready. It is a hint.
	Wake()
}

// LeaseRequest asks for ready items of a queue.
type LeaseRequest struct {
	Queue string
	Limit int
	// PerDestination, when not nil, tells how many more items of a destination
	// may be leased; destinations are then taken in turn, beginning behind
	// After. When nil, items come in order of priority and age. It must not
	// block or call the store.
	PerDestination func(destination string) int
	After          string
}

// Lease is the answer to a LeaseRequest.
type Lease struct {
	Items []*Item
	// More tells that there may be further ready items.
	More bool
	// Next is when the next delayed item becomes ready; zero when there is none.
	Next time.Time
}

// Queues is what the processing side needs of a store. All methods may be
// called by several goroutines at once.
type Queues interface {
	NewBody() BodyWriter
	// Commit applies c durably before it returns.
	Commit(ctx context.Context, c Change) error
	// CommitAsync applies c in the order of the calls and reports the result to
	// done, which must not block.
	CommitAsync(c Change, done func(error))
	CreateQueue(ctx context.Context, name string) error
	// Consume registers the consumer of a queue in this process; nil ends it.
	Consume(queue string, c Consumer)
	Lease(ctx context.Context, r LeaseRequest) (Lease, error)
	// Release gives leased items back unchanged.
	Release(ctx context.Context, items []*Item) error
	// Bury sets a leased item aside as dead.
	Bury(ctx context.Context, it *Item, reason string) error
}

// QueueEntry is one line of a queue listing.
type QueueEntry struct {
	ID         int64
	Name       string
	Sender     container.Address
	Recipients []container.Address
	Next       time.Time // zero when it is ready
}

// QueueAdmin is what an operator does with queues.
type QueueAdmin interface {
	Queues(ctx context.Context) ([]string, error)
	// QueueSize counts waiting, delayed and leased items; ErrNotFound for a
	// queue that was never created.
	QueueSize(ctx context.Context, queue string) (int64, error)
	// BrowseQueue lists items in order of readiness. After is the position behind
	// which to begin (nil for the start); limit 0 means all.
	BrowseQueue(ctx context.Context, queue string, f QueueFilter, limit int, visit func(QueueEntry) error) error
	// FlushQueue makes all delayed items ready and returns their number.
	FlushQueue(ctx context.Context, queue string) (int64, error)
	// RemoveFromQueue removes the items that f selects, except those that are being
	// worked on, in portions; progress is told the number removed so far. What
	// enters the queue behind the call stays, what is put off again does not.
	RemoveFromQueue(ctx context.Context, queue string, f QueueFilter, progress func(int64)) (int64, error)
}

// Repositories is what an operator does with mail repositories. Mails come and
// go by Queues.Commit.
type Repositories interface {
	// CreateRepository registers a repository; one that exists is left alone.
	CreateRepository(ctx context.Context, u URL) error
	// Repositories lists all, sorted by path and protocol.
	Repositories(ctx context.Context) ([]URL, error)
	RepositorySize(ctx context.Context, u URL) (int64, error)
	// Keys lists the keys in order of arrival; limit 0 means all.
	Keys(ctx context.Context, u URL, f MailFilter, offset, limit int) ([]string, error)
	// KeysAfter pages through all keys: at most limit keys behind the cursor,
	// and the cursor for the next call. Mails that arrive behind the first
	// call's until (0: now) are not seen.
	KeysAfter(ctx context.Context, u URL, cursor, until int64, limit int) (keys []string, next, last int64, err error)
	// Mail returns a mail of its own; ErrNotFound.
	Mail(ctx context.Context, ref Ref) (*container.Mail, error)
	// ClearRepository removes all mails in portions.
	ClearRepository(ctx context.Context, u URL, progress func(int64)) (int64, error)
	// MoveMails moves mails with the same keys; nil keys means all. It returns
	// how many were moved.
	MoveMails(ctx context.Context, from, to URL, keys []string) (int64, error)
}
