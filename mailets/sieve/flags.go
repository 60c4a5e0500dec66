package sieve

import (
	"slices"
	"strings"
)

// checkFlags: a variable can be named when there are any (RFC 5232 §3).
func checkFlags(c *checker, call *call) {
	v := call.args[0]
	switch {
	case !v.present:
	case !c.ext["variables"]:
		c.errorf(v.pos, "%s of a variable needs require \"variables\"", call.spec.name)
	case call.spec.exec != nil:
		c.variable(v)
	}
}

// execFlags is setflag, addflag and removeflag, of the flags that keep and
// fileinto use or of those in a variable.
func execFlags(r *run, c *call) error {
	list, err := r.expandAll(c.args[1])
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := r.spend(8 * len(s)); err != nil {
			return err
		}
	}
	name := ""
	old := r.flags
	if c.args[0].present {
		name = strings.ToLower(c.args[0].list[0].text)
		old = mergeFlags(nil, []string{r.variables[name]})
	}
	var flags []string
	switch c.spec.name {
	case "setflag":
		flags = mergeFlags(nil, list)
	case "addflag":
		flags = mergeFlags(old, list)
	default:
		gone := mergeFlags(nil, list)
		for _, f := range old {
			if !hasFlag(gone, f) {
				flags = append(flags, f)
			}
		}
	}
	if name != "" {
		r.set(name, strings.Join(flags, " "))
		return nil
	}
	r.flags, r.flagsSet = flags, true
	return nil
}

// maxFlags bounds how many flags a message gets.
const maxFlags = 64

// mergeFlags returns old with the flags in list, several of which may be in one
// string, each once. Names that can be no flag are passed over (RFC 5232 §2).
func mergeFlags(old, list []string) []string {
	out := slices.Clone(old)
	for _, s := range list {
		for f := range strings.FieldsSeq(s) {
			if len(out) < maxFlags && validFlag(f) && !hasFlag(out, f) {
				out = append(out, f)
			}
		}
	}
	return out
}

func hasFlag(list []string, f string) bool {
	return slices.ContainsFunc(list, func(g string) bool { return strings.EqualFold(f, g) })
}

// validFlag: a flag that clients may set, or an atom (RFC 3501 §2.3.2, §9).
func validFlag(f string) bool {
	switch strings.ToLower(f) {
	case `\answered`, `\deleted`, `\draft`, `\flagged`, `\seen`:
		return true
	}
	for i := range len(f) {
		if c := f[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return len(f) <= 128
}

// evalHasFlag compares flags, those that keep would use or those in variables
// (RFC 5232 §4).
func evalHasFlag(r *run, c *call) (bool, error) {
	flags := r.flags
	if v := c.args[0]; v.present {
		names, err := r.expandAll(v)
		if err != nil {
			return false, err
		}
		flags = nil
		for _, n := range names {
			if err := r.spend(maxFlags + len(r.variables[strings.ToLower(n)])); err != nil {
				return false, err
			}
			flags = mergeFlags(flags, []string{r.variables[strings.ToLower(n)]})
		}
	}
	return r.matchFlags(c, flags)
}

// matchFlags matches with keys that may have several flags in one string.
func (r *run) matchFlags(c *call, flags []string) (bool, error) {
	keys := value{present: true}
	for _, t := range c.args[1].list {
		s, err := r.expand(t)
		if err != nil {
			return false, err
		}
		if c.match.kind == "count" || !strings.Contains(strings.TrimSpace(s), " ") {
			keys.list = append(keys.list, template{text: s})
			continue
		}
		for f := range strings.FieldsSeq(s) {
			keys.list = append(keys.list, template{text: f})
		}
	}
	return r.matchAny(c.match, flags, keys, true)
}
