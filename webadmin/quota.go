package webadmin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

// Quotas are how much mailboxes may hold. *local.Quotas has them.
type Quotas interface {
	Limits(ctx context.Context, o local.QuotaOwner) (local.QuotaLimits, error)
	Set(ctx context.Context, o local.QuotaOwner, l local.QuotaLimits) error
	Details(ctx context.Context, account string) (local.QuotaDetails, error)
	Use(ctx context.Context, account string) (local.MailboxUse, error)
}

var _ Quotas = (*local.Quotas)(nil)

const badQuota = "Invalid quota. Need to be an integer value greater or equal to -1"

// quotaOf reads whose quota a request is about.
type quotaOf func(*http.Request) (local.QuotaOwner, error)

func (s *Server) quotaRoutes(rt *router) {
	rt.handle(http.MethodGet, "/quota/users", s.searchQuotas)
	for _, scope := range []struct {
		path  string
		owner quotaOf
		get   handler
	}{
		{"/quota", globalQuota, s.getGlobalQuota},
		{"/quota/domains/{domain}", s.domainQuota, s.getDomainQuota},
		{"/quota/users/{user}", s.userQuota, s.getUserQuota},
	} {
		rt.handle(http.MethodGet, scope.path, scope.get)
		rt.handle(http.MethodPut, scope.path, s.putQuota(scope.owner))
		for name, field := range map[string]func(*local.QuotaLimits) **int64{
			"/count": func(l *local.QuotaLimits) **int64 { return &l.Count },
			"/size":  func(l *local.QuotaLimits) **int64 { return &l.Size },
		} {
			rt.handle(http.MethodGet, scope.path+name, s.getLimit(scope.owner, field))
			rt.handle(http.MethodPut, scope.path+name, s.putLimit(scope.owner, field))
			rt.handle(http.MethodDelete, scope.path+name, s.deleteLimit(scope.owner, field))
		}
	}
}

func globalQuota(*http.Request) (local.QuotaOwner, error) {
	return local.QuotaOwner{Scope: local.QuotaGlobal}, nil
}

// domainQuota reads a domain, which has to be one of ours.
func (s *Server) domainQuota(r *http.Request) (o local.QuotaOwner, err error) {
	if !s.deps.Directory.VirtualHosting() {
		return o, apiErrorf(http.StatusMethodNotAllowed, typeState,
			"Domain Quota configuration not supported when virtual hosting is desactivated. Please use global quota configuration instead")
	}
	d, err := container.ParseDomain(param(r, "domain"))
	if err != nil {
		return o, illegalArgument("%w", err)
	}
	known, err := s.deps.Directory.IsLocalDomain(r.Context(), d)
	if err == nil && !known {
		err = notFound("Domain not found")
	}
	return local.QuotaOwner{Scope: local.QuotaDomain, Name: d}, err
}

// userQuota reads an account, which has to exist.
func (s *Server) userQuota(r *http.Request) (o local.QuotaOwner, err error) {
	name, exists, err := s.existing(r, "user")
	if err == nil && !exists {
		err = notFound("User not found")
	}
	return local.QuotaOwner{Scope: local.QuotaUser, Name: strings.ToLower(name)}, err
}

type limitsView struct {
	Count *int64 `json:"count"`
	Size  *int64 `json:"size"`
}

// viewLimits returns nil, which is shown as null, for no limits.
func viewLimits(l local.QuotaLimits) *limitsView {
	if l.IsZero() {
		return nil
	}
	return &limitsView{l.Count, l.Size}
}

func (s *Server) getGlobalQuota(w http.ResponseWriter, r *http.Request) error {
	l, err := s.deps.Quotas.Limits(r.Context(), local.QuotaOwner{Scope: local.QuotaGlobal})
	if err != nil {
		return err
	}
	return ok(w, limitsView{l.Count, l.Size})
}

type domainQuotaView struct {
	Global   limitsView `json:"global"`
	Domain   limitsView `json:"domain"`
	Computed limitsView `json:"computed"`
}

func (s *Server) getDomainQuota(w http.ResponseWriter, r *http.Request) error {
	o, err := s.domainQuota(r)
	if err != nil {
		return err
	}
	// A user that there is not has no limits, and so shows those of the domain.
	d, err := s.deps.Quotas.Details(r.Context(), "@"+o.Name)
	if err != nil {
		return err
	}
	return ok(w, domainQuotaView{limitsView(d.Global), limitsView(d.Domain), limitsView(d.Computed)})
}

type ratioView struct {
	Size  float64 `json:"size"`
	Count float64 `json:"count"`
	Max   float64 `json:"max"`
}

type occupationView struct {
	Size  int64     `json:"size"`
	Count int64     `json:"count"`
	Ratio ratioView `json:"ratio"`
}

type quotaView struct {
	Global     *limitsView    `json:"global"`
	Domain     *limitsView    `json:"domain"`
	User       *limitsView    `json:"user"`
	Computed   limitsView     `json:"computed"`
	Occupation occupationView `json:"occupation"`
}

// ratio tells how full something is. What may hold nothing is as full as it
// would be if it might hold one.
func ratio(used int64, limit *int64) float64 {
	if limit == nil || *limit == local.Unlimited {
		return 0
	}
	return float64(used) / float64(max(*limit, 1))
}

