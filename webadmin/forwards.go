package webadmin

import (
	"net/http"

	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) forwardRoutes(rt *router) {
	rt.handle(http.MethodGet, "/address/forwards", s.getForwards)
	rt.handle(http.MethodGet, "/address/forwards/{source}", s.getForward)
	rt.handle(http.MethodPut, "/address/forwards/{source}", noForwardTarget)
	rt.handle(http.MethodDelete, "/address/forwards/{source}", noForwardTarget)
	rt.handle(http.MethodPut, "/address/forwards/{source}/targets/{target}", s.changeForward)
	rt.handle(http.MethodDelete, "/address/forwards/{source}/targets/{target}", s.changeForward)
}

func (s *Server) getForwards(w http.ResponseWriter, r *http.Request) error {
	sources, err := s.sourcesWith(r.Context(), local.MapForward)
	if err != nil {
		return err
	}
	return ok(w, sources)
}

func (s *Server) getForward(w http.ResponseWriter, r *http.Request) error {
	source, err := addressParam(r, "source", "base forward")
	if err != nil {
		return err
	}
	targets, err := s.targetsOf(r.Context(), source.String(), local.MapForward)
	if err != nil {
		return err
	}
	if targets == nil {
		return notFoundInvalid("The forward does not exist")
	}
	views := []struct {
		Address string `json:"mailAddress"`
	}{}
	for _, t := range targets {
		views = append(views, struct {
			Address string `json:"mailAddress"`
		}{t})
	}
	return ok(w, views)
}

func noForwardTarget(http.ResponseWriter, *http.Request) error {
	return badRequest("A destination address needs to be specified in the path")
}

func (s *Server) changeForward(w http.ResponseWriter, r *http.Request) error {
	source, err := addressParam(r, "source", "base forward")
	if err != nil {
		return err
	}
	target, err := addressParam(r, "target", "target forward")
	if err != nil {
		return err
	}
	if r.Method == http.MethodPut {
		exists, err := s.deps.Directory.UserExists(r.Context(), source)
		if err != nil {
			return err
		}
		if !exists {
			return notFoundInvalid("Requested base forward address does not correspond to a user")
		}
	}
	return s.change(w, r, source, local.Mapping{Type: local.MapForward, Target: target.String()})
}
