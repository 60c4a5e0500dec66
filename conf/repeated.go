package conf

// Values returns the values of all elements called name, in order, empty ones
// included: for parameters whose values may have commas in them.
func (p *Params) Values(name string) []string {
	p.note(name)
	var out []string
	for _, e := range p.elements(name) {
		out = append(out, Text(e))
	}
	return out
}