func (s *Server) quotaDetails(ctx context.Context, account string) (v quotaView, err error) {
	d, err := s.deps.Quotas.Details(ctx, account)
	if err != nil {
		return v, err
	}
	use, err := s.deps.Quotas.Use(ctx, account)
	if err != nil {
		return v, err
	}
	r := ratioView{Size: ratio(use.Size, d.Computed.Size), Count: ratio(use.Count, d.Computed.Count)}
	r.Max = max(r.Size, r.Count)
	return quotaView{viewLimits(d.Global), viewLimits(d.Domain), viewLimits(d.User), limitsView(d.Computed),
		occupationView{use.Size, use.Count, r}}, nil
}

func (s *Server) getUserQuota(w http.ResponseWriter, r *http.Request) error {
	o, err := s.userQuota(r)
	if err != nil {
		return err
	}
	v, err := s.quotaDetails(r.Context(), o.Name)
	if err != nil {
		return err
	}
	return ok(w, v)
}

// putQuota replaces both limits; one that the body does not have is removed.
func (s *Server) putQuota(owner quotaOf) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o, err := owner(r)
		if err != nil {
			return err
		}
		var b limitsView
		if err := readJSON(w, r, maxBody, &b); err != nil {
			return invalidJSON(err)
		}
		for _, n := range []*int64{b.Count, b.Size} {
			if n != nil && *n < local.Unlimited {
				return badRequest(badQuota)
			}
		}
		s.quotaMu.Lock()
		defer s.quotaMu.Unlock()
		if err := s.deps.Quotas.Set(r.Context(), o, local.QuotaLimits(b)); err != nil {
			return err
		}
		return noContent(w)
	}
}

// getLimit answers with one limit, 204 when there is none: of a user the one
// that counts, as in James.
func (s *Server) getLimit(owner quotaOf, field func(*local.QuotaLimits) **int64) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o, err := owner(r)
		if err != nil {
			return err
		}
		var l local.QuotaLimits
		if o.Scope == local.QuotaUser {
			var d local.QuotaDetails
			d, err = s.deps.Quotas.Details(r.Context(), o.Name)
			l = d.Computed
		} else {
			l, err = s.deps.Quotas.Limits(r.Context(), o)
		}
		if err != nil {
			return err
		}
		n := *field(&l)
		if n == nil {
			return noContent(w)
		}
		return ok(w, *n)
	}
}

func (s *Server) putLimit(owner quotaOf, field func(*local.QuotaLimits) **int64) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o, err := owner(r)
		if err != nil {
			return err
		}
		body, err := readBody(w, r, maxBody)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(body)), 10, 64)
		if err == nil && n < local.Unlimited {
			return badRequest(badQuota)
		}
		if err != nil {
			return badRequest(badQuota).because(fmt.Errorf("For input string: %q", body)) //lint:ignore ST1005 Java's text
		}
		return s.changeLimit(w, r, o, field, &n)
	}
}

func (s *Server) deleteLimit(owner quotaOf, field func(*local.QuotaLimits) **int64) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o, err := owner(r)
		if err != nil {
			return err
		}
		return s.changeLimit(w, r, o, field, nil)
	}
}

// changeLimit changes one limit and leaves the other as it is.
func (s *Server) changeLimit(w http.ResponseWriter, r *http.Request, o local.QuotaOwner, field func(*local.QuotaLimits) **int64, n *int64) error {
	s.quotaMu.Lock()
	defer s.quotaMu.Unlock()
	l, err := s.deps.Quotas.Limits(r.Context(), o)
	if err != nil {
		return err
	}
	*field(&l) = n
	if err := s.deps.Quotas.Set(r.Context(), o, l); err != nil {
		return err
	}
	return noContent(w)
}

type userQuotaView struct {
	Username string    `json:"username"`
	Detail   quotaView `json:"detail"`
}

// searchQuotas lists users by how full their mailboxes are.
func (s *Server) searchQuotas(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	least, err := positive(q, "minOccupationRatio")
	if err != nil {
		return err
	}
	most, err := positive(q, "maxOccupationRatio")
	if err != nil {
		return err
	}
	limit, offset, err := page(q)
	if err != nil {
		return err
	}
	domain := strings.ToLower(q.Get("domain"))
	users, err := s.deps.Directory.Users(r.Context())
	if err != nil {
		return err
	}
	list, shown, passed := arrayWriter{w: w}, 0, 0
	for _, u := range users {
		if limit > 0 && shown == limit {
			break
		}
		if domain != "" && !strings.HasSuffix(u, "@"+domain) {
			continue
		}
		var v quotaView
		if v, err = s.quotaDetails(r.Context(), u); err != nil {
			break
		}
		if full := v.Occupation.Ratio.Max; least != nil && full < *least || most != nil && full > *most {
			continue
		}
		if passed++; passed <= offset {
			continue
		}
		shown++
		if err = list.add(userQuotaView{u, v}); err != nil {
			break
		}
	}
	return list.close(err)
}

// positive reads a number that is not negative; nil when it is absent.
func positive(q url.Values, name string) (*float64, error) {
	if !q.Has(name) {
		return nil, nil
	}
	n, err := strconv.ParseFloat(q.Get(name), 64)
	if err != nil || n != n {
		return nil, badRequest("Can not parse %s", name).because(fmt.Errorf("For input string: %q", q.Get(name))) //lint:ignore ST1005 Java's text
	}
	if n < 0 {
		return nil, badRequest("%s can not be negative", name)
	}
	return &n, nil
}
