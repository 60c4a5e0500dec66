package server

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
)

// modelLeaf is a part of a message with its transfer encoding undone, or the text
// between parts.
type modelLeaf struct{ content string }

// binaryArrived judges a message that came with BODY=BINARYMIME. Where the model
// understands its structure, each part must arrive as it was; what arrives of any
// other must at least be lines.
func (m *model) binaryArrived(c *modelContent) error {
	lower := strings.ToLower(string(c.data))
	if !strings.Contains(lower, "binary") && !strings.Contains(lower, "multipart") && !strings.Contains(lower, "message/") {
		return m.textArrived(c)
	}
	if c.raw > modelMessage {
		return m.message(c, 552)
	}
	leaves, clean, known := modelLeaves(string(c.data))
	for line := range strings.SplitSeq(string(c.data), "\r\n") {
		known = known && len(line) <= m.longest // or it depends on where it is
	}
	switch {
	case known && !clean:
		return m.message(c, 554)
	case known && m.fails():
		return m.message(c, 451)
	case !known && m.fails():
		return m.message(c, 451, 554, 500)
	}
	if len(m.replies) > 0 && m.replies[0].code != 250 && !known {
		return m.message(c, 554, 500)
	}
	if len(m.mails) == 0 {
		return fmt.Errorf("%.300q was not stored: %v", c.data, m.replies)
	}
	got := m.mails[0]
	stored := got.header + "\r\n" + got.body
	for line := range strings.SplitSeq(stored, "\r\n") {
		if strings.ContainsAny(line, "\r\n") || len(line) > m.longest {
			return fmt.Errorf("stored %q", stored)
		}
	}
	if known {
		after, _, ok := modelLeaves(stored)
		if !ok || !slices.Equal(leaves, after) {
			return fmt.Errorf("stored %.900q, which is %.300q, want %.300q", stored, after, leaves)
		}
	}
	c.data = []byte(stored) // its octets are others
	return m.message(c, 250)
}

// modelLeaves takes a message apart whose fields are plain, and whose multiparts
// have the boundary b and do not contain others. Clean tells that what is not
// binary consists of lines.
func modelLeaves(text string) (out []modelLeaf, clean, known bool) {
	header, body, found := strings.Cut(text, "\r\n\r\n")
	if !found || strings.Contains(header, "--") {
		return nil, false, false
	}
	clean = linesOnly(header)
	encoding, multipart := "", false
	for line := range strings.SplitSeq(header, "\r\n") {
		switch {
		case line == "Content-Type: multipart/mixed; boundary=b":
			multipart = true
		case strings.HasPrefix(line, "Content-Transfer-Encoding: ") && encoding == "":
			encoding = strings.TrimPrefix(line, "Content-Transfer-Encoding: ")
		case line != "Content-Type: x/y" && line != "Subject: x" && line != "MIME-Version: 1.0":
			return nil, false, false
		}
	}
	if !multipart {
		leaf, ok := modelDecode(body, encoding, &clean)
		return []modelLeaf{leaf}, clean, ok
	}
	before, rest, found := strings.Cut("\r\n"+body, "\r\n--b\r\n")
	inside, after, closed := strings.Cut(rest, "\r\n--b--")
	if !found || !closed || strings.Contains(before+after, "--b") || after != "" && !strings.HasPrefix(after, "\r\n") {
		return nil, false, false
	}
	clean = clean && linesOnly(before) && linesOnly(after)
	out = append(out, modelLeaf{content: before}, modelLeaf{content: strings.TrimSuffix(after, "\r\n")})
	for part := range strings.SplitSeq(inside, "\r\n--b\r\n") {
		head, _, _ := strings.Cut(part, "\r\n\r\n")
		if strings.Contains(part, "\r\n--b") || strings.Contains(head, "multipart") {
			return nil, false, false
		}
		if rest, ok := strings.CutPrefix(part, "\r\n"); ok {
			out, clean = append(out, modelLeaf{content: rest}), clean && linesOnly(rest)
			continue
		}
		leaves, ok, known := modelLeaves(part)
		if !known {
			return nil, false, false
		}
		out, clean = append(out, leaves...), clean && ok
	}
	return out, clean, true
}

// linesOnly: the last line needs no end.
func linesOnly(s string) bool {
	return !strings.ContainsAny(strings.ReplaceAll(s, "\r\n", ""), "\r\n")
}

func modelDecode(body, encoding string, clean *bool) (modelLeaf, bool) {
	switch encoding {
	case "binary":
		return modelLeaf{content: body}, true
	case "base64":
		b, err := base64.StdEncoding.DecodeString(body) // takes line ends
		return modelLeaf{content: string(b)}, err == nil
	case "quoted-printable":
		b, err := io.ReadAll(quotedprintable.NewReader(bytes.NewReader([]byte(body))))
		return modelLeaf{content: string(b)}, err == nil
	case "", "7bit", "8bit":
		*clean = *clean && linesOnly(body)
		return modelLeaf{content: strings.TrimSuffix(body, "\r\n")}, true
	}
	return modelLeaf{}, false
}
