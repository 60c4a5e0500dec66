package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// show shows an answer: as it is with -json, a list of texts line by line, a list
// of objects as a table of the columns, an object as lines of key and value.
func (a *admin) show(r io.Reader, columns []string) error {
	in := bufio.NewReader(r)
	first, err := in.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil // done, and nothing to say
	}
	if err != nil {
		return err
	}
	if a.json {
		if _, err = io.Copy(&plainJSON{out: a.p.stdout}, in); err == nil {
			_, err = fmt.Fprintln(a.p.stdout)
		}
		return err
	}
	out := bufio.NewWriter(a.p.stdout)
	if first[0] == '[' {
		err = list(out, json.NewDecoder(in), columns)
	} else {
		err = object(out, in)
	}
	return errors.Join(err, out.Flush())
}

// plainJSON writes JSON in which what a terminal takes for a command is escaped:
// JSON leaves DEL and the controls of ISO 6429 (U+0080 to U+009F) as they are.
type plainJSON struct {
	out  io.Writer
	held bool // an octet C2 that begins one of them, perhaps
}

// Write implements io.Writer.
func (w *plainJSON) Write(p []byte) (int, error) {
	if !w.held && !bytes.ContainsAny(p, "\x7f") && bytes.IndexByte(p, 0xc2) < 0 {
		return w.out.Write(p)
	}
	buf := make([]byte, 0, len(p)+16)
	for _, b := range p {
		switch {
		case w.held && 0x80 <= b && b < 0xa0:
			buf, w.held = fmt.Appendf(buf, `\u%04x`, b), false
			continue
		case w.held:
			buf, w.held = append(buf, 0xc2), false
		}
		switch b {
		case 0x7f:
			buf = append(buf, `\u007f`...)
		case 0xc2:
			w.held = true
		default:
			buf = append(buf, b)
		}
	}
	_, err := w.out.Write(buf)
	return len(p), err
}

// tablePart is how many rows are lined up together: a list can be of any length.
const tablePart = 1000

// list shows an array.
func list(out io.Writer, d *json.Decoder, columns []string) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i, c := range columns {
		fmt.Fprint(table, tab(i), heading(c))
	}
	if columns != nil {
		fmt.Fprintln(table)
	}
	for n := 1; d.More(); n++ {
		var v any
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		row, ok := v.(map[string]any)
		if !ok {
			fmt.Fprintln(out, text(v))
			continue
		}
		for i, c := range columns {
			fmt.Fprint(table, tab(i), text(row[c]))
		}
		fmt.Fprintln(table)
		if n%tablePart == 0 {
			if err := table.Flush(); err != nil {
				return err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return errors.Join(table.Flush(), fmt.Errorf("the answer is cut off: %w", err))
	}
	return table.Flush()
}

func tab(i int) string {
	if i == 0 {
		return ""
	}
	return "\t"
}

// heading is a key as a title: nextDelivery becomes NEXT DELIVERY.
func heading(key string) string {
	var b strings.Builder
	for _, r := range key {
		if 'A' <= r && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// text is a value on one line. What a terminal would take for a command, and what
// makes a reader see another order, is not shown as it is.
func text(v any) string {
	switch t := v.(type) {
	case nil:
		return "-"
	case string:
		return strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
				return '?'
			}
			return r
		}, t)
	case []any:
		parts := make([]string, len(t))
		for i, e := range t {
			parts[i] = text(e)
		}
		return strings.Join(parts, " ")
	case float64:
		return fmt.Sprintf("%.0f", t)
	case map[string]any:
		b, _ := json.Marshal(t) // what was just read can be written
		return text(string(b))
	}
	return fmt.Sprint(v)
}

// object shows the keys and values of an object.
func object(out io.Writer, in io.Reader) error {
	data, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		_, err = fmt.Fprintf(out, "%s\n", bytes.TrimSpace(data)) // bare text
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if inner, ok := m[k].(map[string]any); ok {
			for _, ik := range slices.Sorted(maps.Keys(inner)) {
				fmt.Fprintf(table, "%s.%s\t%s\n", text(k), text(ik), text(inner[ik]))
			}
			continue
		}
		fmt.Fprintf(table, "%s\t%s\n", text(k), text(m[k]))
	}
	return table.Flush()
}

// mappings shows the rewrite table, one line for each target.
func (a *admin) mappings(ctx context.Context, operands []string) error {
	type target struct{ Type, Mapping string }
	all := map[string][]target{}
	path := "/mappings"
	if len(operands) > 0 {
		path += "/user/" + url.PathEscape(operands[0])
	}
	res, err := a.api.open(ctx, http.MethodGet, path, nil, "application/json")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if a.json {
		return a.show(res.Body, nil)
	}
	if len(operands) == 0 {
		err = json.NewDecoder(res.Body).Decode(&all)
	} else {
		var of []target
		err = json.NewDecoder(res.Body).Decode(&of)
		all[operands[0]] = of
	}
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	table := tabwriter.NewWriter(a.p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SOURCE\tTYPE\tTARGET")
	for _, source := range slices.Sorted(maps.Keys(all)) {
		for _, t := range all[source] {
			fmt.Fprintf(table, "%s\t%s\t%s\n", text(source), text(t.Type), text(t.Mapping))
		}
	}
	return table.Flush()
}
