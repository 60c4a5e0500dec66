package container

import (
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
)

// Default packages of class names written without one (James: NamingScheme).
const (
	MailetPackage  = "org.apache.james.transport.mailets."
	MatcherPackage = "org.apache.james.transport.matchers."
)

// MailetFactory makes a mailet from its init parameters. Every problem goes
// into p; the result is used only when there was none. A factory opens nothing
// and starts nothing.
type MailetFactory func(p *conf.Params) Mailet

// MatcherFactory makes a matcher from the text after the first = of match="…".
type MatcherFactory func(condition string) (Matcher, error)

// Registry knows the classes that a configuration can name. It is filled before
// the configuration is loaded and not changed afterwards.
type Registry struct {
	mailets  map[string]MailetFactory
	matchers map[string]MatcherFactory
	mapped   map[string]string
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{mailets: map[string]MailetFactory{}, matchers: map[string]MatcherFactory{}, mapped: map[string]string{}}
}

// Mailet adds a class by its full name. It panics when the name is taken: that
// is a mistake in the program.
func (r *Registry) Mailet(name string, f MailetFactory) {
	if _, ok := r.mailets[name]; ok || f == nil || name == "" {
		panic(fmt.Sprintf("mailet class %q registered twice, or without factory", name))
	}
	r.mailets[name] = f
}

// Matcher adds a class by its full name. It panics like Mailet.
func (r *Registry) Matcher(name string, f MatcherFactory) {
	if _, ok := r.matchers[name]; ok || f == nil || name == "" {
		panic(fmt.Sprintf("matcher class %q registered twice, or without factory", name))
	}
	r.matchers[name] = f
}

// Map makes a class name stand for another, as classes.properties asks.
func (r *Registry) Map(name, target string) { r.mapped[name] = target }

// NewMailet makes the mailet of a class. A name is looked up as written, then
// in James's own package, which is the order James uses.
func (r *Registry) NewMailet(name string, p *conf.Params) (Mailet, error) {
	f, err := lookup(r, r.mailets, "mailet", MailetPackage, name)
	if err != nil {
		return nil, err
	}
	return f(p), nil
}

// NewMatcher makes the matcher of a class with a condition.
func (r *Registry) NewMatcher(name, condition string) (Matcher, error) {
	f, err := lookup(r, r.matchers, "matcher", MatcherPackage, name)
	if err != nil {
		return nil, err
	}
	m, err := f(condition)
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w", name, condition, err)
	}
	return m, nil
}

// MailetNames and MatcherNames return the full names of all classes.
func (r *Registry) MailetNames() []string { return keys(r.mailets) }

// MatcherNames is described at MailetNames.
func (r *Registry) MatcherNames() []string { return keys(r.matchers) }

func lookup[F any](r *Registry, classes map[string]F, kind, pkg, name string) (F, error) {
	if target, ok := r.mapped[name]; ok {
		name = target
	}
	if f, ok := classes[name]; ok {
		return f, nil
	}
	if f, ok := classes[pkg+name]; ok {
		return f, nil
	}
	var zero F
	if why, ok := removed[name]; ok {
		return zero, fmt.Errorf("no %s class %s: %s", kind, name, why)
	}
	short := make([]string, 0, len(classes))
	for full := range classes {
		short = append(short, strings.TrimPrefix(full, pkg))
	}
	return zero, fmt.Errorf("no %s class %s%s; a class of your own can be mapped in classes.properties", kind, name, conf.Suggest(name, keys(asSet(short))))
}
