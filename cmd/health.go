package cmd

import (
	"context"
	"time"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/spool"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/webadmin"
)

// healthChecks are the components of /healthcheck, under James's names where
// James has them. EmptyErrorMailRepository is webadmin's own.
func (s *site) healthChecks(store *sqlite.Store, spooler *spool.Spooler, runners []container.Runner) []webadmin.HealthCheck {
	return []webadmin.HealthCheck{
		{Name: "Guice application lifecycle", Check: func(context.Context) (webadmin.HealthStatus, string) { return webadmin.Healthy, "" }},
		{Name: "MailQueueConsumers", Check: consumers(spooler, s.container.Threads, runners)},
		{Name: "SQLite backend", Check: database(store)},
	}
}

// consumers looks at what takes mails off queues: the spooler, and the mailets
// with a queue of their own.
func consumers(s *spool.Spooler, threads int, runners []container.Runner) func(context.Context) (webadmin.HealthStatus, string) {
	return func(context.Context) (webadmin.HealthStatus, string) {
		for _, r := range runners {
			if c, ok := r.(interface{ Consuming() (string, bool) }); ok {
				if queue, ok := c.Consuming(); !ok {
					return webadmin.Unhealthy, "nothing takes mails off the queue " + queue
				}
			}
		}
		switch {
		case threads == 0:
			return webadmin.Degraded, "the spooler is deactivated: <threads> is 0"
		case !s.Consuming():
			return webadmin.Unhealthy, "the spooler takes no mails"
		}
		return webadmin.Healthy, ""
	}
}

func database(store *sqlite.Store) func(context.Context) (webadmin.HealthStatus, string) {
	return func(ctx context.Context) (webadmin.HealthStatus, string) {
		if err := store.Ping(ctx); err != nil {
			return webadmin.Unhealthy, err.Error()
		}
		return webadmin.Healthy, ""
	}
}

// watchHealth returns a part that looks at all components at the interval of
// healthcheck.properties and logs those that are not well.
func (s *site) watchHealth(checks []webadmin.HealthCheck) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(s.healthPeriod)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
			for _, c := range checks {
				if status, cause := c.Check(ctx); status != webadmin.Healthy && ctx.Err() == nil {
					s.log.Warn("health check", "component", c.Name, "status", status, "cause", cause)
				}
			}
		}
	}
}
