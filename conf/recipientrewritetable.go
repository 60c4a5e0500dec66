package conf

import (
	"slices"
	"strings"
)

// RecipientRewriteTable is recipientrewritetable.xml, checked.
type RecipientRewriteTable struct {
	Pos       Pos
	Recursive bool // whether the result of a mapping is looked up again
	Limit     int  // James's mappingLimit: n allows n-1 rewriting hops
	// Static is the table of XMLRecipientRewriteTable, one entry per target, in
	// the order of the file. ReadOnly tells that it is the whole table.
	Static   []StaticMapping
	ReadOnly bool
}

// StaticMapping is one target of a source. Both are in lower case.
type StaticMapping struct {
	Pos    Pos
	Source string // user@domain, domain for *@domain, or *
	Target string // with James's type prefix, such as error:no such user
}

// RecipientRewriteTable reads recipientrewritetable.xml. Lines of a static table
// have no effect in James unless the class is XMLRecipientRewriteTable; nor do
// they here.
//
// Source: AbstractRecipientRewriteTable, XMLRecipientRewriteTable.
func (d *Dir) RecipientRewriteTable() RecipientRewriteTable {
	f := d.XML("recipientrewritetable.xml")
	in := section{f, f.Root, d.report}.root("recipientrewritetable")
	t := RecipientRewriteTable{
		Pos:       in.pos(""),
		Recursive: in.boolean("recursiveMapping", true),
		Limit:     in.integer("mappingLimit", 10, 1),
		ReadOnly:  strings.HasSuffix(in.attr("class"), "XMLRecipientRewriteTable"),
	}
	if !t.Recursive {
		d.report.Warnf(in.pos("recursiveMapping"), "<recursiveMapping> is false: one mapping is followed here, where James would refuse the recipient with \"554 Too many mappings to process\"")
	}
	known := []string{"recursiveMapping", "mappingLimit", "mapping"}
	for _, e := range in.elements() {
		switch {
		case e.Tag == "mapping" && t.ReadOnly:
			t.add(word{Text(e), f.Pos(e)}, d.report)
		case e.Tag == "mapping":
			d.report.Warnf(f.Pos(e), "<mapping> has an effect only with class=\"org.apache.james.rrt.file.XMLRecipientRewriteTable\"; add mappings through webadmin")
		case !slices.Contains(known, e.Tag):
			d.report.Warnf(f.Pos(e), "<%s> is not an element of <recipientrewritetable>; ignored%s", e.Tag, Suggest(e.Tag, known))
		}
	}
	if t.ReadOnly && len(t.Static) == 0 {
		d.report.Errorf(t.Pos, "No mapping configured: XMLRecipientRewriteTable needs at least one <mapping>")
	}
	return t
}

// mappingPrefixes begin targets that are no plain address.
var mappingPrefixes = []string{"domain:", "domainalias:", "group:", "forward:", "alias:", "regex:", "error:"}

// add reads the text of one <mapping>: source=targets, several separated by
// commas. Later targets of a source replace those of an earlier item.
func (t *RecipientRewriteTable) add(w word, r *Report) {
	for item := range strings.SplitSeq(strings.ToLower(w.text), ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		source, targets, ok := strings.Cut(item, "=")
		source = strings.TrimSpace(source)
		if domain, all := strings.CutPrefix(source, "*@"); all {
			source = domain
		}
		list := splitTargets(targets)
		if !ok || source == "" || len(list) == 0 {
			r.Errorf(w.pos, "%q is not a mapping; want source=target, such as bob@example.com=robert@example.com", item)
			continue
		}
		t.Static = slices.DeleteFunc(t.Static, func(m StaticMapping) bool { return m.Source == source })
		for _, target := range list {
			t.Static = append(t.Static, StaticMapping{w.pos, source, target})
		}
	}
}

// splitTargets splits at ; if there is one, else at :, unless that belongs to a
// type prefix.
func splitTargets(s string) []string {
	sep := ":"
	if strings.Contains(s, ";") {
		sep = ";"
	} else if slices.ContainsFunc(mappingPrefixes, func(p string) bool { return strings.HasPrefix(strings.TrimSpace(s), p) }) {
		sep = "\x00"
	}
	var out []string
	for t := range strings.SplitSeq(s, sep) {
		if t = strings.TrimSpace(t); t != "" {
			out = append(out, t)
		}
	}
	return out
}
