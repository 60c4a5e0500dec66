package cmd

import (
	"context"

	"github.com/mailetd/mailetd/mailets/ratelimit"
	"github.com/mailetd/mailetd/repository/sqlite"
	"github.com/mailetd/mailetd/webadmin"
)

// rates is where the rate limits count: in the store, or in Redis.
type rates struct {
	ratelimit.Backend
	counters *ratelimit.Counters // nil with Redis
	redis    *ratelimit.Redis    // nil without
}

// newRates returns what redis.properties says; without a store the counters are
// only to find problems.
func (s *site) newRates(store *sqlite.Store) rates {
	switch {
	case store == nil:
		return rates{Backend: ratelimit.NewCounters(nil, s.log, nil)}
	case s.redis != nil:
		r := ratelimit.NewRedis(ratelimit.RedisConfig(*s.redis))
		return rates{Backend: r, redis: r}
	}
	c := ratelimit.NewCounters(store, s.log, nil)
	return rates{Backend: c, counters: c}
}

// load brings the counters into memory. Redis has no need of it.
func (r rates) load(ctx context.Context) error {
	if r.counters == nil {
		return nil
	}
	return r.counters.Load(ctx)
}

// run keeps the counters until ctx is done. It ends when nothing counts any more.
func (r rates) run(ctx context.Context) error {
	if r.counters != nil {
		return r.counters.Run(ctx)
	}
	<-ctx.Done()
	return r.redis.Close()
}

// healthChecks has a component for Redis, under James's name.
func (r rates) healthChecks() []webadmin.HealthCheck {
	if r.redis == nil {
		return nil
	}
	return []webadmin.HealthCheck{{Name: "Redis", Check: func(ctx context.Context) (webadmin.HealthStatus, string) {
		if err := r.redis.Ping(ctx); err != nil {
			return webadmin.Degraded, "Can not connect to Redis: " + err.Error()
		}
		return webadmin.Healthy, ""
	}}}
}
