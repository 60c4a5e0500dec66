package webadmin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) mappingRoutes(rt *router) {
	rt.handle(http.MethodGet, "/mappings", s.getMappings)
	rt.handle(http.MethodPut, "/mappings", s.putMappings)
	rt.handle(http.MethodGet, "/mappings/user/{user}", s.getUserMappings)
	rt.handle(http.MethodGet, "/mappings/sources/{target}", s.getSources)
	rt.handle(http.MethodDelete, "/mappings/sources/{target}", s.deleteSources)
	rt.handle(http.MethodPost, "/mappings/address/{source}/targets/{target}", s.changeAddressMapping)
	rt.handle(http.MethodDelete, "/mappings/address/{source}/targets/{target}", s.changeAddressMapping)
	rt.handle(http.MethodPost, "/mappings/regex/{source}/targets/{regex}", s.changeRegexMapping)
	rt.handle(http.MethodDelete, "/mappings/regex/{source}/targets/{regex}", s.changeRegexMapping)
}

type mappingView struct {
	Type    local.MappingType `json:"type"`
	Mapping string            `json:"mapping"`
}

func viewMappings(list []local.Mapping) []mappingView {
	views := []mappingView{}
	for _, m := range list {
		views = append(views, mappingView{m.Type, m.Target})
	}
	return views
}

// sourceAddress shows a source as an address: *@domain for a domain.
func sourceAddress(source string) string {
	if source == "*" || strings.Contains(source, "@") {
		return source
	}
	return "*@" + source
}

// addressParam reads an address from the path; what names it in the error.
func addressParam(r *http.Request, segment, what string) (container.Address, error) {
	a, err := container.ParseAddress(param(r, segment))
	if err != nil {
		return a, badRequest("The %s is not an email address", what).because(err)
	}
	return a, nil
}

// change adds a mapping on PUT and POST, and removes it on DELETE.
func (s *Server) change(w http.ResponseWriter, r *http.Request, source container.Address, m local.Mapping) error {
	f := s.deps.Directory.AddMapping
	if r.Method == http.MethodDelete {
		f = s.deps.Directory.RemoveMapping
	}
	if err := f(r.Context(), source.String(), m); err != nil {
		return ruled(err)
	}
	return noContent(w)
}

// sourcesWith returns the sources that have a mapping of the type, sorted.
func (s *Server) sourcesWith(ctx context.Context, t local.MappingType) ([]string, error) {
	all, err := s.deps.Directory.AllMappings(ctx)
	if err != nil {
		return nil, err
	}
	out := []string{}
	for source, list := range all {
		if slices.ContainsFunc(list, func(m local.Mapping) bool { return m.Type == t }) {
			out = append(out, sourceAddress(source))
		}
	}
	slices.Sort(out)
	return out, nil
}

// mappingsOf returns the mappings of a source in any spelling.
func (s *Server) mappingsOf(ctx context.Context, source string) ([]local.Mapping, error) {
	source, err := local.ParseSource(source)
	if err != nil {
		return nil, err
	}
	return s.deps.Directory.Mappings(ctx, source)
}

