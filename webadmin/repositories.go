package webadmin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

func (s *Server) repositoryRoutes(rt *router) {
	rt.handle(http.MethodGet, "/mailRepositories", s.getRepositories)
	rt.handle(http.MethodPut, "/mailRepositories/{path}", s.putRepository)
	rt.handle(http.MethodGet, "/mailRepositories/{path}", s.getRepository)
	rt.handle(http.MethodGet, "/mailRepositories/{path}/mails", s.getKeys)
	rt.handle(http.MethodDelete, "/mailRepositories/{path}/mails", s.clearRepository)
	rt.handle(http.MethodPatch, "/mailRepositories/{path}/mails", s.patchMails)
	rt.handle(http.MethodGet, "/mailRepositories/{path}/mails/{key}", s.getMail)
	rt.handle(http.MethodDelete, "/mailRepositories/{path}/mails/{key}", s.deleteMail)
	rt.handle(http.MethodPatch, "/mailRepositories/{path}/mails/{key}", s.patchMail)
}

// place is what a request names as a repository: a path, and every repository
// with that path, whatever the protocol.
type place struct {
	path string
	urls []repository.URL
}

// find returns the repositories that name means: a path (var/mail/error), or a
// URL (cassandra://var/mail/error/). Of a URL the protocol counts when there is
// such a repository; otherwise the path alone does, because all protocols are
// served by one store. No repository is an empty place, not an error.
func (s *Server) find(ctx context.Context, name string) (place, error) {
	all, err := s.deps.Repositories.Repositories(ctx)
	if err != nil {
		return place{}, err
	}
	proto := ""
	p := place{path: repository.CleanPath(name)}
	if a, b, ok := strings.Cut(name, "://"); ok {
		proto, p.path = a, repository.CleanPath(b)
	}
	var exact []repository.URL
	for _, u := range all {
		if u.Path != p.path {
			continue
		}
		p.urls = append(p.urls, u)
		if u.Protocol == proto {
			exact = append(exact, u)
		}
	}
	if exact != nil {
		p.urls = exact
	}
	return p, nil
}

// place finds the repository in the path of a request, or answers 404.
func (s *Server) place(r *http.Request) (place, error) {
	p, err := s.find(r.Context(), param(r, "path"))
	if err == nil && p.urls == nil {
		err = notFound("%s does not exist", p.path)
	}
	return p, err
}

