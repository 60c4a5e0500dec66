package smime

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// Bounds in octets, encoded. What is signed beside its signature is read as a
// stream and has none.
const (
	maxContent   = 64 << 20
	maxSignature = 4 << 20
)

// ErrNotSigned is returned for a message without an S/MIME signature, and
// wrapped in why for one whose signature cannot be read.
var ErrNotSigned = errors.New("not signed")

// Signature is what Verify found out.
type Signature struct {
	Signers []Signer // at least one
	// Content is what was signed: a header of which only the fields that begin
	// with Content- are of interest, and a body.
	Content container.Message
}

// IsDetached and IsCMS report whether a media type is that of a signature beside
// its content, or that of content in a CMS structure (RFC 8551 §3.2, §3.5.3).
func IsDetached(mediaType string) bool {
	return mediaType == "application/pkcs7-signature" || mediaType == "application/x-pkcs7-signature"
}

// IsCMS is described at IsDetached.
func IsCMS(mediaType string) bool {
	return mediaType == "application/pkcs7-mime" || mediaType == "application/x-pkcs7-mime"
}

// Verify checks the signatures of a message, which stand beside its content
// (multipart/signed) or around it. It returns ErrNotSigned, with what is the
// matter, for anything that is no signed message by the letter: readers that
// forgive might see something else than what is signed. Other errors are those of
// reading the message.
func Verify(m *container.Message, trust *Trust) (*Signature, error) {
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil {
		return nil, unsigned(err)
	}
	if mime.Count(m.Header(), "Content-Type") != 1 || mime.Count(m.Header(), "Content-Transfer-Encoding") > 1 {
		return nil, fmt.Errorf("%w: no Content-Type, or several of a field", ErrNotSigned)
	}
	switch {
	case root.MediaType == "multipart/signed":
		return verifyDetached(m, root, trust)
	case IsCMS(root.MediaType):
		return verifyOpaque(m, root, trust)
	}
	return nil, ErrNotSigned
}

// unsigned makes ErrNotSigned of errors that are the fault of the message.
func unsigned(err error) error {
	for _, fault := range []error{ErrMalformed, mime.ErrMalformed, mime.ErrTooLarge, mime.ErrTooComplex} {
		if errors.Is(err, fault) {
			return fmt.Errorf("%w: %w", ErrNotSigned, err)
		}
	}
	return err
}

func verifyDetached(m *container.Message, root *mime.Entity, trust *Trust) (*Signature, error) {
	switch root.Encoding() {
	case "7bit", "8bit", "binary":
	default: // RFC 2045 §6.4, which not everybody knows
		return nil, fmt.Errorf("%w: a multipart cannot be encoded", ErrNotSigned)
	}
	part, signature, err := twoParts(m, root)
	if err != nil {
		return nil, err
	}
	data, err := signature.Decode(m.Body(), maxSignature)
	if err != nil {
		return nil, unsigned(err)
	}
	d, err := parseSigned(data)
	if err != nil {
		return nil, err
	}
	section, err := mime.Section(m.Body(), part.Begin, part.End)
	if err != nil {
		return nil, err
	}
	r, err := section.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sums, err := d.hash(r)
	if err != nil {
		return nil, err
	}
	body, err := contentOf(m.Body(), part)
	if err != nil {
		return nil, err
	}
	return &Signature{d.check(sums, trust), container.NewMessage(part.Header, body)}, nil
}

// contentOf returns the content of a part as a body, which ends with a line end.
func contentOf(body container.Body, part *mime.Entity) (container.Body, error) {
	tail, err := part.Tail(body, 2)
	if err != nil {
		return nil, err
	}
	end := mime.Edit{From: part.End, To: body.Size()}
	if len(tail) > 0 && string(tail) != "\r\n" {
		end.Data = []byte("\r\n")
	}
	return mime.Splice(body, mime.Edit{To: part.Content}, end)
}

func verifyOpaque(m *container.Message, root *mime.Entity, trust *Trust) (*Signature, error) {
	data, err := root.Decode(m.Body(), maxContent)
	if err != nil {
		return nil, unsigned(err)
	}
	d, err := parseSigned(data)
	if err != nil {
		return nil, err
	}
	if d.detached {
		return nil, fmt.Errorf("%w: the signature is without its content", ErrNotSigned)
	}
	sums, err := d.hash(bytes.NewReader(d.content))
	if err != nil {
		return nil, err
	}
	return &Signature{d.check(sums, trust), entity(d.content)}, nil
}

