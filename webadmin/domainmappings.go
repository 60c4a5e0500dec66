package webadmin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) domainMappingRoutes(rt *router) {
	rt.handle(http.MethodGet, "/domainMappings", s.getDomainMappings)
	rt.handle(http.MethodGet, "/domainMappings/{from}", s.getDomainMapping)
	rt.handle(http.MethodPut, "/domainMappings/{from}", s.changeDomainMapping)
	rt.handle(http.MethodDelete, "/domainMappings/{from}", s.changeDomainMapping)
}

// mappedDomain reads a domain of a domain mapping.
func mappedDomain(name string) (string, error) {
	d, err := container.ParseDomain(name)
	if err != nil {
		return "", badRequest("The domain %s is invalid.", name).because(err)
	}
	return d, nil
}

func (s *Server) getDomainMappings(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Directory.AllMappings(r.Context())
	if err != nil {
		return err
	}
	views := map[string][]string{}
	for source, list := range all {
		for _, m := range list {
			if m.Type == local.MapDomain {
				views[source] = append(views[source], m.Target)
			}
		}
		slices.Sort(views[source])
	}
	return ok(w, views)
}

func (s *Server) getDomainMapping(w http.ResponseWriter, r *http.Request) error {
	from, err := mappedDomain(param(r, "from"))
	if err != nil {
		return err
	}
	targets, err := s.targetsOf(r.Context(), from, local.MapDomain)
	if err != nil {
		return err
	}
	if targets == nil {
		return notFound("Cannot find mappings for %s", from)
	}
	return ok(w, targets)
}

// changeDomainMapping adds or removes the domain in the body. It stores the type
// Domain, which the other routes show; James stores DomainAlias, which they do
// not.
func (s *Server) changeDomainMapping(w http.ResponseWriter, r *http.Request) error {
	from, err := mappedDomain(param(r, "from"))
	if err != nil {
		return err
	}
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	to, err := mappedDomain(strings.TrimSpace(string(body)))
	if err != nil {
		return err
	}
	return s.change(w, r, container.Address{Local: "*", Domain: from}, local.Mapping{Type: local.MapDomain, Target: to})
}
