// Package classdoc reads the manuals of mailets, matchers and hooks: the doc
// comments of their types. Tests use it to load every sample and to compare
// what is documented with what the code does, and to write the list of
// differences from James. Nothing else imports it.
//
// A manual has, in this order:
//
//	a summary
//	one or more indented XML samples
//	"Parameters:" and a list of names, or "Parameters: none." (mailets, hooks)
//	"Condition:" (matchers)
//	"Differs from James:", with "nothing." when there is no difference
package classdoc

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Class is the manual of one type.
type Class struct {
	Name    string
	Text    string   // the whole comment
	Samples []string // XML snippets; one snippet may have several roots
	// Parameters are the names listed below "Parameters:". AnyName is set by
	// "Parameters: any…", of a class that takes whatever it is given.
	Parameters    []string
	AnyName       bool
	HasParameters bool
	HasCondition  bool
	Differs       string // what follows "Differs from James:", on one line
}

// Read returns the exported types of the package in dir, by name.
func Read(dir string) (map[string]Class, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read manuals in %s: %w", dir, fs.ErrNotExist)
	}
	fset := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, f)
	}
	pkg, err := doc.NewFromFiles(fset, parsed, "manual")
	if err != nil {
		return nil, fmt.Errorf("read manuals in %s: %w", dir, err)
	}
	out := map[string]Class{}
	for _, t := range pkg.Types {
		out[t.Name] = Parse(t.Name, t.Doc)
	}
	return out, nil
}

// Parse reads the manual of the type called name from its doc comment.
func Parse(name, text string) Class {
	c := Class{Name: name, Text: text}
	var p comment.Parser
	blocks := p.Parse(text).Content
	for i, b := range blocks {
		switch b := b.(type) {
		case *comment.Code:
			if strings.HasPrefix(strings.TrimSpace(b.Text), "<") {
				c.Samples = append(c.Samples, b.Text)
			}
		case *comment.Paragraph:
			c.paragraph(plain(b.Text), following(blocks, i))
		}
	}
	return c
}

// following returns the items of the list behind block i.
func following(blocks []comment.Block, i int) []string {
	if i+1 == len(blocks) {
		return nil
	}
	list, ok := blocks[i+1].(*comment.List)
	if !ok {
		return nil
	}
	var items []string
	for _, it := range list.Items {
		var parts []string
		for _, b := range it.Content {
			if p, ok := b.(*comment.Paragraph); ok {
				parts = append(parts, plain(p.Text))
			}
		}
		items = append(items, strings.Join(parts, " "))
	}
	return items
}

func (c *Class) paragraph(text string, items []string) {
	if rest, ok := strings.CutPrefix(text, "Parameters:"); ok {
		c.HasParameters = true
		c.AnyName = strings.HasPrefix(strings.TrimSpace(rest), "any")
		for _, it := range items {
			c.Parameters = append(c.Parameters, itemNames(it)...)
		}
	}
	if strings.HasPrefix(text, "Condition:") {
		c.HasCondition = true
	}
	if rest, ok := strings.CutPrefix(text, "Differs from James:"); ok {
		c.Differs = strings.TrimSpace(strings.TrimSpace(rest) + " " + strings.Join(items, "; "))
	}
}

// itemNames returns the names before the first parenthesis or colon of a list
// item, such as "count, size (default none): limits".
func itemNames(item string) []string {
	if i := strings.IndexAny(item, "(:"); i >= 0 {
		item = item[:i]
	}
	var out []string
	for n := range strings.SplitSeq(item, ",") {
		if n = strings.TrimSpace(n); n != "" && !strings.Contains(n, " ") {
			out = append(out, n)
		}
	}
	return out
}

// plain returns the characters of text on one line.
func plain(text []comment.Text) string {
	var b strings.Builder
	for _, t := range text {
		switch t := t.(type) {
		case comment.Plain:
			b.WriteString(string(t))
		case comment.Italic:
			b.WriteString(string(t))
		case *comment.Link:
			b.WriteString(plain(t.Text))
		case *comment.DocLink:
			b.WriteString(plain(t.Text))
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
