package webadmin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container/local"
)

// dropListRoutes are those of James: the scope is global, domain or user; the
// global list has no owner. A HEAD route comes after the GET route of the same
// shape, whose place it takes.
func (s *Server) dropListRoutes(rt *router) {
	rt.handle(http.MethodGet, "/droplist/{scope}", s.getDropList)
	rt.handle(http.MethodGet, "/droplist/{scope}/{owner}", s.getDropList)
	for _, pattern := range []string{"/droplist/{scope}/{denied}", "/droplist/{scope}/{owner}/{denied}"} {
		rt.handle(http.MethodPut, pattern, s.putDenied)
		rt.handle(http.MethodDelete, pattern, s.deleteDenied)
		rt.handle(http.MethodHead, pattern, s.headDenied)
	}
}

func dropScope(r *http.Request) (local.DropScope, error) {
	scope := local.DropScope(strings.ToUpper(param(r, "scope")))
	switch scope {
	case local.DropGlobal, local.DropDomain, local.DropUser:
		return scope, nil
	}
	return "", badRequest("Invalid OwnerScope").because(
		fmt.Errorf("OwnerScope '%s' is invalid. Supported values are [GLOBAL, DOMAIN, USER]", param(r, "scope")))
}

// dropOwner reads whose list is meant.
func dropOwner(r *http.Request) (local.DropOwner, error) {
	scope, err := dropScope(r)
	if err != nil {
		return local.DropOwner{}, err
	}
	return local.ParseDropOwner(scope, param(r, "owner"))
}

// droppedEntry reads whose list is meant, and what is on it.
func droppedEntry(r *http.Request) (o local.DropOwner, denied string, err error) {
	if o, err = dropOwner(r); err != nil {
		return o, "", err
	}
	denied, err = local.ParseDenied(param(r, "denied"))
	return o, denied, err
}

func (s *Server) getDropList(w http.ResponseWriter, r *http.Request) error {
	wanted := strings.ToUpper(r.URL.Query().Get("deniedEntityType"))
	if !slices.Contains([]string{"", "ADDRESS", "DOMAIN"}, wanted) {
		return badRequest("Invalid DeniedEntityType").because(fmt.Errorf(
			"DeniedEntityType '%s' is invalid. Supported values are [ADDRESS, DOMAIN]", r.URL.Query().Get("deniedEntityType")))
	}
	o, err := dropOwner(r)
	if isRule(err, local.ErrInvalid) {
		return ok(w, []string{}) // nobody's list
	}
	if err != nil {
		return err
	}
	list, err := s.deps.DropLists.List(r.Context(), o)
	if err != nil {
		return err
	}
	shown := []string{}
	for _, denied := range list {
		if wanted == "" || local.IsDeniedAddress(denied) == (wanted == "ADDRESS") {
			shown = append(shown, denied)
		}
	}
	return ok(w, shown)
}

func (s *Server) putDenied(w http.ResponseWriter, r *http.Request) error {
	o, denied, err := droppedEntry(r)
	if err != nil {
		return ruled(err)
	}
	if err := s.deps.DropLists.Add(r.Context(), o, denied); err != nil {
		return err
	}
	return noContent(w)
}

func (s *Server) deleteDenied(w http.ResponseWriter, r *http.Request) error {
	o, denied, err := droppedEntry(r)
	if isRule(err, local.ErrInvalid) {
		return noContent(w) // it is on nobody's list
	}
	if err == nil {
		err = s.deps.DropLists.Remove(r.Context(), o, denied)
	}
	if err != nil {
		return err
	}
	return noContent(w)
}

// headDenied answers 204 when the list has the entry, 404 when it has not.
func (s *Server) headDenied(w http.ResponseWriter, r *http.Request) error {
	o, denied, err := droppedEntry(r)
	has := false
	if err == nil {
		has, err = s.deps.DropLists.Has(r.Context(), o, denied)
	}
	if err != nil && !isRule(err, local.ErrInvalid) {
		return err
	}
	if !has {
		w.WriteHeader(http.StatusNotFound)
		return nil
	}
	return noContent(w)
}
