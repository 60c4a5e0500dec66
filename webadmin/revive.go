package webadmin

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/webadmin/task"
)

// taskParams is what is stored of a task that is not over, so that the next
// process can make it again. Each kind of task uses some of the fields.
type taskParams struct {
	Repository string                  `json:"repository,omitempty"` // as the operator named it
	URLs       []string                `json:"urls,omitempty"`
	Key        string                  `json:"key,omitempty"`
	How        *reprocess              `json:"how,omitempty"`
	Initial    int64                   `json:"initial,omitempty"`
	Visited    int64                   `json:"visited,omitempty"`
	Passed     int64                   `json:"passed,omitempty"`
	Done       []position              `json:"done,omitempty"`
	Queue      string                  `json:"queue,omitempty"`
	Filter     *repository.QueueFilter `json:"filter,omitempty"`
	User       string                  `json:"user,omitempty"`
	NewName    string                  `json:"newName,omitempty"`
	Domain     string                  `json:"domain,omitempty"`
	From       *string                 `json:"fromStep,omitempty"`
}

// reprocess is the stored form of reprocessing.
type reprocess struct {
	Queue      string                `json:"queue"`
	Processor  *string               `json:"processor,omitempty"`
	Consume    bool                  `json:"consume"`
	Limit      int                   `json:"limit,omitempty"`
	MaxRetries *int                  `json:"maxRetries,omitempty"`
	Recipient  *string               `json:"recipient,omitempty"`
	Filter     repository.MailFilter `json:"filter,omitzero"`
}

func (p reprocessing) stored() *reprocess {
	return &reprocess{p.queue, p.processor, p.consume, p.limit, p.maxRetries, p.rcptText(), p.filter}
}

func (r *reprocess) restored() (reprocessing, error) {
	if r == nil {
		return reprocessing{}, errors.New("it is not known how to reprocess")
	}
	p := reprocessing{queue: r.Queue, processor: r.Processor, consume: r.Consume, limit: r.Limit, maxRetries: r.MaxRetries, filter: r.Filter}
	if r.Recipient == nil {
		return p, nil
	}
	a, err := container.ParseAddress(*r.Recipient)
	p.rcpt = &a
	return p, err
}

func (p place) stored() (path string, urls []string) {
	for _, u := range p.urls {
		urls = append(urls, u.String())
	}
	return p.path, urls
}

func (t *taskParams) place() (place, error) {
	p := place{path: t.Repository}
	for _, text := range t.URLs {
		u, err := repository.ParseURL(text)
		if err != nil {
			return p, err
		}
		p.urls = append(p.urls, u)
	}
	return p, nil
}

// Params implements task.Task.
func (t *reprocessAll) Params() any {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := taskParams{How: t.reprocessing.stored(), Initial: t.initial, Visited: t.visited.Load(), Passed: t.passed.Load(), Done: append([]position(nil), t.done...)}
	p.Repository, p.URLs = t.place.stored()
	return p
}

// Params implements task.Task.
func (t *reprocessOne) Params() any {
	return taskParams{How: t.reprocessing.stored(), Repository: t.name, Key: t.key}
}

// Once implements task.Once: a clearing that is begun again would remove mails
// that came after it.
func (t *clearRepository) Once() {}

// Once implements task.Once; see clearRepository.Once.
func (t *clearQueue) Once() {}

// Params implements task.Task.
func (t *clearRepository) Params() any {
	p := taskParams{Initial: t.initial}
	p.Repository, p.URLs = t.place.stored()
	return p
}

// Params implements task.Task.
func (t *clearQueue) Params() any {
	return taskParams{Queue: t.queue, Filter: t.filter}
}

// Params implements task.Task.
func (t *stepTask) Params() any {
	return taskParams{User: t.user, NewName: t.newName, From: t.from}
}

// Params implements task.Task.
func (t *deleteDomainData) Params() any { return taskParams{Domain: t.domain, From: t.from} }

// revive makes a task of a former process again.
func (s *Server) revive(kind string, text json.RawMessage) (task.Task, error) {
	var p *taskParams
	if len(text) == 0 {
		return nil, errors.New("it was interrupted, and must not be begun again by itself: mails came since; ask for it again")
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("its parameters: %w", err)
	}
	if p == nil {
		return nil, errors.New("it is not known what it was to do; ask for it again")
	}
	switch kind {
	case "reprocessing-all":
		return s.reviveReprocessAll(p)
	case "reprocessing-one":
		how, err := p.How.restored()
		return &reprocessOne{reprocessing: how, s: s, name: p.Repository, key: p.Key}, err
	case "clear-mail-repository":
		at, err := p.place()
		return newClearRepository(s.deps.Repositories, at, p.Initial), err
	case "clear-mail-queue", "delete-mails-from-mail-queue":
		if (kind == "clear-mail-queue") != (p.Filter == nil) { // without its filter it would remove everything
			return nil, errors.New("it is not known which mails were to be removed")
		}
		return &clearQueue{store: s.deps.Queues, queue: p.Queue, filter: p.Filter}, nil
	case "DeleteUserDataTask":
		return s.newDeleteUserData(p.User, p.From), nil
	case "UsernameChangeTask":
		return s.newRenameUser(p.User, p.NewName, p.From), nil
	case "DeleteUsersDataOfDomainTask":
		return &deleteDomainData{dir: s.deps.Directory, steps: s.deleteSteps, domain: p.Domain, from: p.From, log: s.log}, nil
	}
	return nil, errors.New("no such kind of task")
}

func (s *Server) reviveReprocessAll(p *taskParams) (task.Task, error) {
	how, err := p.How.restored()
	if err != nil {
		return nil, err
	}
	at, err := p.place()
	if err != nil {
		return nil, err
	}
	t := &reprocessAll{reprocessing: how, s: s, place: at, initial: p.Initial, log: s.log, done: p.Done}
	t.visited.Store(p.Visited)
	t.passed.Store(p.Passed)
	return t, nil
}
