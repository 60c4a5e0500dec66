package webadmin

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Names of the steps, James's classes.
const (
	deleteDataStep = "RecipientRewriteTableUserDeletionTaskStep"
	renameStep     = "ForwardUsernameChangeTaskStep"
)

// States of a step.
const (
	stepWaiting = "WAITING"
	stepRunning = "IN_PROGRESS"
	stepDone    = "DONE"
	stepFailed  = "FAILED"
)

// fromStep reads the step to begin with. There is one step in each task, so it
// is that one or a mistake.
func fromStep(r *http.Request, step string) (*string, error) {
	q := r.URL.Query()
	if !q.Has("fromStep") {
		return nil, nil
	}
	if v := q.Get("fromStep"); v != step {
		return nil, illegalArgument("Starting step not found: %s", v)
	}
	return &step, nil
}

// stepTask is a task of one step about a user.
type stepTask struct {
	kind          string
	user, newName string         // of which data is deleted; to which is renamed
	info          map[string]any // what names the user
	step          string
	from          *string
	run           func(ctx context.Context) error

	mu    sync.Mutex
	state string
}

func newDeleteUserData(dir Directory, user string, from *string) *stepTask {
	return &stepTask{
		kind: "DeleteUserDataTask", user: user, info: map[string]any{"username": user},
		step: deleteDataStep, from: from, state: stepWaiting,
		run: func(ctx context.Context) error { return dir.RemoveUserMappings(ctx, user) },
	}
}

func newRenameUser(dir Directory, from, to string, start *string) *stepTask {
	return &stepTask{
		kind: "UsernameChangeTask", user: from, newName: to, info: map[string]any{"oldUser": from, "newUser": to},
		step: renameStep, from: start, state: stepWaiting,
		run: func(ctx context.Context) error { return dir.RenameForwards(ctx, from, to) },
	}
}

func (t *stepTask) Type() string { return t.kind }

func (t *stepTask) Info(now time.Time) any {
	t.mu.Lock()
	defer t.mu.Unlock()
	info := map[string]any{
		"type": t.kind, "timestamp": instant(now), "fromStep": t.from,
		"status": map[string]string{t.step: t.state},
	}
	for k, v := range t.info {
		info[k] = v
	}
	return info
}

func (t *stepTask) set(state string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = state
}

func (t *stepTask) Run(ctx context.Context) error {
	t.set(stepRunning)
	if err := t.run(ctx); err != nil {
		t.set(stepFailed)
		return fmt.Errorf("step %s: %w", t.step, err)
	}
	t.set(stepDone)
	return nil
}

// deleteDomainData deletes the data of all users in a domain.
type deleteDomainData struct {
	dir    Directory
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
		if err := t.dir.RemoveUserMappings(ctx, user); err != nil {
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
