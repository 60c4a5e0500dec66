package sieve

import (
	"strings"
	"unicode/utf8"
)

// node is a command or a test as it stands in the script.
type node struct {
	pos    position
	name   string // lower case
	args   []argument
	tests  []*node
	list   bool // the tests stand in parentheses
	block  []*node
	braces bool // there is a block
}

// argument is one argument of a command or test.
type argument struct {
	kind tokenKind // tokenTag, tokenNumber, tokenString or '[' for a list
	pos  position
	tag  string
	num  int64
	strs []stringAt // of a string: one
}

type stringAt struct {
	pos  position
	text string
}

// parser reads the grammar of RFC 5228 §8.2.
type parser struct {
	lexer
	tok    token
	limits Limits
}

// parse returns the commands of a script.
func parse(text []byte, limits Limits) ([]*node, *Error) {
	if len(text) > limits.Size {
		return nil, position{1, 1}.errorf("the script has %d octets, more than %d", len(text), limits.Size)
	}
	p := &parser{lexer: lexer{text: string(text), line: 1}, limits: limits}
	if err := p.checkText(); err != nil {
		return nil, err
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	tree, err := p.commands(0)
	if err == nil && p.tok.kind != tokenEnd {
		err = p.tok.pos.errorf("unexpected %s", p.tok)
	}
	return tree, err
}

// checkText: scripts are UTF-8 without NUL (RFC 5228 §2.1).
func (p *parser) checkText() *Error {
	at := strings.IndexByte(p.text, 0)
	if !utf8.ValidString(p.text) {
		for i, r := range p.text {
			if _, n := utf8.DecodeRuneInString(p.text[i:]); r == utf8.RuneError && n == 1 {
				if at < 0 || i < at {
					at = i
				}
				break
			}
		}
	}
	if at < 0 {
		return nil
	}
	line := 1 + strings.Count(p.text[:at], "\n")
	column := at - strings.LastIndexByte(p.text[:at], '\n')
	return position{line, column}.errorf("octet 0x%02x is not text in UTF-8", p.text[at])
}

func (p *parser) advance() (err *Error) {
	p.tok, err = p.next()
	return err
}

// expect passes over one token.
func (p *parser) expect(kind tokenKind, what string) *Error {
	if p.tok.kind != kind {
		return p.tok.pos.errorf("unexpected %s, want %s", p.tok, what)
	}
	return p.advance()
}

// commands reads commands up to the end of a block or of the script.
func (p *parser) commands(depth int) ([]*node, *Error) {
	var list []*node
	for p.tok.kind == tokenIdentifier {
		n, err := p.command(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	if p.tok.kind != tokenEnd && p.tok.kind != '}' {
		return nil, p.tok.pos.errorf("unexpected %s, want a command", p.tok)
	}
	return list, nil
}

func (p *parser) command(depth int) (*node, *Error) {
	n, err := p.head(0)
	if err != nil {
		return nil, err
	}
	if p.tok.kind == ';' {
		return n, p.advance()
	}
	if p.tok.kind != '{' {
		return nil, p.tok.pos.errorf("unexpected %s after %s, want \";\" or a block", p.tok, n.name)
	}
	if depth++; depth > p.limits.Nesting {
		return nil, p.tok.pos.errorf("more than %d blocks within each other", p.limits.Nesting)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	n.braces = true
	if n.block, err = p.commands(depth); err != nil {
		return nil, err
	}
	return n, p.expect('}', `"}"`)
}

// head reads a name, arguments and tests.
func (p *parser) head(depth int) (*node, *Error) {
	n := &node{pos: p.tok.pos, name: p.tok.text}
	if depth > p.limits.Nesting {
		return nil, n.pos.errorf("more than %d tests within each other", p.limits.Nesting)
	}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for {
		a, ok, err := p.argument()
		if err != nil {
			return nil, err
		}
		if !ok {
			return n, p.tests(n, depth+1)
		}
		n.args = append(n.args, a)
	}
}

// argument reads one argument; ok is false when there is none.
func (p *parser) argument() (a argument, ok bool, err *Error) {
	a = argument{kind: p.tok.kind, pos: p.tok.pos}
	switch p.tok.kind {
	case tokenTag:
		a.tag = p.tok.text
	case tokenNumber:
		a.num = p.tok.num
	case tokenString:
		a.strs = []stringAt{{p.tok.pos, p.tok.text}}
	case '[':
		a.strs, err = p.stringList()
		return a, true, err
	default:
		return a, false, nil
	}
	return a, true, p.advance()
}

func (p *parser) stringList() ([]stringAt, *Error) {
	var list []stringAt
	for {
		if err := p.advance(); err != nil { // over "[" or ","
			return nil, err
		}
		list = append(list, stringAt{p.tok.pos, p.tok.text})
		if err := p.expect(tokenString, "a string"); err != nil {
			return nil, err
		}
		if p.tok.kind != ',' {
			return list, p.expect(']', `"," or "]"`)
		}
	}
}

// tests reads the tests of n: none, one, or a list in parentheses.
func (p *parser) tests(n *node, depth int) *Error {
	switch p.tok.kind {
	case tokenIdentifier:
		t, err := p.head(depth)
		n.tests = []*node{t}
		return err
	case '(':
		n.list = true
		for {
			if err := p.advance(); err != nil { // over "(" or ","
				return err
			}
			if p.tok.kind != tokenIdentifier {
				return p.tok.pos.errorf("unexpected %s, want a test", p.tok)
			}
			t, err := p.head(depth)
			if err != nil {
				return err
			}
			n.tests = append(n.tests, t)
			if p.tok.kind != ',' {
				return p.expect(')', `"," or ")"`)
			}
		}
	}
	return nil
}
