package webadmin

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Names of the steps, James's classes.
const (
	deleteDataStep = "RecipientRewriteTableUserDeletionTaskStep"
	forgetStep     = "VacationDeleteUserTaskStep" // of the Sieve scripts as well
	renameStep     = "ForwardUsernameChangeTaskStep"
)

// States of a step.
const (
	stepWaiting = "WAITING"
	stepRunning = "IN_PROGRESS"
	stepDone    = "DONE"
	stepFailed  = "FAILED"
	stepAborted = "ABORTED" // one before it failed
	stepSkipped = "SKIPPED" // it is before the one to begin with
)

// fromStep reads the step to begin with, one of those of the task.
func fromStep(r *http.Request, steps []userStep) (*string, error) {
	q := r.URL.Query()
	if !q.Has("fromStep") {
		return nil, nil
	}
	v := q.Get("fromStep")
	if !slices.ContainsFunc(steps, func(s userStep) bool { return s.name == v }) {
		return nil, illegalArgument("Starting step not found: %s", v)
	}
	return &v, nil
}

// userStep is one thing that is done about a user.
type userStep struct {
	name string
	run  func(ctx context.Context) error
}

// deleteSteps are what deletes the data of a user.
func (s *Server) deleteSteps(user string) []userStep {
	steps := []userStep{{deleteDataStep, func(ctx context.Context) error { return s.deps.Directory.RemoveUserMappings(ctx, user) }}}
	if s.deps.ForgetUser != nil {
		steps = append(steps, userStep{forgetStep, func(ctx context.Context) error { return s.deps.ForgetUser(ctx, strings.ToLower(user)) }})
	}
	return steps
}

func (s *Server) renameSteps(from, to string) []userStep {
	return []userStep{{renameStep, func(ctx context.Context) error { return s.deps.Directory.RenameForwards(ctx, from, to) }}}
}

// stepTask is a task of several steps about a user.
type stepTask struct {
	kind          string
	user, newName string         // of which data is deleted; to which is renamed
	info          map[string]any // what names the user
	steps         []userStep
	from          *string // nil: the first

	mu     sync.Mutex
	states map[string]string
}

func (s *Server) newDeleteUserData(user string, from *string) *stepTask {
	return &stepTask{kind: "DeleteUserDataTask", user: user, info: map[string]any{"username": user}, steps: s.deleteSteps(user), from: from}
}

func (s *Server) newRenameUser(from, to string, start *string) *stepTask {
	return &stepTask{kind: "UsernameChangeTask", user: from, newName: to,
		info: map[string]any{"oldUser": from, "newUser": to}, steps: s.renameSteps(from, to), from: start}
}

func (t *stepTask) Type() string { return t.kind }

func (t *stepTask) Info(now time.Time) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	status := map[string]string{}
	for _, s := range t.steps {
		status[s.name] = cmp.Or(t.states[s.name], stepWaiting)
	}
	info := map[string]any{"type": t.kind, "timestamp": instant(now), "fromStep": t.from, "status": status}
	for k, v := range t.info {
		info[k] = v
	}
	return info
}

func (t *stepTask) set(step, state string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.states == nil {
		t.states = map[string]string{}
	}
	t.states[step] = state
}

func (t *stepTask) Run(ctx context.Context) error {
	begun := t.from == nil
	var failed error
	for _, s := range t.steps {
		begun = begun || s.name == *t.from
		switch {
		case !begun:
			t.set(s.name, stepSkipped)
			continue
		case failed != nil:
			t.set(s.name, stepAborted)
			continue
		}
		t.set(s.name, stepRunning)
		if err := s.run(ctx); err != nil {
			t.set(s.name, stepFailed)
			failed = fmt.Errorf("step %s: %w", s.name, err)
			continue
		}
		t.set(s.name, stepDone)
	}
	return failed
}

// deleteDomainData deletes the data of all users in a domain.
type deleteDomainData struct {
	dir    Directory
	steps  func(user string) []userStep
	domain string
	from   *string
	log    *slog.Logger

	succeeded atomic.Int64
	mu        sync.Mutex
	failed    []string
}

func (t *deleteDomainData) Type() string { return "DeleteUsersDataOfDomainTask" }

func (t *deleteDomainData) Info(now time.Time) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return map[string]any{
		"type": t.Type(), "timestamp": instant(now), "domain": t.domain,
		"successfulUsersCount": t.succeeded.Load(), "failedUsersCount": len(t.failed),
		"failedUsers": append([]string{}, t.failed...),
	}
}

func (t *deleteDomainData) Run(ctx context.Context) error {
	all, err := t.dir.Users(ctx)
	if err != nil {
		return fmt.Errorf("delete data of %s: %w", t.domain, err)
	}
	failed := 0
	for _, user := range all {
		if !strings.HasSuffix(user, "@"+t.domain) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := (&stepTask{steps: t.steps(user), from: t.from}).Run(ctx); err != nil {
			t.log.Error("data of user not deleted", "user", user, "err", err)
			failed++
			t.mu.Lock()
			t.failed = append(t.failed, user)
			t.mu.Unlock()
			continue
		}
		t.succeeded.Add(1)
	}
	if failed > 0 {
		return fmt.Errorf("delete data of %s: %d users failed", t.domain, failed)
	}
	return nil
}
