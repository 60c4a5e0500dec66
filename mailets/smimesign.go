package mailets

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/smime"
)

// SMIMESign puts an S/MIME signature (RFC 8551) of this server on mail of users
// whom it knows: it certifies that the sender is who he says he is. The message
// becomes a multipart/signed; its first part is the message with a text beside it,
// SignatureExplanation.txt, that says what the signature means. The digest is
// SHA-256.
//
//	<mailet match="SMTPAuthSuccessful" class="SMIMESign">
//	  <keyStoreFileName>file://conf/smime.p12</keyStoreFileName>
//	  <keyStorePassword>secret</keyStorePassword>
//	  <keyAlias>mail</keyAlias>
//	  <keyAliasPassword>secret</keyAliasPassword>
//	  <keyStoreType>PKCS12</keyStoreType>
//	  <signerName>The mail server of example.com</signerName>
//	  <postmasterSigns>true</postmasterSigns>
//	  <rebuildFrom>true</rebuildFrom>
//	  <explanationText>Signed by [signerName] for [reversePath].</explanationText>
//	  <debug>false</debug>
//	</mailet>
//
// A mail is signed if its client has authenticated as a user who may send from its
// envelope sender, the sender is also an address in From, and the message is
// neither signed nor encrypted. All others go on as they are. 8-bit content is
// first encoded as ConvertTo7Bit does it, so that no relay has to change what is
// signed. Signed mail has the signer in Sender; the attributes
// org.apache.james.smime.signing.mailetname (the class),
// org.apache.james.smime.signature.validity (valid) and
// org.apache.james.smime.signer.address say who signed. Put DKIMSign behind it, and
// nothing else that changes the body.
//
// Parameters:
//
//   - keyStoreFileName (required): the file with the private key, an RSA or ECDSA
//     key, and its certificate, which must have an e-mail address:
//     file://conf/NAME or a path.
//   - keyStorePassword (required): its password.
//   - keyStoreType: JKS, PKCS12 or PEM; the content of the file decides. The key of
//     a PEM file must not be encrypted, and the password is not used.
//   - keyAlias (default: the only key): name of the key in a JKS keystore. Other
//     files must have one key alone.
//   - keyAliasPassword (default: that of the keystore): password of the key.
//   - signerName (default: the common name of the certificate): the name that goes
//     with the address of the signer.
//   - postmasterSigns (default true): whether mail with the postmaster as sender is
//     signed, too. His address need not be in From.
//   - rebuildFrom (default true): whether From becomes the signer's address, with the
//     sender's as its name, since readers compare it with the certificate. Replies
//     go where they went before: Reply-To is set to that, if it is missing.
//   - explanationText: the text, in which [signerName], [signerAddress],
//     [reversePath] and [headers] (the header without Bcc) are filled in. An empty
//     element leaves the text out.
//   - debug: accepted and of no effect.
//
// An unknown parameter is an error. A message of more than 64 MiB is an error, too.
//
// Differs from James: SHA-256 instead of SHA-1; the user is compared
// with the whole sender, or by aliases, where James compares the local part with
// the login name; that holds for the postmaster as well, whose mail James signs for
// anybody who has logged in; 8-bit content is encoded first; the certificate's
// address may stand in its subjectAltName; the text is our own; Bcc is not in it.
type SMIMESign struct{ serverSigner }

func newSMIMESign(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet { return &SMIMESign{newServerSigner(s, p, james+"SMIMESign")} }
}

// Service signs the message if it is one to sign. On an error it is as it was.
func (s *SMIMESign) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	return s.sign(ctx, m)
}

// Attributes of mail that was signed here.
const (
	attrSigningMailet     = "org.apache.james.smime.signing.mailetname"
	attrSignatureValidity = "org.apache.james.smime.signature.validity"
	attrSignerAddress     = "org.apache.james.smime.signer.address"
)

const signatureExplanation = `This message was signed by its mail server, [signerName] <[signerAddress]>.
The server knows the sender: he has logged in, and may send from the address

    [reversePath]

When it was signed, the message had this header:

[headers]
Both the message and this text are covered by the signature.
`

// senderRights says who may send from an address.
type senderRights interface {
	MaySendAs(ctx context.Context, user string, a container.Address) (bool, error)
}

// serverSigner is what SMIMESign and Sign have in common.
type serverSigner struct {
	class           string
	rights          senderRights
	postmaster      container.Address
	postmasterSigns bool
	rebuildFrom     bool
	explanation     string // "" for none
	identity        *smime.Identity
	name            string
	address         container.Address
	convert         ConvertTo7Bit
	gate            *smime.Gate
}

