package mailets

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// ContactExtractor writes down whom the sender writes to, as JSON in an attribute:
//
//	{"userEmail":"bob@example.com","emails":["Ann Doe <ann@example.org>"]}
//
// The addresses are those of To, Cc and Bcc with their names. When the sender is
// null, or the header names nobody, there is no attribute.
//
//	<mailet match="SMTPAuthSuccessful" class="ContactExtractor">
//	  <attribute>com.example.contacts</attribute>
//	</mailet>
//
// Parameters:
//
//   - attribute (required): name of the attribute, of type String.
//
// Differs from James: an address that cannot be read does not hide the others.
type ContactExtractor struct{ attribute string }

func newContactExtractor(p *conf.Params) container.Mailet {
	return &ContactExtractor{p.Required("attribute")}
}

// Service sets the attribute.
func (c *ContactExtractor) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	if m.Sender.IsNull() {
		return nil
	}
	var emails []string
	for _, name := range []string{"To", "Cc", "Bcc"} {
		for _, v := range mime.Values(m.Message.Header(), name) {
			boxes, _ := mime.ParseAddresses(v)
			for _, b := range boxes {
				emails = append(emails, contact(b))
			}
		}
	}
	if len(emails) == 0 {
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // James's form: < and > as they are
	err := enc.Encode(struct {
		UserEmail string   `json:"userEmail"`
		Emails    []string `json:"emails"`
	}{m.Sender.String(), emails})
	if err != nil {
		return fmt.Errorf("write contacts: %w", err)
	}
	m.Set(c.attribute, strings.TrimSuffix(b.String(), "\n"))
	return nil
}

// contact returns a mailbox for people: the name is not encoded, but quoted where
// it must be.
func contact(b mime.Mailbox) string {
	name := mime.Clean(b.Name)
	switch {
	case name == "":
		return b.Address.String()
	case strings.ContainsAny(name, `()<>[]:;@\,."`):
		name = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
	}
	return name + " <" + b.Address.String() + ">"
}
