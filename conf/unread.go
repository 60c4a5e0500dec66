package conf

import (
	"slices"
	"strings"
)

// unread warns about what the folder sets up in files that nothing has read:
// an operator should not believe it to be there.
func (d *Dir) unread() {
	for name, warn := range map[string]func(){
		"extensions.properties":  d.extensions,
		"healthcheck.properties": d.periodicChecks,
	} {
		_, props := d.props[name]
		_, xml := d.xml[name]
		if slices.Contains(d.names, name) && !props && !xml {
			warn()
		}
	}
}

// extensions warns about Java classes that an operator relies on.
func (d *Dir) extensions() {
	p := d.Properties("extensions.properties")
	for _, key := range p.Keys() {
		if list := p.List(key); len(list) > 0 {
			p.Warn(key, "%s names Java classes (%s), which have no effect here", key, strings.Join(list, ", "))
		}
	}
}

func (d *Dir) periodicChecks() {
	if h, p := d.HealthCheck(), d.Properties("healthcheck.properties"); h.ReceptionUser != "" {
		p.Warn("reception.check.user", "reception.check.user has no effect here: no mails are sent to see whether they arrive")
	} else if p.Has("healthcheck.period") {
		p.Warn("healthcheck.period", "healthcheck.period has no effect here: checks run when webadmin is asked for GET /healthcheck")
	}
}
