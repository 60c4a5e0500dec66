package webadmin

import (
	"context"
	"testing"
)

func always(name string, status HealthStatus, cause string) HealthCheck {
	return HealthCheck{name, func(context.Context) (HealthStatus, string) { return status, cause }}
}

func TestHealth(t *testing.T) {
	const (
		life  = `{"componentName":"Guice application lifecycle","escapedComponentName":"Guice%20application%20lifecycle","status":"healthy","cause":null}`
		repo  = `{"componentName":"EmptyErrorMailRepository","escapedComponentName":"EmptyErrorMailRepository","status":"degraded","cause":"MailRepository is not empty"}`
		store = `{"componentName":"SQLite backend","escapedComponentName":"SQLite%20backend","status":"unhealthy","cause":"disk full"}`
	)
	checks := []HealthCheck{
		always(LifecycleHealth, Healthy, "not shown"), always(ErrorRepositoryHealth, Degraded, "MailRepository is not empty"),
		always(StoreHealth, Unhealthy, "disk full"),
	}
	two := newBench(t, Config{}, func(d *Deps) { d.Health = checks[:2] })
	two.want("GET", "/healthcheck", "", 200, `{"status":"degraded","checks":[`+life+","+repo+"]}")
	two.want("GET", "/healthcheck?strict", "", 503, `{"status":"degraded","checks":[`+life+","+repo+"]}")
	two.want("GET", "/healthcheck?check=Guice%20application%20lifecycle&strict", "", 200, `{"status":"healthy","checks":[`+life+"]}")
	two.want("GET", "/healthcheck?check=Guice+application+lifecycle&check=EmptyErrorMailRepository", "", 200, `{"status":"degraded","checks":[`+life+","+repo+"]}")
	two.wantError("GET", "/healthcheck?check=a&check=EmptyErrorMailRepository&check=b", "", 404, "notFound", "Components with name a, b cannot be found", "")
	two.want("GET", "/healthcheck/checks", "", 200, `[{"componentName":"Guice application lifecycle","escapedComponentName":"Guice%20application%20lifecycle"},{"componentName":"EmptyErrorMailRepository","escapedComponentName":"EmptyErrorMailRepository"}]`)
	two.want("GET", "/healthcheck/checks/EmptyErrorMailRepository", "", 200, repo)
	two.want("GET", "/healthcheck/checks/EmptyErrorMailRepository?strict", "", 503, repo)
	two.want("GET", "/healthcheck/checks/Guice%20application%20lifecycle", "", 200, life)
	two.wantError("GET", "/healthcheck/checks/X", "", 404, "notFound", "Component with name X cannot be found", "")

	three := newBench(t, Config{}, func(d *Deps) { d.Health = checks })
	three.want("GET", "/healthcheck", "", 503, `{"status":"unhealthy","checks":[`+life+","+repo+","+store+"]}")
	three.want("GET", "/healthcheck/checks/SQLite%20backend", "", 503, store)

	none := newBench(t, Config{}, nil)
	none.want("GET", "/healthcheck", "", 200, `{"status":"healthy","checks":[]}`)
	none.want("GET", "/healthcheck/checks", "", 200, "[]")
}

func TestErrorRepositoryHealth(t *testing.T) {
	b := newBench(t, Config{}, func(d *Deps) { d.ErrorRepository = repo(errorRepo) })
	const healthy = `{"componentName":"EmptyErrorMailRepository","escapedComponentName":"EmptyErrorMailRepository","status":"healthy","cause":null}`
	b.want("GET", "/healthcheck/checks/EmptyErrorMailRepository", "", 200, healthy)
	m := b.put(errorRepo, "m1", nil)
	b.want("GET", "/healthcheck/checks/EmptyErrorMailRepository", "", 200, `{"componentName":"EmptyErrorMailRepository","escapedComponentName":"EmptyErrorMailRepository","status":"degraded","cause":"MailRepository is not empty"}`)
	b.store.drop(repo(errorRepo), m.Name)
	b.want("GET", "/healthcheck/checks/EmptyErrorMailRepository", "", 200, healthy)
	b.store.fail = errDisk
	b.want("GET", "/healthcheck/checks/EmptyErrorMailRepository", "", 503, `{"componentName":"EmptyErrorMailRepository","escapedComponentName":"EmptyErrorMailRepository","status":"unhealthy","cause":"disk full"}`)
}
