package webadmin

import (
	"errors"
	"net/http"

	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) userRoutes(rt *router) {
	rt.handle(http.MethodGet, "/users", s.getUsers)
	rt.handle(http.MethodPut, "/users/{user}", s.putUser)
	rt.handle(http.MethodDelete, "/users/{user}", s.deleteUser)
	rt.handle(http.MethodHead, "/users/{user}", s.headUser)
	rt.handle(http.MethodPost, "/users/{user}", s.postUser)
	rt.handle(http.MethodPost, "/users/{user}/verify", s.verifyUser)
	rt.handle(http.MethodGet, "/users/{user}/allowedFromHeaders", s.getAllowedFrom)
	rt.handle(http.MethodGet, "/users/{user}/authorizedUsers", s.delegation)
	rt.handle(http.MethodDelete, "/users/{user}/authorizedUsers", s.delegation)
	rt.handle(http.MethodPut, "/users/{user}/authorizedUsers/{delegate}", s.delegation)
	rt.handle(http.MethodDelete, "/users/{user}/authorizedUsers/{delegate}", s.delegation)
	rt.handle(http.MethodPost, "/users/{old}/rename/{new}", s.renameUser)
}

type userView struct {
	Username string `json:"username"`
}

func (s *Server) getUsers(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Directory.Users(r.Context())
	if err != nil {
		return err
	}
	list := arrayWriter{w: w}
	for _, u := range all {
		if err = list.add(userView{u}); err != nil {
			break
		}
	}
	return list.close(err)
}

// userName reads a user name from the path, in its normal form.
func (s *Server) userName(r *http.Request, segment string) (string, error) {
	name, err := s.deps.Directory.CheckUserName(r.Context(), param(r, segment))
	if isRule(err, local.ErrInvalidUser) {
		return "", badRequest("Username supplied is invalid").because(errors.New(ruleText(err)))
	}
	return name, err
}

// existing reads a user name from the path and tells whether there is such a
// user. A name that cannot be one is nobody's.
func (s *Server) existing(r *http.Request, segment string) (name string, exists bool, err error) {
	given := param(r, segment)
	name, err = s.deps.Directory.CheckUserName(r.Context(), given)
	if isRule(err, local.ErrInvalidUser) {
		// A user of a domain that was removed meanwhile is still there.
		exists, err = s.deps.Directory.HasUser(r.Context(), given)
		return given, exists, err
	}
	if err == nil {
		exists, err = s.deps.Directory.HasUser(r.Context(), name)
	}
	return name, exists, err
}

type passwordBody struct {
	Password *string `json:"password"`
}

// readPassword reads {"password":"..."}.
func readPassword(w http.ResponseWriter, r *http.Request) (string, error) {
	var b passwordBody
	if err := readJSON(w, r, maxBody, &b); err != nil {
		return "", err
	}
	if b.Password == nil {
		return "", errors.New("password is missing")
	}
	return *b.Password, nil
}

func (s *Server) putUser(w http.ResponseWriter, r *http.Request) error {
	password, err := readPassword(w, r)
	if err != nil {
		return invalidJSON(err)
	}
	name, err := s.userName(r, "user")
	if err != nil {
		return err
	}
	change := s.deps.Directory.AddUser
	if r.URL.Query().Has("force") {
		change = s.deps.Directory.SetPassword
	}
	err = change(r.Context(), name, password)
	var rule *local.RuleError
	switch {
	case errors.As(err, &rule):
		return ruled(err)
	case err != nil:
		return serverError(err, "Error while upserting user '%s'", name)
	}
	return noContent(w)
}

// wellFormed refuses a name that no user could have. One in a domain that is
// not listed is only unknown.
func (s *Server) wellFormed(r *http.Request, segment string) error {
	_, err := s.userName(r, segment)
	var e *apiError
	if errors.As(err, &e) && e.Details != nil && *e.Details == "Domain does not exist in DomainList" {
		return nil
	}
	return err
}

func (s *Server) deleteUser(w http.ResponseWriter, r *http.Request) error {
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return err
	}
	if exists {
		err = ruled(s.deps.Directory.DeleteUser(r.Context(), name))
	} else {
		err = s.wellFormed(r, "user")
	}
	if err != nil {
		return err
	}
	return noContent(w)
}

func (s *Server) headUser(w http.ResponseWriter, r *http.Request) error {
	_, exists, err := s.existing(r, "user")
	if err == nil && !exists {
		err = s.wellFormed(r, "user")
	}
	if err != nil {
		return err
	}
	status := http.StatusOK
	if !exists {
		status = http.StatusNotFound
	}
	w.WriteHeader(status)
	return nil
}

func (s *Server) verifyUser(w http.ResponseWriter, r *http.Request) error {
	password, err := readPassword(w, r)
	if err != nil {
		return badRequest("Error while deserializing verifyUser request").because(err)
	}
	name := param(r, "user")
	if len(name) > 255 {
		return illegalArgument("username length should not be longer than 255 characters")
	}
	_, right, err := s.deps.Directory.Authenticate(r.Context(), name, password)
	if err != nil {
		return err
	}
	if !right {
		w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	return noContent(w)
}

func (s *Server) getAllowedFrom(w http.ResponseWriter, r *http.Request) error {
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return err
	}
	if !exists {
		return notFoundInvalid("user '%s' does not exist", name)
	}
	list, err := s.deps.Directory.SenderAddresses(r.Context(), name)
	if err != nil {
		return err
	}
	if list == nil {
		list = []string{}
	}
	return ok(w, list)
}

// delegation answers that users act for themselves alone here.
func (s *Server) delegation(_ http.ResponseWriter, r *http.Request) error {
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return err
	}
	if !exists {
		return notFound("User '%s' does not exist", name)
	}
	return apiErrorf(http.StatusMethodNotAllowed, typeInvalid, "This version of James does not support delegation.")
}

// postUser deletes the data of a user.
func (s *Server) postUser(w http.ResponseWriter, r *http.Request) error {
	if _, err := action(r, "deleteData"); err != nil {
		return err
	}
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return err
	}
	if !exists && !r.URL.Query().Has("force") {
		return illegalArgument("'username' parameter should be an existing user")
	}
	from, err := fromStep(r, s.deleteSteps(name))
	if err != nil {
		return err
	}
	return s.submit(w, r, s.newDeleteUserData(name, from))
}

// renameUser makes mail for the old name reach the new one.
func (s *Server) renameUser(w http.ResponseWriter, r *http.Request) error {
	if _, err := action(r, "rename"); err != nil {
		return err
	}
	from, fromExists, err := s.existing(r, "old")
	if err != nil {
		return err
	}
	to, toExists, err := s.existing(r, "new")
	if err != nil {
		return err
	}
	switch {
	case !fromExists && !r.URL.Query().Has("force"):
		return illegalArgument("'oldUser' parameter should be an existing user")
	case !toExists:
		return illegalArgument("'newUser' parameter should be an existing user")
	case from == to:
		return illegalArgument("'newUser' should be distinct from 'oldUser'")
	}
	step, err := fromStep(r, s.renameSteps(from, to))
	if err != nil {
		return err
	}
	return s.submit(w, r, s.newRenameUser(from, to, step))
}
