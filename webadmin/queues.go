package webadmin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

func (s *Server) queueRoutes(rt *router) {
	rt.handle(http.MethodGet, "/mailQueues", s.getQueues)
	rt.handle(http.MethodGet, "/mailQueues/{queue}", s.getQueue)
	rt.handle(http.MethodPatch, "/mailQueues/{queue}", s.flushQueue) // the manual's form
	rt.handle(http.MethodGet, "/mailQueues/{queue}/mails", s.getQueueMails)
	rt.handle(http.MethodDelete, "/mailQueues/{queue}/mails", s.deleteQueueMails)
	rt.handle(http.MethodPatch, "/mailQueues/{queue}/mails", s.flushQueue)
}

func (s *Server) getQueues(w http.ResponseWriter, r *http.Request) error {
	names, err := s.deps.Queues.Queues(r.Context())
	if err != nil {
		return err
	}
	if names == nil {
		names = []string{}
	}
	return ok(w, names)
}

// queueMissing is James's text, the Java rendering of a name included.
func queueMissing(name string) *apiError {
	return notFound("MailQueueName{value=%s} can not be found", name)
}

// queue returns the queue in the path and its size, or answers 404.
func (s *Server) queue(r *http.Request) (name string, size int64, err error) {
	name = param(r, "queue")
	size, err = s.deps.Queues.QueueSize(r.Context(), name)
	if errors.Is(err, repository.ErrNotFound) {
		err = queueMissing(name)
	}
	return name, size, err
}

func (s *Server) getQueue(w http.ResponseWriter, r *http.Request) error {
	name, size, err := s.queue(r)
	if err != nil {
		return err
	}
	return ok(w, struct {
		Name string `json:"name"`
		Size int64  `json:"size"`
	}{name, size})
}

type queueItemView struct {
	Name         string   `json:"name"`
	Sender       *string  `json:"sender"`
	Recipients   []string `json:"recipients"`
	NextDelivery *string  `json:"nextDelivery"`
}

func (s *Server) getQueueMails(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, err := listLimit(q)
	if err != nil {
		return err
	}
	name, _, err := s.queue(r)
	if err != nil {
		return err
	}
	f, err := s.itemFilter(q)
	if err != nil {
		return err
	}
	if q.Has("delayed") {
		delayed := isTrue(q.Get("delayed"))
		f.Delayed = &delayed
	}
	list := arrayWriter{w: w}
	return list.close(s.deps.Queues.BrowseQueue(r.Context(), name, f, limit, func(e repository.QueueEntry) error {
		return list.add(viewItem(e, s.now()))
	}))
}

func viewItem(e repository.QueueEntry, now time.Time) queueItemView {
	v := queueItemView{Name: e.Name, Sender: optional(e.Sender.String()), Recipients: container.AddressStrings(e.Recipients)}
	if e.Next.After(now) {
		v.NextDelivery = instant(e.Next)
	}
	return v
}

func (s *Server) deleteQueueMails(w http.ResponseWriter, r *http.Request) error {
	name, _, err := s.queue(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	var given []string
	for _, k := range []string{"sender", "name", "recipient"} {
		if q.Has(k) {
			given = append(given, k)
		}
	}
	if len(given) > 1 {
		return badRequest("You should provide only one of the query parameters 'sender', 'name', 'recipient' " +
			"for deleting mails by condition or no parameter for deleting all mails in the mail queue.")
	}
	if err := without(q, "delayed", "limit"); err != nil {
		return err
	}
	f, err := s.itemFilter(q)
	if err != nil {
		return err
	}
	t := &clearQueue{store: s.deps.Queues, queue: name}
	if f != (repository.QueueFilter{}) {
		t.filter = &f
	}
	return s.submit(w, r, t)
}

// itemFilter reads the filters of queue items. The host, the state, the
// attribute and the age are beyond James, and so is to combine them.
func (s *Server) itemFilter(q url.Values) (f repository.QueueFilter, err error) {
	if err := filled(q, "host", "state", "attribute"); err != nil {
		return f, err
	}
	if q.Has("name") {
		name := q.Get("name")
		f.Name = &name
	}
	if f.Sender, err = addressFilter(q, "sender"); err != nil {
		return f, err
	}
	if f.Recipient, err = addressFilter(q, "recipient"); err != nil {
		return f, err
	}
	if f.EnqueuedBefore, err = age(q, "enqueuedBefore", s.now()); err != nil {
		return f, err
	}
	if f.EnqueuedAfter, err = age(q, "enqueuedAfter", s.now()); err != nil {
		return f, err
	}
	f.Host, f.State, f.Attribute = q.Get("host"), q.Get("state"), repository.Attribute(q.Get("attribute"))
	return f, nil
}

// addressFilter reads an address; the sender may be <>.
func addressFilter(q url.Values, name string) (*string, error) {
	if !q.Has(name) {
		return nil, nil
	}
	value := q.Get(name)
	if name == "sender" && value == "<>" {
		return &value, nil
	}
	a, err := container.ParseAddress(value)
	if err != nil {
		return nil, badRequest("'%s' should be a mail address (i.e. %s@james.org)", name, name).because(err)
	}
	value = a.String()
	return &value, nil
}

// flushQueue makes all delayed items ready now. The parameter is looked at
// first, then the body, then the queue.
func (s *Server) flushQueue(w http.ResponseWriter, r *http.Request) error {
	if !isTrue(r.URL.Query().Get("delayed")) {
		return badRequest("This request requires delayed param to be set to true")
	}
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	if err := flushBody(body); err != nil {
		return err
	}
	name, _, err := s.queue(r)
	if err != nil {
		return err
	}
	n, err := s.deps.Queues.FlushQueue(r.Context(), name)
	if err != nil {
		return err
	}
	s.log.InfoContext(r.Context(), "queue flushed", "queue", name, "mails", n)
	return noContent(w)
}

// flushBody checks for {"delayed":false}; the text "false" is taken too.
func flushBody(body []byte) error {
	var v struct {
		Delayed any `json:"delayed"`
	}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, &v); err != nil {
			var shape *json.UnmarshalTypeError
			if !errors.As(err, &shape) {
				return badRequest("Invalid JSON document: %v", err).because(err)
			}
		}
	}
	if v.Delayed == false || v.Delayed == "false" {
		return nil
	}
	return badRequest("This request requires payload to contain delayed attribute set to false")
}
