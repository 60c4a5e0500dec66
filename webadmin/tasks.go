package webadmin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/webadmin/task"
)

// taskView is a task as James shows it: dates that do not apply are left out,
// everything else is there.
type taskView struct {
	ID        string  `json:"taskId"`
	Type      string  `json:"type"`
	Status    string  `json:"status"`
	From      string  `json:"submittedFrom"`
	On        *string `json:"executedOn"`
	Canceller *string `json:"cancelledFrom"`
	Info      any     `json:"additionalInformation"`
	Submitted *string `json:"submitDate"`
	Started   *string `json:"startedDate,omitempty"`
	Completed *string `json:"completedDate,omitempty"`
	Canceled  *string `json:"canceledDate,omitempty"`
	Failed    *string `json:"failedDate,omitempty"`
}

func viewTask(t task.Snapshot) taskView {
	v := taskView{
		ID: t.ID, Type: t.Type, Status: string(t.Status), From: t.Host, Info: t.Info,
		Submitted: date(t.Submitted), Started: date(t.Started), Completed: date(t.Completed),
		Canceled: date(t.Canceled), Failed: date(t.Failed),
	}
	if !t.Started.IsZero() {
		v.On = &t.Host
	}
	if !t.Canceled.IsZero() {
		v.Canceller = &t.Host
	}
	return v
}

func (s *Server) taskRoutes(rt *router) {
	rt.handle(http.MethodGet, "/tasks", s.getTasks)
	rt.handle(http.MethodGet, "/tasks/{id}", s.getTask)
	rt.handle(http.MethodGet, "/tasks/{id}/await", s.awaitTask)
	rt.handle(http.MethodDelete, "/tasks/{id}", s.cancelTask)
}

// submit starts t and answers with its id.
func (s *Server) submit(w http.ResponseWriter, r *http.Request, t task.Task) error {
	id, err := s.tasks.Submit(t)
	if errors.Is(err, task.ErrFull) {
		return apiErrorf(http.StatusServiceUnavailable, typeServer, "Too many tasks are waiting")
	}
	if err != nil {
		return err
	}
	requestOf(r).task = id
	w.Header().Set("Location", "/tasks/"+id)
	return writeJSON(w, http.StatusCreated, map[string]string{"taskId": id})
}

// taskID reads the id in the path.
func taskID(r *http.Request) (string, error) {
	id, err := task.ParseID(param(r, "id"))
	if err != nil {
		return "", badRequest("Invalid task id").because(err)
	}
	return id, nil
}

func (s *Server) getTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	t, err := s.tasks.Get(id)
	if errors.Is(err, task.ErrNotFound) {
		return notFound("%s can not be found", id)
	}
	if err != nil {
		return err
	}
	return ok(w, viewTask(t))
}

func (s *Server) cancelTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	s.tasks.Cancel(id)
	return noContent(w)
}

// maxAwait is the default and the longest time to wait for a task.
const maxAwait = 365 * 24 * time.Hour

func (s *Server) awaitTask(w http.ResponseWriter, r *http.Request) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	timeout, err := awaitTimeout(r.URL.Query())
	if err != nil {
		return badRequest("Invalid timeout").because(err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	t, err := s.tasks.Await(ctx, id)
	switch {
	case errors.Is(err, task.ErrNotFound):
		return apiErrorf(http.StatusNotFound, typeServer, "The taskId is not found")
	case errors.Is(err, task.ErrStopped):
		return apiErrorf(http.StatusServiceUnavailable, typeServer, "The server is shutting down")
	case err != nil:
		return apiErrorf(http.StatusRequestTimeout, typeServer, "The timeout has been reached")
	}
	return ok(w, viewTask(t))
}

func awaitTimeout(q url.Values) (time.Duration, error) {
	if !q.Has("timeout") {
		return maxAwait, nil
	}
	d, err := conf.ParseDuration(q.Get("timeout"), time.Second)
	if err == nil && d > maxAwait {
		err = errors.New("Timeout should not exceed 365 days") //lint:ignore ST1005 James's text
	}
	return d, err
}

func (s *Server) getTasks(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	keep, err := taskFilter(q)
	limit, offset := -1, 0
	if err == nil && q.Has("limit") {
		limit, err = count(q, "limit", -1)
	}
	if err == nil {
		offset, err = count(q, "offset", 0)
	}
	if err != nil {
		return badRequest("Invalid status query parameter").because(err)
	}
	views := []taskView{}
	if limit != 0 {
		for _, t := range inPages(s.tasks.List(keep), max(limit, 0), offset) {
			views = append(views, viewTask(t))
		}
	}
	return ok(w, views)
}

// taskFilter returns the AND of the filters in q.
func taskFilter(q url.Values) (func(task.Snapshot) bool, error) {
	var tests []func(task.Snapshot) bool
	if q.Has("status") {
		i := slices.IndexFunc(task.Statuses, func(s task.Status) bool { return strings.EqualFold(string(s), q.Get("status")) })
		if i < 0 {
			return nil, fmt.Errorf("unknown status %q", q.Get("status"))
		}
		tests = append(tests, func(t task.Snapshot) bool { return t.Status == task.Statuses[i] })
	}
	if q.Has("type") {
		tests = append(tests, func(t task.Snapshot) bool { return t.Type == q.Get("type") })
	}
	dates := []struct {
		name string
		of   func(task.Snapshot) time.Time
	}{
		{"submitted", func(t task.Snapshot) time.Time { return t.Submitted }},
		{"started", func(t task.Snapshot) time.Time { return t.Started }},
		{"completed", func(t task.Snapshot) time.Time { return t.Completed }},
		{"failed", func(t task.Snapshot) time.Time { return t.Failed }},
	}
	for _, d := range dates {
		for _, side := range []string{"Before", "After"} {
			if !q.Has(d.name + side) {
				continue
			}
			limit, err := time.Parse(time.RFC3339Nano, q.Get(d.name+side))
			if err != nil {
				return nil, fmt.Errorf("%s%s: %w", d.name, side, err)
			}
			before := side == "Before"
			tests = append(tests, func(t task.Snapshot) bool {
				at := d.of(t)
				return !at.IsZero() && (before && at.Before(limit) || !before && at.After(limit))
			})
		}
	}
	return func(t task.Snapshot) bool {
		return !slices.ContainsFunc(tests, func(test func(task.Snapshot) bool) bool { return !test(t) })
	}, nil
}
