package webadmin

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container/local"
)

// sieveRoutes are those of James, quotas and the upload of a script, and what it
// takes to look at scripts and to get rid of them.
func (s *Server) sieveRoutes(rt *router) {
	rt.handle(http.MethodGet, "/sieve/quota/default", s.getDefaultSieveQuota)
	rt.handle(http.MethodPut, "/sieve/quota/default", s.putDefaultSieveQuota)
	rt.handle(http.MethodDelete, "/sieve/quota/default", s.deleteDefaultSieveQuota)
	rt.handle(http.MethodGet, "/sieve/quota/users/{user}", s.getSieveQuota)
	rt.handle(http.MethodPut, "/sieve/quota/users/{user}", s.putSieveQuota)
	rt.handle(http.MethodDelete, "/sieve/quota/users/{user}", s.deleteSieveQuota)
	rt.handle(http.MethodGet, "/sieve/{user}/scripts", s.getScripts)
	rt.handle(http.MethodGet, "/sieve/{user}/scripts/{script}", s.getScript)
	rt.handle(http.MethodPut, "/sieve/{user}/scripts/{script}", s.putScript)
	rt.handle(http.MethodPost, "/sieve/{user}/scripts/{script}", s.postScript)
	rt.handle(http.MethodDelete, "/sieve/{user}/scripts/{script}", s.deleteScript)
}

func (s *Server) getDefaultSieveQuota(w http.ResponseWriter, r *http.Request) error {
	return s.showSieveQuota(w, r, "")
}

func (s *Server) putDefaultSieveQuota(w http.ResponseWriter, r *http.Request) error {
	return s.setSieveQuota(w, r, "")
}

func (s *Server) deleteDefaultSieveQuota(w http.ResponseWriter, r *http.Request) error {
	return s.removeSieveQuota(w, r, "")
}

func (s *Server) getSieveQuota(w http.ResponseWriter, r *http.Request) error {
	return s.ofQuotaUser(w, r, s.showSieveQuota)
}

func (s *Server) putSieveQuota(w http.ResponseWriter, r *http.Request) error {
	return s.ofQuotaUser(w, r, s.setSieveQuota)
}

func (s *Server) deleteSieveQuota(w http.ResponseWriter, r *http.Request) error {
	return s.ofQuotaUser(w, r, s.removeSieveQuota)
}

func (s *Server) ofQuotaUser(w http.ResponseWriter, r *http.Request, do func(http.ResponseWriter, *http.Request, string) error) error {
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return err
	}
	if !exists {
		return notFoundInvalid("User %s does not exist", name)
	}
	return do(w, r, strings.ToLower(name))
}

func (s *Server) showSieveQuota(w http.ResponseWriter, r *http.Request, user string) error {
	n, err := s.deps.Sieve.SieveQuota(r.Context(), user)
	switch {
	case err != nil:
		return err
	case n < 0:
		return noContent(w)
	}
	return ok(w, n)
}

func (s *Server) setSieveQuota(w http.ResponseWriter, r *http.Request, user string) error {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
	if err != nil {
		return badRequest("unrecognized integer number '%s'", body)
	}
	if n < 0 {
		return badRequest("Requested quota size have to be a positive integer")
	}
	if err := s.deps.Sieve.SetSieveQuota(r.Context(), user, n); err != nil {
		return err
	}
	return noContent(w)
}

func (s *Server) removeSieveQuota(w http.ResponseWriter, r *http.Request, user string) error {
	if err := s.deps.Sieve.SetSieveQuota(r.Context(), user, -1); err != nil {
		return err
	}
	return noContent(w)
}

// scriptUser reads whose scripts are meant.
func (s *Server) scriptUser(r *http.Request) (string, error) {
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return "", err
	}
	if !exists {
		return "", notFound("User not found")
	}
	return strings.ToLower(name), nil
}

// scriptOf reads which script is meant. Its name has no blanks at its ends.
func (s *Server) scriptOf(r *http.Request) (user, name string, err error) {
	if user, err = s.scriptUser(r); err != nil {
		return "", "", err
	}
	name = strings.TrimSpace(param(r, "script"))
	if err := local.CheckScriptName(name); err != nil {
		return "", "", badRequest("Invalid Sieve script name").because(errors.New(ruleText(err)))
	}
	return user, name, nil
}

