package server

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

func (m *model) dataCommand(arg string) error {
	if arg != "" {
		return m.want(500)
	}
	if m.sender == nil || len(m.rcpts) == 0 || m.chunks != nil || m.binary {
		return m.want(503)
	}
	if err := m.want(354); err != nil {
		return err
	}
	c := &modelContent{}
	for {
		line, kind := m.line(len(m.in))
		switch {
		case kind != whole:
			return m.end(kind)
		case line == ".":
			return m.arrived(c)
		}
		c.raw += len(line) + 2
		c.longest = max(c.longest, len(line))
		c.data = append(append(c.data, strings.TrimPrefix(line, ".")...), '\r', '\n')
	}
}

func (m *model) bdat(arg string) error {
	size, last, ok := strings.Cut(asciiCapitals(arg), " ")
	last = strings.Trim(last, " \t")
	n, err := strconv.ParseUint(size, 10, 63)
	if err != nil || strings.Trim(size, "0123456789") != "" || ok && last != "LAST" {
		m.closed = true // where the next command begins nobody knows
		return m.want(501)
	}
	left := uint64(len(m.in))
	taken := m.in[:min(n, left)]
	m.in = m.in[len(taken):]
	if n > left {
		return m.end(unfinished)
	}
	if m.sender == nil || len(m.rcpts) == 0 {
		return m.want(503)
	}
	if m.chunks == nil {
		m.chunks = &modelContent{}
	}
	m.chunks.data = append(m.chunks.data, taken...)
	if last == "" {
		return m.want(250)
	}
	c := m.chunks
	c.raw = len(c.data)
	if m.binary {
		return m.binaryArrived(c)
	}
	return m.textArrived(c)
}

// textArrived judges a message by BDAT that must consist of lines.
func (m *model) textArrived(c *modelContent) error {
	if len(c.data) > 0 && !bytes.HasSuffix(c.data, []byte("\r\n")) {
		c.data = append(c.data, "\r\n"...)
	}
	rest := model{in: c.data}
	for len(rest.in) > 0 {
		line, kind := rest.line(len(rest.in))
		if kind == broken {
			return m.message(c, 554, 552, 500)
		}
		c.longest = max(c.longest, len(line))
	}
	return m.arrived(c)
}

// arrived judges a complete message.
func (m *model) arrived(c *modelContent) error {
	switch {
	case c.raw > modelMessage && c.longest > m.longest:
		return m.message(c, 552, 500) // both are true
	case c.raw > modelMessage:
		return m.message(c, 552)
	case c.longest > m.longest:
		return m.message(c, 500)
	case m.fails():
		return m.message(c, 451)
	}
	return m.message(c, 250)
}

// fails: see process.
func (m *model) fails() bool {
	return m.lmtp && slices.ContainsFunc(m.rcpts, func(r string) bool { return strings.HasPrefix(r, "failing@") || strings.HasPrefix(r, "panicking@") })
}

// message takes the replies to a message, and the mail when they are 250.
func (m *model) message(c *modelContent, codes ...int) error {
	n := 1
	if m.lmtp {
		n = len(m.rcpts)
	}
	defer m.reset()
	for i := range n {
		if err := m.want(codes...); err != nil {
			return fmt.Errorf("reply %d to the message: %w", i+1, err)
		}
	}
	if codes[0] != 250 {
		return nil
	}
	if len(m.mails) == 0 {
		return errors.New("the message was not stored")
	}
	got := m.mails[0]
	m.mails = m.mails[1:]
	return m.compare(got, string(c.data))
}

func (m *model) compare(got modelMail, data string) error {
	if address(got.sender) != *m.sender {
		return fmt.Errorf("sender %q, want %q", got.sender, *m.sender)
	}
	if m.lmtp { // one copy for a recipient given twice; there is a reply for each
		var once []string
		for _, r := range m.rcpts {
			if !slices.Contains(once, r) {
				once = append(once, r)
			}
		}
		m.rcpts = once
	}
	if len(got.rcpts) != len(m.rcpts) {
		return fmt.Errorf("recipients %q, want %q", got.rcpts, m.rcpts)
	}
	for i := range got.rcpts {
		if address(got.rcpts[i]) != m.rcpts[i] {
			return fmt.Errorf("recipients %q, want %q", got.rcpts, m.rcpts)
		}
	}
	if whole := got.header + "\r\n" + got.body; data != whole && data != got.header+got.body {
		return fmt.Errorf("content %q %q, want %q", got.header, got.body, data)
	}
	return nil
}
