package sieve

import (
	"strconv"
	"strings"
)

// String returns the script in one form, without comments: what compiles to the
// same script, and prints the same again.
func (s *Script) String() string {
	var b strings.Builder
	printBlock(&b, s.tree, 0)
	return b.String()
}

func printBlock(b *strings.Builder, list []*node, depth int) {
	for _, n := range list {
		indent(b, depth)
		printHead(b, n)
		if !n.braces {
			b.WriteString(";\n")
			continue
		}
		b.WriteString(" {\n")
		printBlock(b, n.block, depth+1)
		indent(b, depth)
		b.WriteString("}\n")
	}
}

func indent(b *strings.Builder, depth int) {
	for range depth {
		b.WriteString("  ")
	}
}

// printHead prints a name, arguments and tests.
func printHead(b *strings.Builder, n *node) {
	b.WriteString(n.name)
	for _, a := range n.args {
		b.WriteByte(' ')
		switch a.kind {
		case tokenTag:
			b.WriteString(":" + a.tag)
		case tokenNumber:
			b.WriteString(strconv.FormatInt(a.num, 10))
		case tokenString:
			printString(b, a.strs[0].text)
		default:
			b.WriteByte('[')
			for i, s := range a.strs {
				if i > 0 {
					b.WriteString(", ")
				}
				printString(b, s.text)
			}
			b.WriteByte(']')
		}
	}
	if len(n.tests) == 0 {
		return
	}
	open, end := " ", ""
	if n.list {
		open, end = " (", ")"
	}
	for _, t := range n.tests {
		b.WriteString(open)
		printHead(b, t)
		open = ", "
	}
	b.WriteString(end)
}

func printString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}
