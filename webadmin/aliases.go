package webadmin

import (
	"net/http"
	"slices"

	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) aliasRoutes(rt *router) {
	rt.handle(http.MethodGet, "/address/aliases", s.getAliasTargets)
	rt.handle(http.MethodGet, "/address/aliases/{target}", s.getAliases)
	rt.handle(http.MethodPut, "/address/aliases/{target}/sources/{alias}", s.changeAlias)
	rt.handle(http.MethodDelete, "/address/aliases/{target}/sources/{alias}", s.changeAlias)
}

// getAliasTargets lists the addresses that have aliases.
func (s *Server) getAliasTargets(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Directory.AllMappings(r.Context())
	if err != nil {
		return err
	}
	targets := []string{}
	for _, list := range all {
		for _, m := range list {
			if m.Type == local.MapAlias {
				targets = append(targets, m.Target)
			}
		}
	}
	slices.Sort(targets)
	return ok(w, slices.Compact(targets))
}

func (s *Server) getAliases(w http.ResponseWriter, r *http.Request) error {
	target, err := addressParam(r, "target", "alias")
	if err != nil {
		return err
	}
	sources, err := s.deps.Directory.SourcesOf(r.Context(), local.Mapping{Type: local.MapAlias, Target: target.String()})
	if err != nil {
		return err
	}
	views := []sourceView{}
	for _, src := range sources {
		views = append(views, sourceView{sourceAddress(src)})
	}
	return ok(w, views)
}

func (s *Server) changeAlias(w http.ResponseWriter, r *http.Request) error {
	target, err := addressParam(r, "target", "alias")
	if err != nil {
		return err
	}
	alias, err := addressParam(r, "alias", "alias")
	if err != nil {
		return err
	}
	if r.Method == http.MethodPut {
		if alias.Equal(target) {
			return badRequest("Source and destination can't be the same!")
		}
		is, err := s.deps.Directory.IsLocalDomain(r.Context(), target.Domain)
		if err != nil {
			return err
		}
		if !is {
			return badRequest("Domain in the destination is not managed by the DomainList")
		}
	}
	return s.change(w, r, alias, local.Mapping{Type: local.MapAlias, Target: target.String()})
}
