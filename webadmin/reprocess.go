package webadmin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// reprocessing says how mails go from a repository to a queue.
type reprocessing struct {
	queue      string
	processor  *string // nil: the state stored with the mail
	consume    bool    // the mail leaves the repository
	limit      int     // how many mails, 0: all
	maxRetries *int    // mails that came back that often stay
	rcpt       *container.Address
	filter     repository.MailFilter // beyond James
}

// parseReprocessing reads the query of a PATCH.
func (s *Server) parseReprocessing(q url.Values) (reprocessing, error) {
	p := reprocessing{queue: container.SpoolQueue, consume: true}
	if err := filled(q, "processor"); err != nil {
		return p, err
	}
	if q.Has("queue") {
		p.queue = q.Get("queue")
	}
	if q.Has("processor") {
		name := q.Get("processor")
		p.processor = &name
	}
	if q.Has("consume") {
		p.consume = isTrue(q.Get("consume"))
	}
	var err error
	if p.filter, err = s.mailFilter(q); err != nil {
		return p, err
	}
	if p.limit, err = count(q, "limit", 0); err != nil {
		return p, err
	}
	if q.Has("maxRetries") {
		n, err := count(q, "maxRetries", 0)
		if err != nil {
			return p, err
		}
		p.maxRetries = &n
	}
	if q.Has("forRecipient") {
		a, err := container.ParseAddress(q.Get("forRecipient"))
		if err != nil {
			return p, illegalArgument("%w", err)
		}
		p.rcpt = &a
	}
	return p, nil
}

func (p reprocessing) rcptText() *string {
	if p.rcpt == nil {
		return nil
	}
	return optional(p.rcpt.String())
}

// passes reports whether a mail is to be reprocessed.
func (p reprocessing) passes(m *container.Mail) bool {
	n, _ := m.Attributes.Int(container.AttrReprocessing)
	if p.maxRetries != nil && n >= *p.maxRetries {
		return false
	}
	return p.filter.Matches(m) && (p.rcpt == nil || container.ContainsAddress(m.Recipients, *p.rcpt))
}

// change returns the one step that brings m from ref into the queue.
func (p reprocessing) change(m *container.Mail, ref repository.Ref) repository.Change {
	n, _ := m.Attributes.Int(container.AttrReprocessing)
	m.Set(container.AttrReprocessing, int32(n+1))
	delete(m.Attributes, container.AttrRecordedRcpts)
	if p.processor != nil {
		m.State = *p.processor
	}
	e := container.Entry{Mail: m, Queue: p.queue}
	if p.queue != container.SpoolQueue && len(m.Recipients) > 0 {
		e.Destination = m.Recipients[0].Domain
	}
	c := repository.Change{Entries: []container.Entry{e}}
	if p.consume {
		c.From = &ref
	}
	return c
}

// hasQueue returns an error when there is no such queue.
func (s *Server) hasQueue(ctx context.Context, name string) error {
	_, err := s.deps.Queues.QueueSize(ctx, name)
	if errors.Is(err, repository.ErrNotFound) {
		return fmt.Errorf("Can not find queue %s", name) //lint:ignore ST1005 James's text
	}
	return err
}

// inFlight is how many mails are on their way to the store at once, so that it
// can put many into one transaction.
const inFlight = 32

// reprocessAll brings the mails of a repository into a queue. Each mail is one
// transaction: wherever the task ends, every mail is in the repository or in the
// queue. Mails that come into the repository after the start are left alone, so
// a mail that comes back at once is not taken again. A task that a restart cut
// off goes on with the page of keys that it was at; when it copies (consume is
// false), mails of that page may be copied twice.
type reprocessAll struct {
	reprocessing
	s       *Server
	place   place
	initial int64
	log     *slog.Logger

	visited atomic.Int64
	passed  atomic.Int64 // mails that went into the queue, or are on the way
	failed  atomic.Int64

	mu      sync.Mutex
	doubted []repository.Ref // the store did not find something of them
	done    []position       // of each repository: what is behind us
}

func (t *reprocessAll) Type() string { return "reprocessing-all" }

