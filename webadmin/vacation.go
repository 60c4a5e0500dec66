package webadmin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mailetd/mailetd/container/local"
)

// vacationRoutes are those of James, and PUT, which replaces what POST changes.
func (s *Server) vacationRoutes(rt *router) {
	rt.handle(http.MethodGet, "/vacation/{user}", s.getVacation)
	rt.handle(http.MethodPost, "/vacation/{user}", s.postVacation)
	rt.handle(http.MethodPut, "/vacation/{user}", s.putVacation)
	rt.handle(http.MethodDelete, "/vacation/{user}", s.deleteVacation)
}

// vacationView is a vacation as James shows it. What is nil is not set, or not to be
// changed.
type vacationView struct {
	Enabled  *bool   `json:"enabled"`
	FromDate *string `json:"fromDate"`
	ToDate   *string `json:"toDate"`
	Subject  *string `json:"subject"`
	TextBody *string `json:"textBody"`
	HTMLBody *string `json:"htmlBody"`
}

// apply changes v to what the client has sent.
func (c vacationView) apply(v *local.Vacation) error {
	if c.Enabled != nil {
		v.Enabled = *c.Enabled
	}
	for _, d := range [...]struct {
		name string
		text *string
		at   *time.Time
	}{{"fromDate", c.FromDate, &v.From}, {"toDate", c.ToDate, &v.To}} {
		if d.text == nil {
			continue
		}
		at, err := parseInstant(*d.text)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		*d.at = at
	}
	for _, t := range [...]struct {
		text *string
		to   *string
	}{{c.Subject, &v.Subject}, {c.TextBody, &v.Text}, {c.HTMLBody, &v.HTML}} {
		if t.text != nil {
			*t.to = *t.text
		}
	}
	if !v.From.IsZero() && !v.To.IsZero() && v.To.Before(v.From) {
		return errors.New("toDate is before fromDate")
	}
	return nil
}

// parseInstant reads a date of ISO 8601 with an offset, as java.time.ZonedDateTime
// writes it: the seconds and the name of a zone behind it can be left out.
func parseInstant(text string) (time.Time, error) {
	date, _, _ := strings.Cut(text, "[")
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, date); err == nil {
			return t.UTC().Truncate(time.Millisecond), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date such as 2026-08-22T06:44:35Z", text)
}

// vacationUser reads whose vacation is meant.
func (s *Server) vacationUser(r *http.Request) (string, error) {
	name, exists, err := s.existing(r, "user")
	if err != nil {
		return "", err
	}
	if !exists {
		return "", notFound("The user '%s' does not exist", strings.ToLower(name))
	}
	return strings.ToLower(name), nil
}

func (s *Server) getVacation(w http.ResponseWriter, r *http.Request) error {
	user, err := s.vacationUser(r)
	if err != nil {
		return err
	}
	v, err := s.deps.Vacations.Vacation(r.Context(), user)
	if err != nil {
		return err
	}
	return ok(w, vacationView{&v.Enabled, instant(v.From), instant(v.To), optional(v.Subject), optional(v.Text), optional(v.HTML)})
}

// postVacation changes what the body names.
func (s *Server) postVacation(w http.ResponseWriter, r *http.Request) error {
	return s.changeVacation(w, r, s.deps.Vacations.Vacation)
}

// putVacation replaces the vacation.
func (s *Server) putVacation(w http.ResponseWriter, r *http.Request) error {
	return s.changeVacation(w, r, nil)
}

// changeVacation changes what before returns; nil: a vacation that says nothing.
func (s *Server) changeVacation(w http.ResponseWriter, r *http.Request, before func(context.Context, string) (local.Vacation, error)) error {
	user, err := s.vacationUser(r)
	if err != nil {
		return err
	}
	var change vacationView
	if err := readJSON(w, r, maxBody, &change); err != nil {
		return invalidJSON(err)
	}
	var v local.Vacation
	if before != nil {
		if v, err = before(r.Context(), user); err != nil {
			return err
		}
	}
	if err := change.apply(&v); err != nil {
		return invalidJSON(err)
	}
	if err := s.deps.Vacations.SetVacation(r.Context(), user, v); err != nil {
		return err
	}
	return noContent(w)
}

func (s *Server) deleteVacation(w http.ResponseWriter, r *http.Request) error {
	user, err := s.vacationUser(r)
	if err != nil {
		return err
	}
	if err := s.deps.Vacations.SetVacation(r.Context(), user, local.Vacation{}); err != nil {
		return err
	}
	return noContent(w)
}
