package webadmin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/repository"
)

// HealthStatus is the state of a component. The greater one is the worse.
type HealthStatus int

// The states of a component.
const (
	Healthy HealthStatus = iota
	Degraded
	Unhealthy
)

// String returns the status as James shows it.
func (h HealthStatus) String() string {
	switch h {
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	default:
		return "unhealthy"
	}
}

// Names of components that dashboards know from James, and the one of our store.
const (
	LifecycleHealth       = "Guice application lifecycle"
	ErrorRepositoryHealth = "EmptyErrorMailRepository"
	ConsumersHealth       = "MailQueueConsumers"
	StoreHealth           = "SQLite backend"
)

// HealthCheck is one component. Check returns its status and, unless it is
// healthy, the cause; it may be called by several goroutines at once and ends
// soon after ctx.
type HealthCheck struct {
	Name  string
	Check func(ctx context.Context) (status HealthStatus, cause string)
}

// healthTimeout bounds the check of one component.
const healthTimeout = 10 * time.Second

type componentName struct {
	Name    string `json:"componentName"`
	Escaped string `json:"escapedComponentName"`
}

type componentHealth struct {
	componentName
	Status string  `json:"status"`
	Cause  *string `json:"cause"`
}

type overallHealth struct {
	Status string            `json:"status"`
	Checks []componentHealth `json:"checks"`
}

func named(c HealthCheck) componentName {
	return componentName{c.Name, url.PathEscape(c.Name)}
}

// withErrorRepository adds the component that watches the error repository,
// unless there is one.
func (s *Server) withErrorRepository(checks []HealthCheck) []HealthCheck {
	u := s.deps.ErrorRepository
	if u == (repository.URL{}) || slices.ContainsFunc(checks, func(c HealthCheck) bool { return c.Name == ErrorRepositoryHealth }) {
		return checks
	}
	return append(slices.Clip(checks), HealthCheck{ErrorRepositoryHealth, func(ctx context.Context) (HealthStatus, string) {
		// Not its size: nobody who asks gives credentials, and to count a million mails takes a while.
		keys, _, _, err := s.deps.Repositories.KeysAfter(ctx, u, 0, 0, 1)
		switch {
		case errors.Is(err, repository.ErrNotFound):
			return Healthy, ""
		case err != nil:
			return Unhealthy, err.Error()
		case len(keys) > 0:
			return Degraded, "MailRepository is not empty"
		}
		return Healthy, ""
	}})
}

func (s *Server) healthRoutes(rt *router) {
	rt.handle(http.MethodGet, "/healthcheck", s.getHealth)
	rt.handle(http.MethodGet, "/healthcheck/checks", s.getHealthChecks)
	rt.handle(http.MethodGet, "/healthcheck/checks/{name}", s.getHealthCheck)
}

func (s *Server) getHealth(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	wanted := q["check"]
	var unknown []string
	for _, name := range wanted {
		if !slices.ContainsFunc(s.deps.Health, func(c HealthCheck) bool { return c.Name == name }) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return notFound("Components with name %s cannot be found", strings.Join(unknown, ", "))
	}
	worst := Healthy
	all := overallHealth{Checks: []componentHealth{}}
	for _, c := range s.deps.Health {
		if wanted == nil || slices.Contains(wanted, c.Name) {
			status, h := s.check(r.Context(), c)
			worst = max(worst, status)
			all.Checks = append(all.Checks, h)
		}
	}
	all.Status = worst.String()
	return writeJSON(w, healthCode(worst, q), all)
}

// healthCode returns the HTTP status for a component in status h.
func healthCode(h HealthStatus, q url.Values) int {
	if h == Unhealthy || h == Degraded && q.Has("strict") {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// check asks one component.
func (s *Server) check(ctx context.Context, c HealthCheck) (HealthStatus, componentHealth) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	status, cause := c.Check(ctx)
	h := componentHealth{componentName: named(c), Status: status.String()}
	if status != Healthy {
		h.Cause = optional(cause)
	}
	return status, h
}

func (s *Server) getHealthChecks(w http.ResponseWriter, _ *http.Request) error {
	names := []componentName{}
	for _, c := range s.deps.Health {
		names = append(names, named(c))
	}
	return ok(w, names)
}

func (s *Server) getHealthCheck(w http.ResponseWriter, r *http.Request) error {
	name := param(r, "name")
	for _, c := range s.deps.Health {
		if c.Name == name {
			status, h := s.check(r.Context(), c)
			return writeJSON(w, healthCode(status, r.URL.Query()), h)
		}
	}
	return notFound("Component with name %s cannot be found", name)
}
