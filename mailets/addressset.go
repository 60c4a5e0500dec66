package mailets

import "github.com/mailetd/mailetd/container"

// addressSet is a list of addresses, each once, in the order of arrival. A header
// or a mapping can have very many of them, so it must not be searched from end to
// end once it is long.
type addressSet struct {
	list []container.Address
	seen map[string]bool // of all in list, once there are many
}

// add appends those that are not null and not there.
func (s *addressSet) add(more ...container.Address) {
	for _, a := range more {
		if !a.IsNull() {
			s.addOne(a)
		}
	}
}

func (s *addressSet) addOne(a container.Address) {
	const many = 16
	switch {
	case s.seen != nil:
		if s.seen[a.Key()] {
			return
		}
		s.seen[a.Key()] = true
	case container.ContainsAddress(s.list, a):
		return
	case len(s.list) == many:
		s.seen = make(map[string]bool, 4*many)
		for _, b := range s.list {
			s.seen[b.Key()] = true
		}
		s.seen[a.Key()] = true
	}
	s.list = append(s.list, a)
}
