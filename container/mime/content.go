package mime

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	stdmime "mime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/mailetd/mailetd/container"
)

// ErrTooLarge is returned when the content of a part is larger than may be held
// in memory.
var ErrTooLarge = errors.New("content of a part is too large")

// ErrMalformed is returned for content that its transfer encoding cannot be
// undone of.
var ErrMalformed = errors.New("content of a part is malformed")

// ErrCharset is returned for text that cannot be read or written without losing
// characters.
var ErrCharset = errors.New("text does not fit its charset")

// Encoding returns the transfer encoding in lower case; "7bit" when none is
// named (RFC 2045 §6.1).
func (e *Entity) Encoding() string {
	v, _ := Get(e.Header, "Content-Transfer-Encoding")
	v, _, _ = strings.Cut(v, "(")
	if v = strings.ToLower(strings.Trim(v, " \t;")); v == "" {
		return "7bit"
	}
	return v
}

// Charset returns the charset parameter in lower case, "" when there is none.
func (e *Entity) Charset() string {
	v, _ := e.Type.Param("charset")
	return strings.ToLower(strings.TrimSpace(v))
}

// OpenRaw returns the content of the entity as it stands in body, which is that
// of the message it was scanned from.
func (e *Entity) OpenRaw(body container.Body) (io.ReadCloser, error) {
	b, err := Section(body, e.Content, e.End)
	if err != nil {
		return nil, err
	}
	return b.Open()
}

// Open returns the content of a leaf with its transfer encoding undone. An
// unknown encoding is an error.
func (e *Entity) Open(body container.Body) (io.ReadCloser, error) {
	raw, err := e.OpenRaw(body)
	if err != nil {
		return nil, err
	}
	d, err := e.decoder(raw)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return readCloser{d, raw}, nil
}

func (e *Entity) decoder(raw io.Reader) (io.Reader, error) {
	if identity(e.Encoding()) {
		return raw, nil
	}
	var h message.Header
	h.Set("Content-Transfer-Encoding", e.Encoding())
	h.Set("Content-Type", "application/octet-stream") // keeps the charset as it is
	d, err := message.New(h, raw)
	if err != nil {
		return nil, fmt.Errorf("decode part: %w: %w", err, ErrMalformed)
	}
	return d.Body, nil
}

