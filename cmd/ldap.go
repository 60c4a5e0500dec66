package cmd

import (
	"context"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container/ldap"
)

// directoryServer returns the client for LDAP matchers; nil when usersrepository.xml
// sets up none.
func (s *site) directoryServer(r *conf.Report) *ldap.Client {
	if s.ldap == nil {
		return nil
	}
	c, err := ldap.New(*s.ldap)
	if err != nil {
		r.Errorf(s.ldap.Pos, "LDAP: %v", err)
		return &ldap.Client{} // the matchers need one, but will not run
	}
	return c
}

// runLDAP keeps the connections of LDAP matchers until ctx is done.
func (l *live) runLDAP(ctx context.Context) error {
	if l.ldap == nil {
		<-ctx.Done()
		return nil
	}
	return l.ldap.Run(ctx)
}
