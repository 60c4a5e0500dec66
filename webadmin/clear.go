package webadmin

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mailetd/mailetd/repository"
)

// clearRepository removes all mails of a repository.
type clearRepository struct {
	store   repository.Repositories
	place   place
	initial int64
	removed atomic.Int64
}

func newClearRepository(store repository.Repositories, p place, initial int64) *clearRepository {
	return &clearRepository{store: store, place: p, initial: initial}
}

func (t *clearRepository) Type() string { return "clear-mail-repository" }

func (t *clearRepository) Info(now time.Time) any {
	return map[string]any{
		"type": t.Type(), "repositoryPath": t.place.path, "initialCount": t.initial,
		"remainingCount": max(0, t.initial-t.removed.Load()), "timestamp": instant(now),
	}
}

func (t *clearRepository) Run(ctx context.Context) error {
	for _, u := range t.place.urls {
		before := t.removed.Load()
		n, err := t.store.ClearRepository(ctx, u, func(n int64) { t.removed.Store(before + n) })
		if err != nil {
			return fmt.Errorf("clear repository %s: %w", u, err)
		}
		t.removed.Store(before + n)
	}
	return nil
}

// clearQueue removes the items of a queue that a filter selects.
type clearQueue struct {
	store  repository.QueueAdmin
	queue  string
	filter *repository.QueueFilter // nil: everything

	started atomic.Bool
	initial atomic.Int64
	removed atomic.Int64
}

func (t *clearQueue) Type() string {
	if t.filter == nil {
		return "clear-mail-queue"
	}
	return "delete-mails-from-mail-queue"
}

func (t *clearQueue) Info(now time.Time) any {
	if !t.started.Load() {
		return nil
	}
	initial := t.initial.Load()
	info := map[string]any{
		"type": t.Type(), "mailQueueName": t.queue, "initialCount": initial,
		"remainingCount": max(0, initial-t.removed.Load()), "timestamp": instant(now),
	}
	if t.filter != nil {
		info["sender"], info["name"], info["recipient"] = t.filter.Sender, t.filter.Name, t.filter.Recipient
		for name, value := range map[string]string{"host": t.filter.Host, "state": t.filter.State, "attribute": string(t.filter.Attribute)} {
			if value != "" {
				info[name] = value
			}
		}
	}
	return info
}

func (t *clearQueue) Run(ctx context.Context) error {
	n, err := t.store.QueueSize(ctx, t.queue)
	if err != nil {
		return fmt.Errorf("clear queue %s: %w", t.queue, err)
	}
	t.initial.Store(n)
	t.started.Store(true)
	var f repository.QueueFilter
	if t.filter != nil {
		f = *t.filter
	}
	removed, err := t.store.RemoveFromQueue(ctx, t.queue, f, t.removed.Store)
	if err != nil {
		return fmt.Errorf("clear queue %s: %w", t.queue, err)
	}
	t.removed.Store(removed)
	return nil
}
