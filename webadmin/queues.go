package webadmin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
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
	var f repository.QueueFilter
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
	t := &clearQueue{store: s.deps.Queues, queue: name}
	switch len(given) {
	case 0:
	case 1:
		if t.filter, err = queueFilter(given[0], q.Get(given[0])); err != nil {
			return err
		}
	default:
		return badRequest("You should provide only one of the query parameters 'sender', 'name', 'recipient' " +
			"for deleting mails by condition or no parameter for deleting all mails in the mail queue.")
	}
	return s.submit(w, r, t)
}

// queueFilter returns the filter for one criterion.
func queueFilter(criterion, value string) (*repository.QueueFilter, error) {
	if criterion == "name" {
		return &repository.QueueFilter{Name: &value}, nil
	}
	if criterion == "sender" && value == "<>" {
		return &repository.QueueFilter{Sender: &value}, nil
	}
	a, err := container.ParseAddress(value)
	if err != nil {
		return nil, badRequest("'%s' should be a mail address (i.e. %s@james.org)", criterion, criterion).because(err)
	}
	value = a.String()
	if criterion == "sender" {
		return &repository.QueueFilter{Sender: &value}, nil
	}
	return &repository.QueueFilter{Recipient: &value}, nil
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
