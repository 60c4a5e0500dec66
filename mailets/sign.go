package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
)

// Sign is SMIMESign under its other name: it puts the S/MIME signature of this
// server on mail of users whom it knows. See there for what is signed, and how.
//
//	<mailet match="SMTPAuthSuccessful" class="Sign">
//	  <keyHolderClass>org.apache.james.transport.SMIMEKeyHolder</keyHolderClass>
//	  <keyStoreFileName>file://conf/smime.p12</keyStoreFileName>
//	  <keyStorePassword>secret</keyStorePassword>
//	  <keyStoreType>PKCS12</keyStoreType>
//	  <signerName>The mail server of example.com</signerName>
//	</mailet>
//
// Parameters:
//
//   - keyHolderClass (required): org.apache.james.transport.SMIMEKeyHolder.
//   - keyStoreFileName, keyStorePassword (required): as in SMIMESign.
//   - keyStoreType, keyAlias, keyAliasPassword: as in SMIMESign.
//   - signerName, postmasterSigns, rebuildFrom: as in SMIMESign.
//   - explanationText, debug: as in SMIMESign.
//
// An unknown parameter is an error.
//
// Differs from James: as SMIMESign; a class of one's own cannot hold the keys.
type Sign struct{ serverSigner }

func newSign(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		if class := p.Required("keyHolderClass"); class != "" && !strings.HasSuffix(class, ".SMIMEKeyHolder") {
			p.Fail("keyHolderClass", fmt.Errorf("there is no key holder %s, only org.apache.james.transport.SMIMEKeyHolder", class))
		}
		return &Sign{newServerSigner(s, p, james+"Sign")}
	}
}

// Service signs the message if it is one to sign.
func (s *Sign) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	return s.sign(ctx, m)
}