// size returns the number of mails in all of p.
func (s *Server) size(ctx context.Context, p place) (int64, error) {
	var sum int64
	for _, u := range p.urls {
		n, err := s.deps.Repositories.RepositorySize(ctx, u)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

type repositoryView struct {
	Repository string `json:"repository"`
	Path       string `json:"path"`
	Size       *int64 `json:"size,omitempty"`
}

func (s *Server) getRepositories(w http.ResponseWriter, r *http.Request) error {
	all, err := s.deps.Repositories.Repositories(r.Context())
	if err != nil {
		return err
	}
	paths := make([]string, len(all))
	for i, u := range all {
		paths[i] = u.Path
	}
	slices.Sort(paths)
	views := []repositoryView{}
	for _, p := range slices.Compact(paths) {
		views = append(views, repositoryView{Repository: p, Path: url.PathEscape(p)})
	}
	return ok(w, views)
}

func (s *Server) getRepository(w http.ResponseWriter, r *http.Request) error {
	p, err := s.place(r)
	if err != nil {
		return err
	}
	n, err := s.size(r.Context(), p)
	if err != nil {
		return serverError(err, "Error while retrieving mail repository information")
	}
	return ok(w, repositoryView{p.path, url.PathEscape(p.path), &n})
}

func (s *Server) putRepository(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	path, proto := param(r, "path"), q.Get("protocol")
	if a, b, ok := strings.Cut(path, "://"); ok {
		path = b
		if !q.Has("protocol") {
			proto = a
		}
	}
	if proto == "" {
		return badRequest("'protocol' query parameter is compulsory")
	}
	if !repository.Protocols[proto] {
		return badRequest("'%s' is an unsupported protocol", proto)
	}
	u, err := repository.ParseURL(proto + "://" + path)
	if err != nil {
		return illegalArgument("%w", err)
	}
	if err := s.deps.Repositories.CreateRepository(r.Context(), u); err != nil {
		return serverError(err, "Error while creating a mail repository with path '%s' and protocol '%s'", u.Path, proto)
	}
	return noContent(w)
}

// textFilters are the parameters of mailFilter that are texts.
var textFilters = []string{"sender", "recipient", "remoteAddress", "remoteHost", "state", "attribute"}

// mailFilter reads the filters of a listing of keys.
func (s *Server) mailFilter(q url.Values) (f repository.MailFilter, err error) {
	if err := filled(q, textFilters...); err != nil {
		return f, err
	}
	now := s.now()
	if f.UpdatedBefore, err = age(q, "updatedBefore", now); err != nil {
		return f, err
	}
	if f.UpdatedAfter, err = age(q, "updatedAfter", now); err != nil {
		return f, err
	}
	f.Sender, f.Recipient = q.Get("sender"), q.Get("recipient")
	f.RemoteAddr, f.RemoteHost = q.Get("remoteAddress"), q.Get("remoteHost")
	f.State, f.Attribute = q.Get("state"), repository.Attribute(q.Get("attribute"))
	return f, nil
}

func (s *Server) getKeys(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit, offset, err := page(q)
	if err != nil {
		return err
	}
	f, err := s.mailFilter(q)
	if err != nil {
		return err
	}
	p, err := s.place(r)
	if err != nil {
		return err
	}
	list := arrayWriter{w: w}
	if limit == 0 && offset == 0 && f == (repository.MailFilter{}) {
		err = s.eachKey(r.Context(), p, func(key string) error { return list.add(key) })
	} else {
		err = s.filteredKeys(r.Context(), p, f, limit, offset, &list)
	}
	if err != nil {
		err = serverError(err, "Error while listing keys")
	}
	return list.close(err)
}

// keyPage is how many keys are asked for at once.
const keyPage = 1000

// eachKey visits all keys in pages: memory does not grow with the repository.
func (s *Server) eachKey(ctx context.Context, p place, visit func(key string) error) error {
	for _, u := range p.urls {
		err := s.eachPage(ctx, u, position{}, func(keys []string, _ position) error {
			for _, k := range keys {
				if err := visit(k); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// position is a place in the keys of a repository, in order of arrival. The zero
// value is the start.
type position struct {
	Cursor int64 `json:"cursor"`
	Until  int64 `json:"until"` // what came later is not visited; 0: now
}

// eachPage visits the keys of a repository from a position on, with the position
// behind each page.
func (s *Server) eachPage(ctx context.Context, u repository.URL, at position, visit func(keys []string, next position) error) error {
	for {
		keys, next, until, err := s.deps.Repositories.KeysAfter(ctx, u, at.Cursor, at.Until, keyPage)
		if err != nil || len(keys) == 0 {
			return err
		}
		at = position{next, until}
		if err := visit(keys, at); err != nil {
			return err
		}
	}
}

// filteredKeys lists one page of the keys that f selects. The page runs over
// all repositories of p, so it is cut out of what they have up to its end.
func (s *Server) filteredKeys(ctx context.Context, p place, f repository.MailFilter, limit, offset int, list *arrayWriter) error {
	each, from := limit, offset
	if len(p.urls) > 1 {
		from = 0
		if limit > 0 {
			each = max(limit, limit+offset) // max: the sum may overflow
		}
	}
	var keys []string
	for _, u := range p.urls {
		more, err := s.deps.Repositories.Keys(ctx, u, f, from, each)
		if err != nil {
			return err
		}
		keys = append(keys, more...)
	}
	if len(p.urls) > 1 {
		keys = inPages(keys, limit, offset)
	}
	for _, k := range keys {
		if err := list.add(k); err != nil {
			return err
		}
	}
	return nil
}

// mail returns a mail of p and where it is; repository.ErrNotFound.
func (s *Server) mail(ctx context.Context, p place, key string) (*container.Mail, repository.Ref, error) {
	for _, u := range p.urls {
		ref := repository.Ref{URL: u, Key: key}
		m, err := s.deps.Repositories.Mail(ctx, ref)
		if !errors.Is(err, repository.ErrNotFound) {
			return m, ref, err
		}
	}
	return nil, repository.Ref{}, repository.ErrNotFound
}

// deleteMail takes a mail away from every repository of the path. One that is
// not there is as good as deleted.
func (s *Server) deleteMail(w http.ResponseWriter, r *http.Request) error {
	p, err := s.place(r)
	if err != nil {
		return err
	}
	for _, u := range p.urls {
		ref := &repository.Ref{URL: u, Key: param(r, "key")}
		err := s.deps.Store.Commit(r.Context(), repository.Change{From: ref})
		if err != nil && !errors.Is(err, repository.ErrNotFound) {
			return serverError(err, "Error while deleting mail")
		}
	}
	return noContent(w)
}

// withoutFilter is for what is done to all mails of a repository.
func withoutFilter(q url.Values) error {
	return cmp.Or(without(q, textFilters...), without(q, "updatedBefore", "updatedAfter", "limit", "offset"))
}

func (s *Server) clearRepository(w http.ResponseWriter, r *http.Request) error {
	if err := withoutFilter(r.URL.Query()); err != nil {
		return err
	}
	p, err := s.place(r)
	if err != nil {
		return err
	}
	n, err := s.size(r.Context(), p)
	if err != nil {
		return serverError(err, "Error while deleting all mails")
	}
	return s.submit(w, r, newClearRepository(s.deps.Repositories, p, n))
}