func newServerSigner(s Services, p *conf.Params, class string) serverSigner {
	p.Strict()
	p.Bool("debug", false)
	out := serverSigner{class: class, rights: s.Local, postmaster: s.Postmaster, identity: smimeIdentity(s, p),
		postmasterSigns: p.Bool("postmasterSigns", true), rebuildFrom: p.Bool("rebuildFrom", true), convert: ConvertTo7Bit{mime.Clean(s.Hostname)}, gate: s.smime}
	p.Required("keyStorePassword")
	text, ok := p.Lookup("explanationText")
	if !ok {
		text = signatureExplanation
	}
	out.explanation = crlfLines(text)
	out.name = p.String("signerName", "")
	if out.identity == nil {
		return out
	}
	err := out.identity.CanSign()
	if err == nil {
		out.address, err = identityAddress(out.identity)
	}
	if err != nil {
		p.Fail("keyStoreFileName", err)
	}
	if out.name == "" {
		out.name = out.identity.Certificate.Subject.CommonName
	}
	if out.name == "" {
		p.Fail("signerName", errors.New("it is required, since the certificate has no common name"))
	}
	return out
}

func (s *serverSigner) sign(ctx context.Context, m *container.Mail) error {
	ok, err := s.wanted(ctx, m)
	if err != nil || !ok {
		return err
	}
	leave, err := s.gate.Enter(ctx, m.Message.Size())
	if err != nil {
		return fmt.Errorf("S/MIME: %w", err)
	}
	defer leave()
	msg := m.Message
	original := msg.Header()
	if err := s.convert.convert(&msg, 0); err != nil {
		return fmt.Errorf("S/MIME: convert to 7bit: %w", err)
	}
	if s.explanation != "" {
		keep := func(fields []byte) []byte { return fields }
		if err := mime.Wrap(&msg, keep, s.explanationPart(m, original)); err != nil {
			return fmt.Errorf("S/MIME: %w", err)
		}
	}
	if err := s.identity.Sign(&msg); err != nil {
		return fmt.Errorf("S/MIME: %w", err)
	}
	msg.SetHeader(s.header(m, msg.Header(), original))
	m.Message = msg
	m.Set(attrSigningMailet, s.class)
	m.Set(attrSignatureValidity, "valid")
	m.Set(attrSignerAddress, s.address.String())
	return nil
}

// wanted reports whether a mail is one to sign.
func (s *serverSigner) wanted(ctx context.Context, m *container.Mail) (bool, error) {
	user, ok := m.Attributes.String(container.AttrSMTPAuthUser)
	if !ok || m.Sender.IsNull() || protectedType(m.Message.Header()) {
		return false, nil
	}
	if m.Sender.Equal(s.postmaster) {
		if !s.postmasterSigns {
			return false, nil
		}
	} else if !container.ContainsAddress(mime.Addresses(m.Message.Header(), "From"), m.Sender) {
		return false, nil
	}
	ok, err := s.rights.MaySendAs(ctx, user, m.Sender)
	if err != nil {
		return false, fmt.Errorf("S/MIME: may %s send from %s: %w", user, m.Sender, err)
	}
	return ok, nil
}

// protectedType reports whether a message is signed or encrypted.
func protectedType(header []byte) bool {
	v, _ := mime.Get(header, "Content-Type")
	t := mime.ParseParameterized(v).Main
	return t == "multipart/signed" || t == "multipart/encrypted" || smime.IsCMS(t)
}

func (s *serverSigner) explanationPart(m *container.Mail, header []byte) []byte {
	shown := strings.ToValidUTF8(string(mime.Remove(header, "Bcc", "Resent-Bcc")), "?")
	text := strings.NewReplacer("[signerName]", s.name, "[signerAddress]", s.address.String(),
		"[reversePath]", m.Sender.String(), "[headers]", shown).Replace(s.explanation)
	const fields = "Content-Type: text/plain; charset=utf-8; name=\"SignatureExplanation.txt\"\r\n" +
		"Content-Transfer-Encoding: quoted-printable\r\n" +
		"Content-Disposition: attachment; filename=\"SignatureExplanation.txt\"\r\n\r\n"
	return append([]byte(fields), mime.EncodeQuotedPrintable([]byte(text))...)
}

// header returns the header of the signed message.
func (s *serverSigner) header(m *container.Mail, header, original []byte) []byte {
	header = mime.Set(header, "Sender", mime.FormatAddress(s.name, s.address))
	if !s.rebuildFrom {
		return header
	}
	if from := mime.Values(original, "From"); len(from) > 0 && !mime.Has(header, "Reply-To") {
		header = mime.Set(header, "Reply-To", strings.Join(from, ", "))
	}
	return mime.Set(header, "From", mime.FormatAddress(m.Sender.String(), s.address))
}
