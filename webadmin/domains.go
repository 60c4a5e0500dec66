package webadmin

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) domainRoutes(rt *router) {
	rt.handle(http.MethodGet, "/domains", s.getDomains)
	rt.handle(http.MethodGet, "/domains/{domain}", s.getDomain)
	rt.handle(http.MethodPut, "/domains/{domain}", s.putDomain)
	rt.handle(http.MethodDelete, "/domains/{domain}", s.deleteDomain)
	rt.handle(http.MethodPost, "/domains/{domain}", s.postDomain)
	rt.handle(http.MethodGet, "/domains/{domain}/users", s.getDomainUsers)
	rt.handle(http.MethodGet, "/domains/{domain}/aliases", s.getDomainAliases)
	rt.handle(http.MethodPut, "/domains/{domain}/aliases/{source}", s.putDomainAlias)
	rt.handle(http.MethodDelete, "/domains/{domain}/aliases/{source}", s.deleteDomainAlias)
}

func (s *Server) getDomains(w http.ResponseWriter, r *http.Request) error {
	list, err := s.deps.Directory.Domains(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []string{}
	}
	return ok(w, list)
}

// domainParam reads a domain from the path.
func domainParam(r *http.Request, name string) (string, error) {
	given := param(r, name)
	d, err := container.ParseDomain(given)
	if err != nil {
		return "", badRequest("Invalid request for domain creation %s", given).because(err)
	}
	return d, nil
}

func notListed(domain string) *apiError {
	return notFoundInvalid("The domain list does not contain: %s", domain)
}

// listedDomain reads a domain from the path, which must be in the list.
func (s *Server) listedDomain(r *http.Request, name string) (string, error) {
	d, err := domainParam(r, name)
	if err != nil {
		return "", err
	}
	is, err := s.deps.Directory.IsLocalDomain(r.Context(), d)
	if err == nil && !is {
		err = notListed(d)
	}
	return d, err
}

func (s *Server) getDomain(w http.ResponseWriter, r *http.Request) error {
	d, err := container.ParseDomain(param(r, "domain"))
	if err != nil {
		return notListed(param(r, "domain"))
	}
	is, err := s.deps.Directory.IsLocalDomain(r.Context(), d)
	if err != nil {
		return err
	}
	if !is {
		return notListed(d)
	}
	return noContent(w)
}

func (s *Server) putDomain(w http.ResponseWriter, r *http.Request) error {
	d, err := domainParam(r, "domain")
	if err != nil {
		return err
	}
	err = s.deps.Directory.AddDomain(r.Context(), d)
	if isRule(err, local.ErrReadOnly) {
		s.log.WarnContext(r.Context(), "domain not added", "domain", d, "err", err) // as James
		return noContent(w)
	}
	if err != nil {
		return ruled(err)
	}
	return noContent(w)
}

func (s *Server) deleteDomain(w http.ResponseWriter, r *http.Request) error {
	d, err := domainParam(r, "domain")
	if err != nil {
		return err
	}
	err = s.deps.Directory.RemoveDomain(r.Context(), d)
	if isRule(err, local.ErrNotRemovable) {
		return badRequest("Can not remove domain").because(errors.New(ruleText(err)))
	}
	if err != nil {
		return ruled(err)
	}
	return noContent(w)
}

// ruleText returns the text of a refusal without what was wrapped around it.
func ruleText(err error) string {
	var rule *local.RuleError
	if errors.As(err, &rule) {
		return rule.Text
	}
	return err.Error()
}

func (s *Server) getDomainUsers(w http.ResponseWriter, r *http.Request) error {
	d, err := s.listedDomain(r, "domain")
	if err != nil {
		return err
	}
	users, err := s.usersOf(r, d)
	if err != nil {
		return err
	}
	return ok(w, users)
}

// usersOf returns the users in a domain.
func (s *Server) usersOf(r *http.Request, domain string) ([]string, error) {
	all, err := s.deps.Directory.Users(r.Context())
	if err != nil {
		return nil, err
	}
	users := []string{}
	for _, u := range all {
		if strings.HasSuffix(u, "@"+domain) {
			users = append(users, u)
		}
	}
	return users, nil
}

type sourceView struct {
	Source string `json:"source"`
}

func (s *Server) getDomainAliases(w http.ResponseWriter, r *http.Request) error {
	d, err := domainParam(r, "domain")
	if err != nil {
		return err
	}
	sources, err := s.deps.Directory.SourcesOf(r.Context(), local.Mapping{Type: local.MapDomainAlias, Target: d})
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		is, err := s.deps.Directory.IsLocalDomain(r.Context(), d)
		if err != nil {
			return err
		}
		if !is {
			return notFoundInvalid("The following domain is not in the domain list and has no registered local aliases: %s", d)
		}
	}
	views := []sourceView{}
	for _, src := range sources {
		views = append(views, sourceView{src})
	}
	return ok(w, views)
}

// domainAlias reads a domain alias from the path. The destination may be a
// domain of somebody else.
func (s *Server) domainAlias(r *http.Request) (source string, m local.Mapping, err error) {
	dest, err := domainParam(r, "domain")
	if err != nil {
		return "", m, err
	}
	if source, err = s.listedDomain(r, "source"); err != nil {
		return "", m, err
	}
	if source == dest {
		return "", m, badRequest("Source domain and destination domain can not have same value(%s)", dest)
	}
	return source, local.Mapping{Type: local.MapDomainAlias, Target: dest}, nil
}

func (s *Server) putDomainAlias(w http.ResponseWriter, r *http.Request) error {
	source, m, err := s.domainAlias(r)
	if err != nil {
		return err
	}
	if err := s.deps.Directory.AddMapping(r.Context(), source, m); err != nil {
		return ruled(err)
	}
	return noContent(w)
}

func (s *Server) deleteDomainAlias(w http.ResponseWriter, r *http.Request) error {
	source, m, err := s.domainAlias(r)
	if err != nil {
		return err
	}
	if err := s.deps.Directory.RemoveMapping(r.Context(), source, m); err != nil {
		return ruled(err)
	}
	return noContent(w)
}

// postDomain deletes the data of all users in a domain.
func (s *Server) postDomain(w http.ResponseWriter, r *http.Request) error {
	if _, err := action(r, "deleteData"); err != nil {
		return err
	}
	d, err := domainParam(r, "domain")
	if err != nil {
		return err
	}
	is, err := s.deps.Directory.IsLocalDomain(r.Context(), d)
	if err != nil {
		return err
	}
	if !is {
		return illegalArgument("'domainName' parameter should be an existing domain")
	}
	from, err := fromStep(r, s.deleteSteps(""))
	if err != nil {
		return err
	}
	return s.submit(w, r, &deleteDomainData{dir: s.deps.Directory, steps: s.deleteSteps, domain: d, from: from, log: s.log})
}