func (t *reprocessAll) Info(now time.Time) any {
	info := map[string]any{
		"type": t.Type(), "repositoryPath": t.place.path, "targetQueue": t.queue, "targetProcessor": t.processor,
		"forRecipient": t.rcptText(), "consume": t.consume,
		"initialCount": t.initial, "remainingCount": max(0, t.initial-t.visited.Load()),
		"timestamp": instant(now), "limit": nil, "maxRetries": t.maxRetries,
	}
	if t.limit > 0 {
		info["limit"] = t.limit
	}
	return info
}

// errLimit ends the walk over the keys.
var errLimit = errors.New("limit reached")

func (t *reprocessAll) Run(ctx context.Context) error {
	if err := t.s.hasQueue(ctx, t.queue); err != nil {
		return err
	}
	var err error
	for i, u := range t.place.urls {
		if err = t.one(ctx, i, u); err != nil {
			break
		}
	}
	t.settle(ctx)
	if err != nil && !errors.Is(err, errLimit) {
		return fmt.Errorf("reprocess %s: %w", t.place.path, err)
	}
	if n := t.failed.Load(); n > 0 {
		return fmt.Errorf("reprocess %s: %d mails could not be reprocessed", t.place.path, n)
	}
	return nil
}

// one reprocesses the i-th repository. A commit that has begun is waited for:
// its outcome belongs to this task, and to the position of its page.
func (t *reprocessAll) one(ctx context.Context, i int, u repository.URL) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, inFlight)
	return t.s.eachPage(ctx, u, t.position(i), func(keys []string, next position) error {
		for _, key := range keys {
			if t.limit > 0 && t.passed.Load() >= int64(t.limit) {
				return errLimit
			}
			if err := t.mail(ctx, repository.Ref{URL: u, Key: key}, slots, &wg); err != nil {
				return err
			}
		}
		wg.Wait()
		t.setPosition(i, next)
		return nil
	})
}

// mail sends one mail on its way.
func (t *reprocessAll) mail(ctx context.Context, ref repository.Ref, slots chan struct{}, wg *sync.WaitGroup) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m, err := t.s.deps.Repositories.Mail(ctx, ref)
	if err != nil && (ctx.Err() != nil || errors.Is(err, repository.ErrClosed)) {
		return err
	}
	t.visited.Add(1)
	switch {
	case errors.Is(err, repository.ErrNotFound):
		return nil // somebody else took it
	case err != nil:
		t.note(ref, err)
		return nil
	case !t.passes(m):
		return nil
	}
	t.passed.Add(1)
	slots <- struct{}{}
	wg.Add(1)
	t.s.deps.Store.CommitAsync(t.change(m, ref), func(err error) {
		defer wg.Done()
		defer func() { <-slots }()
		t.committed(ref, err)
	})
	return nil
}

func (t *reprocessAll) position(i int) position {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i < len(t.done) {
		return t.done[i]
	}
	return position{}
}

func (t *reprocessAll) setPosition(i int, at position) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.done) <= i {
		t.done = append(t.done, position{})
	}
	t.done[i] = at
}

// maxDoubted bounds how many mails are looked up again at the end.
const maxDoubted = 1000

// committed notes the outcome of one mail. A mail that was not found may have
// been taken by somebody else, or may have lost its body: settle finds out. It
// is called by the store and does not block.
func (t *reprocessAll) committed(ref repository.Ref, err error) {
	switch {
	case err == nil:
	case errors.Is(err, repository.ErrNotFound):
		t.mu.Lock()
		defer t.mu.Unlock()
		if len(t.doubted) < maxDoubted {
			t.doubted = append(t.doubted, ref)
		}
	default:
		t.note(ref, err)
	}
}

// settle counts the doubted mails that are still in the repository as failed.
func (t *reprocessAll) settle(ctx context.Context) {
	t.mu.Lock()
	doubted := t.doubted
	t.mu.Unlock()
	for _, ref := range doubted {
		if _, err := t.s.deps.Repositories.Mail(ctx, ref); err == nil {
			t.note(ref, errors.New("its message is not in the store any more"))
		}
	}
}

// note logs a mail that stays where it is. The others go on.
func (t *reprocessAll) note(ref repository.Ref, err error) {
	t.failed.Add(1)
	t.log.Error("mail not reprocessed", "mail", ref.Key, "repository", ref.URL.String(), "queue", t.queue, "err", err)
}