// OpenText returns the text of a leaf in UTF-8; in an unknown charset, it is the
// octets as they are.
func (e *Entity) OpenText(body container.Body) (io.ReadCloser, error) {
	r, err := e.Open(body)
	if err != nil || isUTF8Name(e.Charset()) {
		return r, err
	}
	c, err := charset.Reader(e.Charset(), r)
	if err != nil {
		return r, nil
	}
	return readCloser{c, r}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// Beginning returns the text of a leaf in UTF-8, at most limit octets of it, as
// far as it can be read.
func (e *Entity) Beginning(body container.Body, limit int64) (string, error) {
	r, err := e.OpenText(body)
	if err != nil {
		return "", err
	}
	defer r.Close()
	var b bytes.Buffer // reads by itself, without a buffer of io.Copy
	b.Grow(int(min(limit, max(e.End-e.Content, 0), 16<<10)) + bytes.MinRead)
	_, err = b.ReadFrom(io.LimitReader(r, limit))
	if err != nil && b.Len() == 0 {
		return "", fmt.Errorf("decode part: %w: %w", err, ErrMalformed)
	}
	return strings.ToValidUTF8(b.String(), "?"), nil
}

// Tail returns the last n octets of the content as it stands in body, fewer when
// it is shorter.
func (e *Entity) Tail(body container.Body, n int64) ([]byte, error) {
	b, err := Section(body, max(e.Content, e.End-n), e.End)
	if err != nil {
		return nil, err
	}
	r, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// Disposition returns the Content-Disposition field, the zero value without one.
func (e *Entity) Disposition() Parameterized {
	v, ok := Get(e.Header, "Content-Disposition")
	if !ok {
		return Parameterized{}
	}
	return ParseParameterized(v)
}

// IsAttachment reports whether the entity is declared an attachment.
func (e *Entity) IsAttachment() bool { return e.Disposition().Main == "attachment" }

// FileNames returns every value that a reader might take for the file name of
// the entity, the most likely one first.
func (e *Entity) FileNames() []string {
	return append(e.Disposition().ParamAll("filename"), e.Type.ParamAll("name")...)
}

// Decode returns the content of a leaf with its transfer encoding undone.
// Content of more than limit octets, encoded, is ErrTooLarge, and what cannot be
// decoded is ErrMalformed.
func (e *Entity) Decode(body container.Body, limit int64) ([]byte, error) {
	if e.End-e.Content > limit {
		return nil, fmt.Errorf("%d octets: %w", e.End-e.Content, ErrTooLarge)
	}
	r, err := e.OpenRaw(body)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw := make([]byte, e.End-e.Content)
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, fmt.Errorf("read part: %w", err)
	}
	if identity(e.Encoding()) {
		return raw, nil
	}
	d, err := e.decoder(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	buf := bytes.NewBuffer(make([]byte, 0, len(raw)+bytes.MinRead))
	if _, err := buf.ReadFrom(d); err != nil {
		return nil, fmt.Errorf("decode part: %w: %w", err, ErrMalformed)
	}
	return buf.Bytes(), nil
}

// TextPart is the text of a leaf, and what is needed to write it back.
type TextPart struct {
	String string
	// Opaque is set when the octets do not fit the charset, or the charset is
	// unknown. Then each octet stands in String as the character of its number,
	// so that nothing is lost when it is written back.
	Opaque  bool
	node    *Entity
	charset string
	before  defects // of the content as it stands in the message
}

// Text returns the text of a leaf. It is ErrTooLarge beyond limit octets,
// encoded, and ErrCharset for text that is broken in a charset that does not
// extend ASCII.
func (e *Entity) Text(body container.Body, limit int64) (*TextPart, error) {
	data, err := e.Decode(body, limit)
	if err != nil {
		return nil, err
	}
	t := &TextPart{node: e, charset: e.Charset()}
	if identity(e.Encoding()) {
		t.before = findDefects(data)
	}
	if isUTF8Name(t.charset) {
		if t.Opaque = !utf8.Valid(data); t.Opaque {
			t.String = latin1(string(data))
		} else {
			t.String = string(data)
		}
		return t, nil
	}
	s, err := decodeCharset(data, t.charset)
	if err == nil {
		t.String = s
		return t, nil
	}
	if !extendsASCII(t.charset) || bytes.IndexByte(data, 0) >= 0 {
		return nil, err
	}
	t.String, t.Opaque = latin1(string(data)), true
	return t, nil
}

// isUTF8Name reports whether text in charset is read as UTF-8. Text without a
// charset should be ASCII; where it is not, UTF-8 is the best guess.
func isUTF8Name(charset string) bool {
	switch charset {
	case "", "us-ascii", "ascii", "utf-8", "utf8":
		return true
	}
	return false
}

// decodeCharset is ErrCharset when there are octets that do not fit.
func decodeCharset(data []byte, name string) (string, error) {
	r, err := charset.Reader(name, bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("%w: %w", err, ErrCharset)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		return "", fmt.Errorf("decode charset %q: %w", name, err)
	}
	if bytes.ContainsRune(out, utf8.RuneError) {
		// It may stand there by right.
		if back, err := encodeCharset(string(out), name); err != nil || !bytes.Equal(back, data) {
			return "", fmt.Errorf("decode charset %q: %w", name, ErrCharset)
		}
	}
	return string(out), nil
}

// codec returns the encoding called name, nil when it is unknown. The names are
// those that package charset of go-message reads.
func codec(name string) encoding.Encoding {
	for _, get := range []func() (encoding.Encoding, error){
		func() (encoding.Encoding, error) { return ianaindex.MIME.Encoding(name) },
		func() (encoding.Encoding, error) { return ianaindex.MIME.Encoding("cs" + name) },
		func() (encoding.Encoding, error) { return htmlindex.Get(name) },
	} {
		if enc, err := get(); err == nil && enc != nil {
			return enc
		}
	}
	return nil
}

// KnownCharset reports whether text can be written in the charset.
func KnownCharset(name string) bool { return isUTF8Name(strings.ToLower(name)) || codec(name) != nil }

// encodeCharset is ErrCharset when there are characters that do not fit.
func encodeCharset(s, name string) ([]byte, error) {
	if isUTF8Name(name) {
		if name != "utf-8" && name != "utf8" && !IsASCII(s) {
			return nil, fmt.Errorf("encode charset %q: %w", name, ErrCharset)
		}
		return []byte(s), nil
	}
	enc := codec(name)
	if enc == nil {
		return nil, fmt.Errorf("encode charset %q: unknown: %w", name, ErrCharset)
	}
	out, err := enc.NewEncoder().Bytes([]byte(s))
	if err != nil {
		return nil, fmt.Errorf("encode charset %q: %w: %w", name, err, ErrCharset)
	}
	return out, nil
}

// extendsASCII reports whether ASCII text is the same octets in the charset,
// wherever it stands. Unknown charsets are taken for such.
func extendsASCII(name string) bool {
	if isUTF8Name(name) {
		return true
	}
	if strings.HasPrefix(name, "iso-2022-") || strings.HasPrefix(name, "csiso2022") || strings.HasPrefix(name, "utf-7") {
		return false
	}
	enc := codec(name)
	if enc == nil {
		return true
	}
	const sample = "\t\r\n !\"#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}"
	out, err := enc.NewDecoder().String(sample + "~{")
	return err == nil && out == sample+"~{"
}

// EncodeLike returns s in the charset of a leaf, if s keeps its meaning when its
// octets are put behind, or between, those that are there already.
func (e *Entity) EncodeLike(s string) ([]byte, bool) {
	if !extendsASCII(e.Charset()) {
		return nil, false
	}
	if IsASCII(s) {
		return []byte(s), true
	}
	out, err := encodeCharset(s, e.Charset())
	return out, err == nil
}

// TypeEdit says what becomes of the Content-Type of a text. The zero value
// keeps it.
type TypeEdit struct {
	MediaType string            // "" keeps it
	Charset   string            // "" keeps it while the text fits
	Set       map[string]string // other parameters
	Drop      []string
}

// Format returns the header and the content of the leaf with text in the place
// of its own. Charset and transfer encoding stay what they are when the text
// fits, else they become UTF-8 and quoted-printable. Text with characters that
// cannot go with opaque octets is ErrCharset.
func (t *TextPart) Format(text string, edit TypeEdit) (header, content []byte, err error) {
	label := t.charset
	if edit.Charset != "" && !t.Opaque {
		label = strings.ToLower(edit.Charset)
	}
	var data []byte
	if t.Opaque {
		data, err = fromLatin1(text)
	} else if data, err = encodeCharset(text, label); err != nil {
		label, data, err = "utf-8", []byte(text), nil
	}
	if err != nil {
		return nil, nil, err
	}
	header = t.node.Header
	if v, ok := t.contentType(label, edit); ok {
		header = Set(header, "Content-Type", v)
	}
	content, enc := transferEncode(data, t.node.Encoding(), t.before, extendsASCII(label))
	if enc != "" {
		header = Set(header, "Content-Transfer-Encoding", enc)
	}
	if t.node.Parent != nil && (enc == "base64" || t.node.Encoding() == "base64") {
		content = bytes.TrimSuffix(content, []byte("\r\n")) // the boundary line has one
	}
	if t.node.Parent == nil && len(header) != len(t.node.Header) && !Has(header, "MIME-Version") {
		header = Add(header, "MIME-Version", "1.0")
	}
	return header, content, nil
}

// contentType returns the new value of the field; ok is false when it stays.
func (t *TextPart) contentType(label string, edit TypeEdit) (value string, ok bool) {
	params := map[string]string{}
	for _, p := range slices.Backward(t.node.Type.params) {
		params[strings.ToLower(p.name)] = p.value
	}
	changed := label != t.charset
	if changed {
		params["charset"] = label
	}
	for k, v := range edit.Set {
		changed = changed || params[k] != v
		params[k] = v
	}
	for _, k := range edit.Drop {
		_, there := params[k]
		changed = changed || there
		delete(params, k)
	}
	mediaType := t.node.MediaType
	if edit.MediaType != "" && edit.MediaType != mediaType {
		mediaType, changed = edit.MediaType, true
	}
	if !changed {
		return "", false
	}
	if v := stdmime.FormatMediaType(mediaType, params); v != "" {
		return v, true
	}
	// A parameter of the sender cannot be written: only what we know is kept.
	known := map[string]string{}
	for k, v := range edit.Set {
		known[k] = v
	}
	if label != "" {
		known["charset"] = label
	}
	return stdmime.FormatMediaType(mediaType, known), true
}

func fromLatin1(s string) ([]byte, error) {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil, fmt.Errorf("%q among octets of unknown meaning: %w", r, ErrCharset)
		}
		out = append(out, byte(r))
	}
	return out, nil
}
