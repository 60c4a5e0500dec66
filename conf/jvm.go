package conf

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// JVM are the keys of jvm.properties, or -D flags, that mean something without
// a JVM. All others are values of ${sys:...}.
type JVM struct {
	MemoryThreshold      int64 // james.message.memory.threshold, octets: larger bodies go to a file
	ExitOnStartupError   bool  // james.exit.on.startup.error
	FailOnMissing        bool  // james.fail.on.missing.configuration
	CheckMailetContainer bool  // james.mailet.container.check.enabled: transport must remove Bcc
	ReverseLookup        bool  // james.protocols.mdc.hostname: name of each client in the log
}

// JVM reads those keys. -D flags win over jvm.properties.
//
// Source: JVMConfiguration keys of James's sample jvm.properties.
func (d *Dir) JVM() JVM {
	return JVM{
		MemoryThreshold:      d.sysSize("james.message.memory.threshold", 100<<10),
		ExitOnStartupError:   d.sysBool("james.exit.on.startup.error", true),
		FailOnMissing:        d.sysBool("james.fail.on.missing.configuration", false),
		CheckMailetContainer: d.sysBool("james.mailet.container.check.enabled", true),
		ReverseLookup:        d.sysBool("james.protocols.mdc.hostname", true),
	}
}

// Sys returns the value of a -D flag or of a key of jvm.properties.
func (d *Dir) Sys(name string) (string, bool) {
	v, ok := d.vars.Sys[name]
	return v, ok
}

// sysPos returns where the value of a key was given.
func (d *Dir) sysPos(key string) Pos {
	if p := d.Properties("jvm.properties"); p.Has(key) && p.Raw(key) == d.vars.Sys[key] {
		return p.Pos(key)
	}
	return Pos{File: "-D" + key}
}

func (d *Dir) sysBool(key string, def bool) bool {
	v := strings.TrimSpace(d.vars.Sys[key])
	if v == "" {
		return def
	}
	b, ok := parseBool(v)
	if !ok {
		d.report.Errorf(d.sysPos(key), "%s is %q, not true or false", key, v)
		return def
	}
	return b
}

func (d *Dir) sysSize(key string, def int64) int64 {
	v := strings.TrimSpace(d.vars.Sys[key])
	if v == "" {
		return def
	}
	// 100KIB, 100 KiB, 100KB and 100K are the same.
	short := strings.TrimSuffix(strings.TrimSuffix(strings.ToUpper(v), "B"), "I")
	n, err := ParseSize(short, 1)
	if err != nil {
		d.report.Errorf(d.sysPos(key), "%s is %q; want a size such as 100KIB", key, v)
		return def
	}
	return n
}

// ClassMapping makes a foreign class name stand for one of ours.
type ClassMapping struct {
	Pos      Pos
	From, To string
}

// Classes reads classes.properties, which James does not have: each key is the
// name of a class as configurations write it, its value the class of ours to
// use.
func (d *Dir) Classes() []ClassMapping {
	p := d.Properties("classes.properties")
	var out []ClassMapping
	for _, key := range p.Keys() {
		to := p.String(key, "")
		if to == "" {
			p.Fail(key, errors.New("want the name of a class after the ="))
			continue
		}
		out = append(out, ClassMapping{p.Pos(key), key, to})
	}
	return out
}

// HealthCheck is healthcheck.properties, checked.
type HealthCheck struct {
	Period           time.Duration // between two rounds of checks
	ReceptionUser    string        // gets a mail at each round, to see it arrive; "": none
	ReceptionTimeout time.Duration
	Additional       []string // classes of James extensions
}

// HealthCheck reads healthcheck.properties.
//
// Source: PeriodicalHealthChecksConfiguration.
func (d *Dir) HealthCheck() HealthCheck {
	p := d.Properties("healthcheck.properties")
	h := HealthCheck{
		Period:           p.Duration("healthcheck.period", time.Millisecond, time.Minute),
		ReceptionUser:    p.String("reception.check.user", ""),
		ReceptionTimeout: p.Duration("reception.check.timeout", time.Second, time.Minute),
		Additional:       p.List("additional.healthchecks"),
	}
	if h.Period < 10*time.Second {
		p.Fail("healthcheck.period", fmt.Errorf("%s is too short; want at least 10 seconds, with a unit", h.Period))
		h.Period = time.Minute
	}
	if len(h.Additional) > 0 {
		p.Warn("additional.healthchecks", "additional.healthchecks names Java classes (%s), which have no effect here", strings.Join(h.Additional, ", "))
	}
	p.Close()
	return h
}

// DropLists reads droplists.properties: whether drop lists are enabled.
func (d *Dir) DropLists() bool {
	p := d.Properties("droplists.properties")
	on := p.Bool("enabled", false)
	p.Close()
	return on
}
