package webadmin

import (
	"errors"
	"net/http"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
)

func (s *Server) dlpRoutes(rt *router) {
	rt.handle(http.MethodGet, "/dlp/rules/{domain}", s.getRules)
	rt.handle(http.MethodPut, "/dlp/rules/{domain}", s.putRules)
	rt.handle(http.MethodDelete, "/dlp/rules/{domain}", s.deleteRules)
	rt.handle(http.MethodGet, "/dlp/rules/{domain}/rules/{id}", s.getRule)
}

// ruleView is a rule as James shows it.
type ruleView struct {
	ID                *string `json:"id"`
	Expression        *string `json:"expression"`
	Explanation       *string `json:"explanation"`
	TargetsSender     bool    `json:"targetsSender"`
	TargetsRecipients bool    `json:"targetsRecipients"`
	TargetsContent    bool    `json:"targetsContent"`
}

type rulesView struct {
	Rules *[]ruleView `json:"rules"`
}

func viewRule(r local.DLPRule) ruleView {
	return ruleView{&r.ID, &r.Expression, optional(r.Explanation), r.Sender, r.Recipients, r.Content}
}

// rule returns the rule that a client has sent.
func (v ruleView) rule() (local.DLPRule, error) {
	switch {
	case v.ID == nil:
		return local.DLPRule{}, errors.New("'id' is mandatory")
	case v.Expression == nil:
		return local.DLPRule{}, errors.New("'expression' is mandatory")
	}
	r := local.DLPRule{ID: *v.ID, Expression: *v.Expression, Sender: v.TargetsSender, Recipients: v.TargetsRecipients, Content: v.TargetsContent}
	if v.Explanation != nil {
		r.Explanation = *v.Explanation
	}
	return r, nil
}

// ruleDomain reads the sender domain from the path, which must be in the list.
func (s *Server) ruleDomain(r *http.Request) (string, error) {
	d, err := container.ParseDomain(param(r, "domain"))
	if err != nil {
		return "", badRequest("Invalid request for domain: %s", param(r, "domain")).because(err)
	}
	is, err := s.deps.Directory.IsLocalDomain(r.Context(), d)
	if err != nil {
		return "", serverError(err, "Cannot recognize domain: %s in domain list", d)
	}
	if !is {
		return "", notFoundInvalid("'%s' is not managed by this James server", d)
	}
	return d, nil
}

func (s *Server) getRules(w http.ResponseWriter, r *http.Request) error {
	d, err := s.ruleDomain(r)
	if err != nil {
		return err
	}
	rules, err := s.deps.DLP.Rules(r.Context(), d)
	if err != nil {
		return err
	}
	views := []ruleView{}
	for _, rule := range rules {
		views = append(views, viewRule(rule))
	}
	return ok(w, rulesView{&views})
}

func (s *Server) getRule(w http.ResponseWriter, r *http.Request) error {
	d, err := s.ruleDomain(r)
	if err != nil {
		return err
	}
	rule, has, err := s.deps.DLP.Rule(r.Context(), d, param(r, "id"))
	if err != nil {
		return err
	}
	if !has {
		return notFoundInvalid("There is no rule '%s' for '%s' managed by this James server", param(r, "id"), d)
	}
	return ok(w, viewRule(rule))
}

// putRules replaces all rules of a domain.
func (s *Server) putRules(w http.ResponseWriter, r *http.Request) error {
	d, err := s.ruleDomain(r)
	if err != nil {
		return err
	}
	var body rulesView
	if err := readJSON(w, r, maxBody, &body); err != nil {
		return invalidJSON(err)
	}
	if body.Rules == nil {
		return invalidJSON(errors.New("'rules' is mandatory"))
	}
	var rules []local.DLPRule
	for _, v := range *body.Rules {
		rule, err := v.rule()
		if err != nil {
			return invalidJSON(err)
		}
		rules = append(rules, rule)
	}
	err = s.deps.DLP.SetRules(r.Context(), d, rules)
	switch {
	case isRule(err, local.ErrDuplicateRule):
		return badRequest("%s", ruleText(err))
	case isRule(err, local.ErrInvalid), isRule(err, local.ErrInvalidRegex):
		return illegalArgument("%s", ruleText(err))
	case err != nil:
		return err
	}
	return noContent(w)
}

func (s *Server) deleteRules(w http.ResponseWriter, r *http.Request) error {
	d, err := s.ruleDomain(r)
	if err != nil {
		return err
	}
	if err := s.deps.DLP.SetRules(r.Context(), d, nil); err != nil {
		return err
	}
	return noContent(w)
}