// targetsOf returns the targets of a type that a source has, sorted.
func (s *Server) targetsOf(ctx context.Context, source string, t local.MappingType) ([]string, error) {
	list, err := s.mappingsOf(ctx, source)
	if err != nil {
		return nil, ruled(err)
	}
	var out []string
	for _, m := range list {
		if m.Type == t {
			out = append(out, m.Target)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (s *Server) getMappings(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Directory.AllMappings(r.Context())
	if err != nil {
		return err
	}
	views := map[string][]mappingView{}
	for source, list := range all {
		if len(list) > 0 {
			views[source] = viewMappings(list)
		}
	}
	return ok(w, views)
}

// maxMappings bounds the body of PUT /mappings, in octets.
const maxMappings = 64 << 20

// putMappings stores a table without the checks of single mappings. All of it
// is read before any is stored.
func (s *Server) putMappings(w http.ResponseWriter, r *http.Request) error {
	var table map[string][]mappingView
	if err := readJSON(w, r, maxMappings, &table); err != nil {
		return badRequest("error parsing mappings").because(err)
	}
	for source, list := range table {
		if _, err := local.ParseSource(source); err != nil {
			return badRequest("error parsing mappings").because(err)
		}
		for _, v := range list {
			if !slices.Contains(mappingTypes, v.Type) {
				return badRequest("error parsing mappings").because(errors.New("unknown type " + string(v.Type)))
			}
			if strings.ContainsAny(v.Mapping, "\r\n\x00") {
				return badRequest("error parsing mappings").because(errors.New("the target of a mapping is on one line"))
			}
		}
	}
	for source, list := range table {
		for _, v := range list {
			if err := s.deps.Directory.PutMapping(r.Context(), source, local.Mapping{Type: v.Type, Target: v.Mapping}); err != nil {
				return serverError(err, "error adding mappings")
			}
		}
	}
	return noContent(w)
}

var mappingTypes = []local.MappingType{
	local.MapAddress, local.MapAlias, local.MapDomain, local.MapDomainAlias,
	local.MapError, local.MapForward, local.MapGroup, local.MapRegex,
}

func (s *Server) getUserMappings(w http.ResponseWriter, r *http.Request) error {
	list, err := s.mappingsOf(r.Context(), param(r, "user"))
	if isRule(err, local.ErrInvalid) {
		list, err = nil, nil // no source: nothing is mapped
	}
	if err != nil {
		return err
	}
	return ok(w, viewMappings(list))
}

// reverse reads the mapping whose sources are asked for.
func reverse(r *http.Request) (local.Mapping, error) {
	q := r.URL.Query()
	var m local.Mapping
	if !q.Has("type") {
		return m, illegalArgument("On reversed resolution 'type' is compulsory")
	}
	for _, t := range mappingTypes {
		if strings.EqualFold(string(t), q.Get("type")) {
			m.Type = t
		}
	}
	value := param(r, "target")
	switch m.Type {
	case "":
		return m, illegalArgument("Invalid 'type' query parameter: %s", q.Get("type"))
	case local.MapRegex, local.MapError:
		return m, badRequest("Not supported mapping of type")
	case local.MapDomain, local.MapDomainAlias:
		d, err := container.ParseDomain(value)
		if err != nil {
			return m, illegalArgument("%w", err)
		}
		m.Target = d
	default:
		a, err := container.ParseAddress(value)
		if err != nil {
			return m, illegalArgument("%w", err)
		}
		m.Target = a.String()
	}
	return m, nil
}

func (s *Server) getSources(w http.ResponseWriter, r *http.Request) error {
	m, err := reverse(r)
	if err != nil {
		return err
	}
	sources, err := s.deps.Directory.SourcesOf(r.Context(), m)
	if err != nil {
		return err
	}
	views := []string{}
	for _, src := range sources {
		views = append(views, sourceAddress(src))
	}
	return ok(w, views)
}

func (s *Server) deleteSources(w http.ResponseWriter, r *http.Request) error {
	m, err := reverse(r)
	if err != nil {
		return err
	}
	sources, err := s.deps.Directory.SourcesOf(r.Context(), m)
	if err != nil {
		return err
	}
	for _, src := range sources {
		if err := s.deps.Directory.RemoveMapping(r.Context(), src, m); err != nil {
			return ruled(err)
		}
	}
	return noContent(w)
}

func (s *Server) changeAddressMapping(w http.ResponseWriter, r *http.Request) error {
	source, err := addressParam(r, "source", "address")
	if err != nil {
		return err
	}
	target, err := addressParam(r, "target", "address")
	if err != nil {
		return err
	}
	return s.change(w, r, source, local.Mapping{Type: local.MapAddress, Target: target.String()})
}

// changeRegexMapping adds or removes a regex mapping. One that is there already
// is no error; James answers 500.
func (s *Server) changeRegexMapping(w http.ResponseWriter, r *http.Request) error {
	source := param(r, "source")
	m := local.Mapping{Type: local.MapRegex, Target: param(r, "regex")}
	invalid := badRequest("Invalid `source` field.")
	if _, err := local.ParseSource(source); err != nil {
		return invalid.because(err)
	}
	if r.Method == http.MethodDelete {
		if err := s.deps.Directory.RemoveMapping(r.Context(), source, m); err != nil {
			return ruled(err)
		}
		return noContent(w)
	}
	if !strings.Contains(source, "@") {
		return invalid.because(errors.New("there is no domain in " + source))
	}
	if err := s.deps.Directory.AddMapping(r.Context(), source, m); err != nil {
		return ruled(err)
	}
	return noContent(w)
}
