package webhook

import (
	"encoding/json"
	"fmt"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxFields bounds the header in a document, in octets.
const maxFields = 256 << 10

// mail is the document about a mail.
type mail struct {
	Name          string   `json:"name"`
	ID            string   `json:"id"`
	Sender        string   `json:"sender"` // "" is the null reverse-path
	Recipients    []string `json:"recipients"`
	RemoteHost    string   `json:"remoteHost"`
	RemoteAddress string   `json:"remoteAddress"`
	Attempt       int      `json:"attempt"`
	Size          int64    `json:"size"` // of the message, in octets
	Headers       []field  `json:"headers"`
	Truncated     bool     `json:"headersTruncated,omitempty"`
}

type field struct {
	Name  string `json:"name"`
	Value string `json:"value"` // unfolded
}

// document returns the JSON about m. A header of unusual length is cut off
// between two fields, so that memory is bounded.
func document(m *container.Mail, rcpts []container.Address, attempt int) ([]byte, error) {
	doc := mail{Name: m.Name, ID: m.ID, Sender: m.Sender.String(), Recipients: container.AddressStrings(rcpts),
		RemoteHost: m.RemoteHost, RemoteAddress: m.RemoteAddr, Attempt: attempt, Size: m.Message.Size(), Headers: []field{}}
	size := 0
	for f := range mime.Fields(m.Message.Header()) {
		if size += len(f.Raw); size > maxFields {
			doc.Truncated = true
			break
		}
		doc.Headers = append(doc.Headers, field{string(f.Name), f.Value()})
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return b, nil
}