// ofScript answers what the store says about a script.
func ofScript(user, name string, err error) error {
	switch {
	case errors.Is(err, local.ErrNotFound):
		return notFound("The user '%s' has no script '%s'", user, name)
	case errors.Is(err, local.ErrScriptActive):
		return conflict("The script '%s' is active: activate another one or none first", name)
	case errors.Is(err, local.ErrQuota):
		return badRequest("The Sieve scripts of the user would be larger than the quota").because(err)
	}
	return err
}

type scriptView struct {
	Name    string  `json:"name"`
	Size    int64   `json:"size"`
	Active  bool    `json:"active"`
	Updated *string `json:"updated"`
}

func (s *Server) getScripts(w http.ResponseWriter, r *http.Request) error {
	user, err := s.scriptUser(r)
	if err != nil {
		return err
	}
	list, err := s.deps.Sieve.SieveScripts(r.Context(), user)
	if err != nil {
		return err
	}
	views := []scriptView{}
	for _, sc := range list {
		views = append(views, scriptView{sc.Name, sc.Size, sc.Active, instant(sc.Updated)})
	}
	return ok(w, views)
}

func (s *Server) getScript(w http.ResponseWriter, r *http.Request) error {
	user, name, err := s.scriptOf(r)
	if err != nil {
		return err
	}
	_, text, err := s.deps.Sieve.SieveScript(r.Context(), user, name)
	if err != nil {
		return ofScript(user, name, err)
	}
	w.Header().Set("Content-Type", "application/sieve; charset=utf-8") // RFC 5228 §6.1
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // the client has gone: nobody to tell
	return nil
}

// putScript stores a script that compiles, and activates it when that is asked for.
func (s *Server) putScript(w http.ResponseWriter, r *http.Request) error {
	user, name, err := s.scriptOf(r)
	if err != nil {
		return err
	}
	activate := strings.ToLower(strings.TrimSpace(r.URL.Query().Get("activate")))
	if r.URL.Query().Has("activate") && activate != "true" && activate != "false" {
		return badRequest("Invalid activate query parameter")
	}
	text, err := readBody(w, r, maxBody)
	if err != nil {
		return err
	}
	if s.deps.CheckSieve != nil {
		if err := s.deps.CheckSieve(text); err != nil {
			return badRequest("The Sieve script is not valid").because(err)
		}
	}
	err = s.deps.Sieve.PutSieveScript(r.Context(), user, name, text)
	if err == nil && activate == "true" {
		err = s.deps.Sieve.ActivateSieveScript(r.Context(), user, name)
	}
	if err != nil {
		return ofScript(user, name, err)
	}
	return noContent(w)
}

// postScript makes a script the active one, or no longer the active one.
func (s *Server) postScript(w http.ResponseWriter, r *http.Request) error {
	what, err := action(r, "activate", "deactivate")
	if err != nil {
		return err
	}
	user, name, err := s.scriptOf(r)
	if err != nil {
		return err
	}
	if what == "deactivate" {
		return s.deactivate(w, r, user, name)
	}
	if err := s.deps.Sieve.ActivateSieveScript(r.Context(), user, name); err != nil {
		return ofScript(user, name, err)
	}
	return noContent(w)
}

func (s *Server) deactivate(w http.ResponseWriter, r *http.Request, user, name string) error {
	sc, _, err := s.deps.Sieve.SieveScript(r.Context(), user, name)
	if err == nil && sc.Active {
		err = s.deps.Sieve.ActivateSieveScript(r.Context(), user, "")
	}
	if err != nil {
		return ofScript(user, name, err)
	}
	return noContent(w)
}

func (s *Server) deleteScript(w http.ResponseWriter, r *http.Request) error {
	user, name, err := s.scriptOf(r)
	if err != nil {
		return err
	}
	if err := s.deps.Sieve.DeleteSieveScript(r.Context(), user, name); err != nil {
		return ofScript(user, name, err)
	}
	return noContent(w)
}
