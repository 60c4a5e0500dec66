package webadmin

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
)

// defineRoutes makes the table of all routes.
func (s *Server) defineRoutes() {
	rt := newRouter()
	s.healthRoutes(rt)
	s.taskRoutes(rt)
	s.repositoryRoutes(rt)
	s.queueRoutes(rt)
	rt.handle(http.MethodPost, "/mail-transfer-service", s.transfer)
	s.serverRoutes(rt)
	s.metricsRoutes(rt)
	rt.handle(http.MethodGet, "/openapi.json", s.getOpenAPI)
	if s.deps.Directory != nil {
		s.domainRoutes(rt)
		s.userRoutes(rt)
		s.aliasRoutes(rt)
		s.forwardRoutes(rt)
		s.groupRoutes(rt)
		s.mappingRoutes(rt)
		s.domainMappingRoutes(rt)
		if s.deps.DLP != nil {
			s.dlpRoutes(rt)
		}
		if s.deps.Sieve != nil {
			s.sieveRoutes(rt)
		}
		if s.deps.Vacations != nil {
			s.vacationRoutes(rt)
		}
	}
	if s.deps.Quotas != nil && s.deps.Directory != nil {
		s.quotaRoutes(rt)
	}
	if s.deps.DropLists != nil {
		s.dropListRoutes(rt)
	}
	s.routes = rt
	s.handler = http.HandlerFunc(s.serve)
}

// metricsRoutes offers /metrics when the configuration names James's class.
func (s *Server) metricsRoutes(rt *router) {
	if !s.cfg.Metrics || s.deps.Metrics == nil {
		return
	}
	rt.handle(http.MethodGet, "/metrics", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Del("Content-Type")
		var g prometheus.Gatherer = prometheus.Gatherers{s.deps.Metrics, s.figures}
		if names := r.URL.Query()["name[]"]; len(names) > 0 {
			g = chosen(g, names)
		}
		promhttp.HandlerFor(g, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
		return nil
	})
}

// chosen gathers the metrics with the given names only.
func chosen(g prometheus.Gatherer, names []string) prometheus.Gatherer {
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		all, err := g.Gather()
		var out []*dto.MetricFamily
		for _, f := range all {
			if wanted[f.GetName()] {
				out = append(out, f)
			}
		}
		return out, err
	})
}
