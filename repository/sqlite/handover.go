package sqlite

import (
	"context"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// queueState is what the writer knows of a queue besides its rows.
type queueState struct {
	name     string
	created  bool // it has its row in table queue
	consumer repository.Consumer
	grouped  bool  // its consumer leases destination by destination
	next     int64 // when the next delayed item becomes ready, as a Lease said last; 0: never
	backlog  backlog
}

func newQueueState(name string) *queueState {
	return &queueState{name: name, backlog: backlog{destinations: map[string]bool{}}}
}

// backlog knows for which destinations of a queue ready items may be waiting in
// the database. New ones must not be handed over past them. When there are
// too many destinations, it only knows that there is something.
type backlog struct {
	destinations map[string]bool
	all          bool
	marks        int64 // counts additions, for whoever wants to clear
}

const backlogMax = 10000

func (b *backlog) add(destination string) {
	b.marks++
	if b.all || b.destinations[destination] {
		return
	}
	if len(b.destinations) >= backlogMax {
		b.all = true
		clear(b.destinations)
		return
	}
	b.destinations[destination] = true
}

func (b *backlog) clear() {
	b.all = false
	clear(b.destinations)
}

// blocks reports whether a new item of destination has to wait behind others.
// In a queue without grouping anything that waits comes first.
func (b *backlog) blocks(destination string, grouped bool) bool {
	return b.all || len(b.destinations) > 0 && (!grouped || b.destinations[destination])
}

// lease is an item in the hands of this process.
type lease struct {
	id        int64
	item      *repository.Item
	queue     *queueState
	since     int64   // when it entered its queue
	message   int64   // its row
	body      int64   // the row with its body
	key       bodyKey // of the body in memory
	cost      int64   // octets in memory, out of the budget
	cancelled bool    // Item.Cancel said yes
	gone      bool    // the transaction that is being made ends it
}

// maxHandOver is the largest header that is handed over in memory. The body can
// be left in the database, the header cannot.
const maxHandOver = 256 << 10

// reserve asks the consumer of q for a place for e.
func (w *writer) reserve(q *queueState, e *entry) bool {
	if q.consumer == nil || q.backlog.blocks(e.destination, q.grouped) || len(e.mail.Message.Header()) > maxHandOver {
		return false
	}
	consumer := q.consumer
	if !consumer.Reserve(e.destination) {
		return false
	}
	w.undo = append(w.undo, func() { consumer.Unreserve(e.destination) })
	return true
}

// handOver gives the item that is being stored as id to the consumer, behind
// the commit.
func (w *writer) handOver(q *queueState, e *entry, ref *storedRef, id, now, since int64) {
	item := &repository.Item{
		ID: id, Queue: q.name, Destination: e.destination, Priority: int(e.row.priority),
		Enqueued: w.times.wall(since), ReadyAt: w.times.wall(now),
	}
	mail := e.mail
	for _, a := range w.accepts {
		if a.mail == mail { // one mail in two queues: each consumer gets its own
			mail = mail.Clone()
			break
		}
	}
	consumer := q.consumer
	w.accepts = append(w.accepts, accept{consumer: consumer, item: item, mail: e.mail})
	w.after = append(w.after, func() {
		l := &lease{id: id, item: item, queue: q, since: since, message: ref.row, body: ref.body}
		item.Mail = w.fitBudget(mail, e.content, ref, l)
		w.leased[id] = l
	})
}

// fitBudget returns m as it is handed over: as it is while the budget lasts,
// else with its body left in the store. content is what was stored of it now.
func (w *writer) fitBudget(m *container.Mail, content container.Body, ref *storedRef, l *lease) *container.Mail {
	m = withStored(m, content)
	l.cost = int64(len(m.Message.Header()))
	l.key = keyOf(m.Message.Body())
	m.Message.MarkStored(ref)
	if data, ok := m.Message.Body().(container.BytesBody); ok {
		file, inFile := content.(*fileBody)
		var elsewhere container.Body
		switch {
		case w.used+l.cost+int64(len(data)) <= w.budget:
		case inFile && file.row.Load() == ref.body:
			elsewhere = file
		case len(data) <= inlineLimit:
			elsewhere = w.s.storedBody(ref.body, int64(len(data)), "")
		}
		if elsewhere == nil {
			l.cost += int64(len(data))
		} else {
			lean := *m
			lean.Message = container.NewMessage(m.Message.Header(), elsewhere)
			lean.Message.MarkStored(ref)
			m, l.key = &lean, bodyKey{}
		}
	}
	w.used += l.cost
	return m
}

// withStored returns m with what was stored of its body, when a mailet made that
// over another body: the other may leave the store with the mail it belonged to.
func withStored(m *container.Mail, content container.Body) *container.Mail {
	body := m.Message.Body()
	if _, inMemory := body.(container.BytesBody); inMemory || content == nil || body == content {
		return m
	}
	stored := *m
	stored.Message = container.NewMessage(m.Message.Header(), content)
	return &stored
}

// CreateQueue makes a queue known; one that exists is left alone.
func (s *Store) CreateQueue(ctx context.Context, name string) error {
	return s.do(ctx, func(w *writer) error {
		_, err := w.queue(name)
		return err
	})
}

// Consume registers c as the consumer of a queue in this process, nil for none.
// When it returns, the one before is not called any more; that holds also while
// nothing can be committed. It must not be called from a Consumer.
func (s *Store) Consume(queue string, c repository.Consumer) {
	register := &operation{result: make(chan error, 1), fn: func(*writer) error { return nil }}
	register.always = func() {
		q := s.w.known[queue]
		if q == nil {
			q = newQueueState(queue)
			s.w.known[queue] = q
		}
		q.consumer, q.grouped = c, false
		if c != nil {
			s.w.wakes[queue] = true
		}
	}
	if s.send(context.Background(), register) != nil {
		return // the store is closed: nobody is called any more anyway
	}
	<-register.result
	// The items that this group hands over reach their consumer behind the
	// answers; those of the next group do not reach the one before any more. Only
	// the order counts: it is kept by a commit that fails, too.
	_ = s.do(context.Background(), func(*writer) error { return nil })
}
