package webadmin

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
	"github.com/mailetd/mailetd/webadmin/task"
)

// Schedule says which mails are reprocessed again and again, without anybody
// asking.
type Schedule struct {
	Repository repository.URL
	Every      time.Duration
	Processor  *string // nil: the state stored with the mail
	Queue      string  // "": the spool
	Limit      int     // mails at a time, 0: all
	MaxRetries *int    // mails that were reprocessed so often stay
}

// firstRun is the longest time from the start of the server to the first run of
// a schedule, so that a server that is restarted often gets there too.
const firstRun = time.Minute

// runSchedules submits the tasks of all schedules until ctx is done.
func (s *Server) runSchedules(ctx context.Context) {
	var wg sync.WaitGroup
	for _, p := range s.deps.Schedules {
		wg.Go(func() { s.runSchedule(ctx, p) })
	}
	wg.Wait()
}

func (s *Server) runSchedule(ctx context.Context, p Schedule) {
	next := time.NewTimer(min(p.Every, firstRun))
	defer next.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		next.Reset(p.Every)
		if t, err := s.tasks.Get(last); err == nil && !t.Status.Final() {
			s.log.Warn("scheduled reprocessing is passed over: the last one is not over", "repository", p.Repository.String(), "task", last)
			continue
		}
		id, err := s.submitScheduled(ctx, p)
		if err != nil && ctx.Err() == nil {
			s.log.Error("scheduled reprocessing", "repository", p.Repository.String(), "err", err)
		}
		last = id
	}
}

// submitScheduled makes one task of p; none, and no id, when the repository is
// empty: the list of tasks is for people.
func (s *Server) submitScheduled(ctx context.Context, p Schedule) (string, error) {
	n, err := s.deps.Repositories.RepositorySize(ctx, p.Repository)
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return "", err
	}
	if n == 0 || err != nil {
		return "", nil
	}
	how := reprocessing{queue: p.Queue, processor: p.Processor, consume: true, limit: p.Limit, maxRetries: p.MaxRetries}
	if how.queue == "" {
		how.queue = container.SpoolQueue
	}
	var t task.Task = &reprocessAll{reprocessing: how, s: s, initial: n, log: s.log,
		place: place{path: p.Repository.Path, urls: []repository.URL{p.Repository}}}
	return s.tasks.Submit(t)
}
