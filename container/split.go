package container

import "strings"

// perRecipient are the attributes that are maps from recipients to something; the
// last one is that of DSNBounce.
var perRecipient = []string{AttrDSNNotify, AttrDSNOrcpt, AttrDSNOrcptType, AttrOutcomes, "dsn-delay-reported"}

// CloneFor returns a copy of m for each group of recipients. A copy has the
// recipients of its group and, of what is kept for single recipients (DSN
// parameters, outcomes, header fields), only theirs: copies for very many groups
// take as much memory as m, not its square. Names and states are those of m.
func (m *Mail) CloneFor(groups [][]Address) []*Mail {
	lean := *m
	lean.Recipients, lean.RecipientHeaders = nil, nil
	lean.Attributes = make(Attributes, len(m.Attributes))
	for k, v := range m.Attributes {
		lean.Attributes[k] = v
	}
	for _, name := range perRecipient {
		if _, ok := m.Attributes.Map(name); ok {
			delete(lean.Attributes, name)
		}
	}
	out := make([]*Mail, len(groups))
	owner := make(map[string]*Mail, len(m.Recipients))
	for i, g := range groups {
		out[i] = lean.Clone()
		out[i].Recipients = append([]Address(nil), g...)
		for _, a := range g {
			owner[a.Key()] = out[i]
		}
	}
	for _, name := range perRecipient {
		all, _ := m.Attributes.Map(name)
		for k, v := range all {
			if c := owner[strings.ToLower(k)]; c != nil {
				c.share(name)[k] = cloneValue(v)
			}
		}
	}
	for k, fields := range m.RecipientHeaders {
		if c := owner[k]; c != nil {
			if c.RecipientHeaders == nil {
				c.RecipientHeaders = map[string][]HeaderField{}
			}
			c.RecipientHeaders[k] = append([]HeaderField(nil), fields...)
		}
	}
	return out
}

// share returns the map attribute name, which is made when it is not there.
func (m *Mail) share(name string) map[string]Value {
	all, ok := m.Attributes.Map(name)
	if !ok {
		all = map[string]Value{}
		m.Set(name, all)
	}
	return all
}