// reprocessOne brings one mail into a queue.
type reprocessOne struct {
	reprocessing
	s    *Server
	name string // of the repository, as in the request
	key  string
}

func (t *reprocessOne) Type() string { return "reprocessing-one" }

func (t *reprocessOne) Info(now time.Time) any {
	p := repository.CleanPath(t.name)
	if _, path, ok := strings.Cut(p, "://"); ok {
		p = path
	}
	return map[string]any{
		"type": t.Type(), "repositoryPath": p, "targetQueue": t.queue, "mailKey": t.key,
		"targetProcessor": t.processor, "forRecipient": t.rcptText(), "consume": t.consume,
		"timestamp": instant(now),
	}
}

func (t *reprocessOne) Run(ctx context.Context) error {
	if err := t.s.hasQueue(ctx, t.queue); err != nil {
		return err
	}
	p, err := t.s.find(ctx, t.name)
	if err != nil {
		return err
	}
	m, ref, err := t.s.mail(ctx, p, t.key)
	if err == nil {
		err = t.s.deps.Store.Commit(ctx, t.change(m, ref))
	}
	if errors.Is(err, repository.ErrNotFound) {
		return fmt.Errorf("%s can not be found", t.key)
	}
	if err != nil {
		return fmt.Errorf("reprocess %s: %w", t.key, err)
	}
	return nil
}

// patchMails reprocesses all mails of a repository, or with a body moves them.
func (s *Server) patchMails(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(body)) != "" {
		if err := withoutFilter(r.URL.Query()); err != nil {
			return err
		}
		return s.move(w, r, body, nil)
	}
	if _, err := action(r, "reprocess"); err != nil {
		return err
	}
	how, err := s.parseReprocessing(r.URL.Query())
	if err != nil {
		return err
	}
	p, err := s.place(r)
	if err != nil {
		return err
	}
	n, err := s.size(r.Context(), p)
	if err != nil {
		return err
	}
	return s.submit(w, r, &reprocessAll{reprocessing: how, s: s, place: p, initial: n, log: s.log})
}

// patchMail reprocesses one mail, or with a body moves it.
func (s *Server) patchMail(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	key := param(r, "key")
	if strings.TrimSpace(string(body)) != "" {
		return s.move(w, r, body, []string{key})
	}
	if _, err := action(r, "reprocess"); err != nil {
		return err
	}
	how, err := s.parseReprocessing(r.URL.Query())
	if err != nil {
		return err
	}
	return s.submit(w, r, &reprocessOne{reprocessing: how, s: s, name: param(r, "path"), key: key})
}

// move moves the mails with the given keys, nil for all, before it answers.
func (s *Server) move(w http.ResponseWriter, r *http.Request, body []byte, keys []string) error {
	var to struct {
		MailRepository *string `json:"mailRepository"`
	}
	if err := json.Unmarshal(body, &to); err != nil {
		return badRequest("Invalid JSON body").because(err)
	}
	if to.MailRepository == nil || strings.TrimSpace(*to.MailRepository) == "" {
		return badRequest("'mailRepository' field is mandatory in request body")
	}
	from, err := s.find(r.Context(), param(r, "path"))
	if err != nil {
		return err
	}
	if from.urls == nil {
		return notFound("The repository '%s' (decoded value: '%s') does not exist", from.path, from.path)
	}
	target, err := s.find(r.Context(), *to.MailRepository)
	if err != nil {
		return err
	}
	if target.urls == nil {
		return badRequest("The target repository '%s' does not exist", *to.MailRepository)
	}
	for _, u := range from.urls {
		dest := sameProtocol(target.urls, u.Protocol)
		if dest == u {
			continue
		}
		if _, err := s.deps.Repositories.MoveMails(r.Context(), u, dest, keys); err != nil && !errors.Is(err, repository.ErrNotFound) {
			if keys == nil {
				return serverError(err, "Error while moving mails")
			}
			return serverError(err, "Error while moving mail")
		}
	}
	return noContent(w)
}

// sameProtocol returns the one of urls with the protocol, else the first.
func sameProtocol(urls []repository.URL, protocol string) repository.URL {
	for _, u := range urls {
		if u.Protocol == protocol {
			return u
		}
	}
	return urls[0]
}