// parseSigned reads signed data with at least one signer.
func parseSigned(data []byte) (*signedData, error) {
	kind, content, err := readContentInfo(data)
	if err != nil {
		return nil, unsigned(err)
	}
	if !kind.Equal(oidSignedData) {
		return nil, ErrNotSigned
	}
	d, err := readSignedData(content)
	if err != nil {
		return nil, unsigned(err)
	}
	if len(d.signers) == 0 {
		return nil, fmt.Errorf("%w: it holds certificates alone", ErrNotSigned)
	}
	return d, nil
}

// entity makes a message of content with a header of its own. Binary content gets
// an encoding that it can be sent with, other content the line ends it needs.
func entity(content []byte) container.Message {
	m := container.ParseMessage(content)
	root, err := mime.Scan(&m, mime.Limits{})
	if err != nil || root.IsMultipart() || root.Encoding() != "binary" || !crlfOnly(m.Header()) {
		return container.ParseMessage(crlf(content))
	}
	data, err := root.Decode(m.Body(), maxContent)
	if err != nil { // larger than the message it came in
		return container.ParseMessage(crlf(content))
	}
	header := mime.Set(m.Header(), "Content-Transfer-Encoding", "base64")
	return container.NewMessage(header, container.BytesBody(mime.EncodeBase64(data)))
}

// crlfOnly reports whether each CR and each LF is of a CRLF.
func crlfOnly(b []byte) bool {
	n := bytes.Count(b, []byte("\r\n"))
	return bytes.Count(b, []byte("\n")) == n && bytes.Count(b, []byte("\r")) == n
}

// crlf makes every line end CRLF (RFC 8551 §3.1.1).
func crlf(b []byte) []byte {
	if crlfOnly(b) {
		return b
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
}

// Inner puts the content of a signed or encrypted message in the place of the
// whole: its fields that begin with Content- and its body. All other fields of
// the message stay, none of content is added.
func Inner(m *container.Message, content container.Message) {
	*m = container.NewMessage(mime.SetContentFields(m.Header(), mime.ContentFields(content.Header())), content.Body())
}

// Decrypt returns the content of a message that is encrypted for the identity.
// Errors are ErrNotEncrypted, ErrOtherRecipient, ErrDecrypt, ErrMalformed, those
// of package mime and of reading the message.
func (id *Identity) Decrypt(m *container.Message) (container.Message, error) {
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil {
		return container.Message{}, err
	}
	if !IsCMS(root.MediaType) {
		return container.Message{}, ErrNotEncrypted
	}
	data, err := root.Decode(m.Body(), maxContent)
	if err != nil {
		return container.Message{}, err
	}
	content, err := id.decrypt(data)
	if err != nil {
		return container.Message{}, err
	}
	return entity(content), nil
}

// Sign makes a message a multipart/signed: its content, with the fields that
// begin with Content-, becomes the first part, the signature the second. A
// message of more than 64 MiB is mime.ErrTooLarge.
func (id *Identity) Sign(m *container.Message) error {
	if m.Size() > maxContent {
		return fmt.Errorf("sign message of %d octets: %w", m.Size(), mime.ErrTooLarge)
	}
	inner := container.NewMessage(mime.ContentFields(m.Header()), m.Body())
	part, err := read(&inner)
	if err != nil {
		return err
	}
	part = crlf(part)
	signature, err := id.sign(part)
	if err != nil {
		return err
	}
	boundary := "=_" + rand.Text()
	body := slices.Concat([]byte("--"+boundary+"\r\n"), part, []byte("\r\n--"+boundary+"\r\n"+
		"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"+
		"Content-Transfer-Encoding: base64\r\n"+
		"Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n"), mime.EncodeBase64(signature), []byte("--"+boundary+"--\r\n"))
	field := mime.FormatField("Content-Type", `multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary="`+boundary+`"`)
	if !mime.IsASCII(part) {
		field = append(field, "Content-Transfer-Encoding: 8bit\r\n"...)
	}
	*m = container.NewMessage(mime.SetContentFields(m.Header(), field), container.BytesBody(body))
	return nil
}

func read(m *container.Message) ([]byte, error) {
	r, err := m.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out := make([]byte, m.Size())
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return out, nil
}
