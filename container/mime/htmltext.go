package mime

import (
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// HTMLText returns the text of an HTML document as plain text with CRLF line
// ends: blocks become paragraphs or lines, list items get an asterisk, images
// their alternative text, links their address behind them; scripts, styles and
// the head are left out. It takes any input.
func HTMLText(document string) string {
	c := htmlConverter{}
	z := html.NewTokenizer(strings.NewReader(document))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return c.finish()
		case html.TextToken:
			if c.skip == 0 {
				c.text(string(z.Text()))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, attrs := z.TagName()
			tag := atom.Lookup(name)
			c.start(tag, func(key string) string { return attribute(z, attrs, key) })
		case html.EndTagToken:
			name, _ := z.TagName()
			c.end(atom.Lookup(name))
		}
	}
}

func attribute(z *html.Tokenizer, more bool, want string) string {
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if string(key) == want {
			return string(value)
		}
	}
	return ""
}

type htmlConverter struct {
	out     strings.Builder
	skip    int // elements open whose text does not count
	skipTag atom.Atom
	pre     int
	breaks  int  // line ends due before the next text
	blank   bool // a blank is due before the next text
	began   bool
	href    string
	linkAt  int
}

// hidden are elements whose content is no text for a reader.
func hidden(tag atom.Atom) bool {
	switch tag {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Noscript, atom.Template:
		return true
	}
	return false
}

// blockBreaks returns how many line ends stand around an element.
func blockBreaks(tag atom.Atom) int {
	switch tag {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Pre, atom.Table:
		return 2
	case atom.Div, atom.Tr, atom.Li, atom.Ul, atom.Ol, atom.Dl, atom.Dt, atom.Dd, atom.Body, atom.Address,
		atom.Article, atom.Section, atom.Header, atom.Footer, atom.Form, atom.Center:
		return 1
	}
	return 0
}

func (c *htmlConverter) start(tag atom.Atom, attr func(string) string) {
	if c.skip > 0 {
		if tag == c.skipTag {
			c.skip++
		}
		// A head that is not closed ends with the body.
		if tag == atom.Body {
			c.skip = 0
		}
		return
	}
	if hidden(tag) {
		c.skip, c.skipTag = 1, tag
		return
	}
	c.brk(blockBreaks(tag))
	switch tag {
	case atom.Br:
		c.breaks++
	case atom.Hr:
		c.brk(1)
		c.word("--------")
		c.brk(1)
	case atom.Li:
		c.word("* ")
	case atom.Td, atom.Th:
		c.blank = c.blank || c.breaks == 0
	case atom.Pre:
		c.pre++
	case atom.Img:
		if alt := attr("alt"); alt != "" {
			c.text(alt)
		}
	case atom.A:
		c.href, c.linkAt = attr("href"), c.out.Len()
	}
}

func (c *htmlConverter) end(tag atom.Atom) {
	if c.skip > 0 {
		if tag == c.skipTag {
			c.skip--
		}
		return
	}
	switch tag {
	case atom.Pre:
		c.pre = max(c.pre-1, 0)
	case atom.A:
		c.link()
	}
	c.brk(blockBreaks(tag))
}

// link puts the address of a link behind its text, unless that says it.
func (c *htmlConverter) link() {
	href := strings.TrimSpace(c.href)
	c.href = ""
	web := strings.HasPrefix(href, "http://") || strings.HasPrefix(href, "https://")
	if !web || strings.ContainsFunc(href, unicode.IsSpace) {
		return
	}
	shown := strings.TrimSpace(c.out.String()[c.linkAt:])
	bare := func(s string) string {
		_, s, _ = strings.Cut(s, "://")
		return strings.TrimSuffix(s, "/")
	}
	if shown == href || bare(href) == strings.TrimSuffix(shown, "/") || bare(href) == bare(shown) {
		return
	}
	c.blank = true
	c.word("<" + href + ">")
}

// brk asks for n line ends before the next text.
func (c *htmlConverter) brk(n int) {
	if n > 0 {
		c.breaks, c.blank = max(c.breaks, n), false
	}
}

// word appends s behind what is due before it.
func (c *htmlConverter) word(s string) {
	if c.began {
		for range min(c.breaks, 3) {
			c.out.WriteString("\r\n")
		}
		if c.blank && c.breaks == 0 {
			c.out.WriteByte(' ')
		}
	}
	c.breaks, c.blank, c.began = 0, false, true
	c.out.WriteString(s)
}

// text appends text, with white space folded unless it is preformatted.
func (c *htmlConverter) text(s string) {
	s = strings.ReplaceAll(s, "\u00a0", " ")
	if c.pre > 0 {
		for i, line := range strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
			if i > 0 {
				c.breaks++
			}
			if line != "" {
				c.word(line)
			}
		}
		return
	}
	for i, w := range strings.Fields(s) {
		if i > 0 || startsBlank(s) {
			c.blank = c.blank || c.began && c.breaks == 0 && !strings.HasSuffix(c.out.String(), "* ")
		}
		c.word(w)
	}
	if s != "" && unicode.IsSpace(rune(s[len(s)-1])) && c.breaks == 0 {
		c.blank = c.began
	}
}

func startsBlank(s string) bool { return s != "" && unicode.IsSpace(rune(s[0])) }

func (c *htmlConverter) finish() string {
	if c.began {
		c.out.WriteString("\r\n")
	}
	return c.out.String()
}
