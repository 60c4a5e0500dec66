package webadmin

import (
	"net/http"

	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) groupRoutes(rt *router) {
	rt.handle(http.MethodGet, "/address/groups", s.getGroups)
	rt.handle(http.MethodGet, "/address/groups/{group}", s.getGroup)
	rt.handle(http.MethodPut, "/address/groups/{group}", noGroupMember)
	rt.handle(http.MethodDelete, "/address/groups/{group}", noGroupMember)
	rt.handle(http.MethodPut, "/address/groups/{group}/{member}", s.changeGroup)
	rt.handle(http.MethodDelete, "/address/groups/{group}/{member}", s.changeGroup)
}

func (s *Server) getGroups(w http.ResponseWriter, r *http.Request) error {
	sources, err := s.sourcesWith(r.Context(), local.MapGroup)
	if err != nil {
		return err
	}
	return ok(w, sources)
}

func (s *Server) getGroup(w http.ResponseWriter, r *http.Request) error {
	group, err := addressParam(r, "group", "group")
	if err != nil {
		return err
	}
	members, err := s.targetsOf(r.Context(), group.String(), local.MapGroup)
	if err != nil {
		return err
	}
	if members == nil {
		return notFoundInvalid("The group does not exist")
	}
	return ok(w, members)
}

// noGroupMember answers as James does: without a body.
func noGroupMember(http.ResponseWriter, *http.Request) error {
	e := badRequest("a group is changed by its members")
	e.empty = true
	return e
}

func (s *Server) changeGroup(w http.ResponseWriter, r *http.Request) error {
	group, err := addressParam(r, "group", "group")
	if err != nil {
		return err
	}
	member, err := addressParam(r, "member", "group member")
	if err != nil {
		return err
	}
	return s.change(w, r, group, local.Mapping{Type: local.MapGroup, Target: member.String()})
}
