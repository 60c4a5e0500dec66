package webadmin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/repository"
)

// mailView is a mail as James shows it; everything from Attributes on is filled
// only when it is asked for.
type mailView struct {
	Name        string                         `json:"name"`
	Sender      *string                        `json:"sender"`
	Recipients  []string                       `json:"recipients"`
	State       *string                        `json:"state"`
	Error       *string                        `json:"error"`
	RemoteHost  *string                        `json:"remoteHost"`
	RemoteAddr  *string                        `json:"remoteAddr"`
	LastUpdated *string                        `json:"lastUpdated"`
	Attributes  map[string]string              `json:"attributes"`
	PerRcpt     map[string]map[string][]string `json:"perRecipientsHeaders"`
	Headers     map[string][]string            `json:"headers"`
	TextBody    *string                        `json:"textBody"`
	HTMLBody    *string                        `json:"htmlBody"`
	MessageSize *int64                         `json:"messageSize"`
}

func viewMail(m *container.Mail) *mailView {
	return &mailView{
		Name: m.Name, Sender: optional(m.Sender.String()), Recipients: container.AddressStrings(m.Recipients),
		State: optional(m.State), Error: optional(m.ErrorMessage),
		RemoteHost: optional(m.RemoteHost), RemoteAddr: optional(m.RemoteAddr), LastUpdated: date(m.LastUpdated),
	}
}

// maxText bounds the text that is shown of one part of a message, in octets.
// Whoever wants more asks for the message itself.
const maxText = 16 << 20

// mailField is a value of additionalFields and what it fills in.
type mailField struct {
	name string
	fill func(v *mailView, m *container.Mail) error
}

var mailFields = []mailField{
	{"attributes", func(v *mailView, m *container.Mail) error {
		v.Attributes = map[string]string{}
		for name, value := range m.Attributes {
			v.Attributes[name] = container.FormatValue(value)
		}
		return nil
	}},
	{"perRecipientsHeaders", func(v *mailView, m *container.Mail) error {
		v.PerRcpt = map[string]map[string][]string{}
		for rcpt, fields := range m.RecipientHeaders {
			v.PerRcpt[rcpt] = map[string][]string{}
			for _, f := range fields {
				v.PerRcpt[rcpt][f.Name] = append(v.PerRcpt[rcpt][f.Name], f.Value)
			}
		}
		return nil
	}},
	{"headers", func(v *mailView, m *container.Mail) error {
		v.Headers = map[string][]string{}
		for f := range mime.Fields(m.Message.Header()) {
			v.Headers[string(f.Name)] = append(v.Headers[string(f.Name)], mime.DecodeText(f.Value()))
		}
		return nil
	}},
	{"textBody", func(v *mailView, m *container.Mail) (err error) {
		v.TextBody, err = firstText(m, "text/plain")
		return err
	}},
	{"htmlBody", func(v *mailView, m *container.Mail) (err error) {
		v.HTMLBody, err = firstText(m, "text/html")
		return err
	}},
	{"messageSize", func(v *mailView, m *container.Mail) error {
		n := m.Message.Size()
		v.MessageSize = &n
		return nil
	}},
}

// firstText returns the first part of a media type that is not an attachment,
// nil when there is none.
func firstText(m *container.Mail, mediaType string) (*string, error) {
	var found *string
	err := mime.Walk(&m.Message, mime.Limits{}, func(e *mime.Entity) error {
		if e.MediaType != mediaType || e.IsAttachment() {
			return nil
		}
		r, err := e.OpenText(m.Message.Body())
		if errors.Is(err, mime.ErrMalformed) {
			r, err = e.OpenRaw(m.Message.Body()) // an encoding that nobody knows: as it stands
		}
		if err != nil {
			return err
		}
		defer r.Close()
		b, err := io.ReadAll(io.LimitReader(r, maxText+1))
		if err != nil {
			return fmt.Errorf("read %s: %w", mediaType, err)
		}
		if len(b) > maxText {
			return fmt.Errorf("%s is longer than %d octets", mediaType, maxText)
		}
		s := strings.ToValidUTF8(string(b), "\uFFFD")
		found = &s
		return mime.ErrStop
	})
	return found, err
}

// wantedFields returns the indexes in mailFields that a comma list names.
func wantedFields(list string) ([]int, error) {
	var wanted []int
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		i := slices.IndexFunc(mailFields, func(f mailField) bool { return strings.EqualFold(f.name, name) })
		if i < 0 {
			return nil, badRequest("The field '%s' can't be requested in additionalFields parameter", name).because(errors.New(name))
		}
		if !slices.Contains(wanted, i) {
			wanted = append(wanted, i)
		}
	}
	return wanted, nil
}

const rfc822 = "message/rfc822"

func (s *Server) getMail(w http.ResponseWriter, r *http.Request) error {
	format := preferred(r.Header.Values("Accept"))
	if format == "" {
		return routeMiss(r)
	}
	var wanted []int
	var err error
	if format != rfc822 {
		if wanted, err = wantedFields(r.URL.Query().Get("additionalFields")); err != nil {
			return err
		}
	}
	p, err := s.place(r)
	if err != nil {
		return err
	}
	key := param(r, "key")
	m, _, err := s.mail(r.Context(), p, key)
	if errors.Is(err, repository.ErrNotFound) {
		return notFound("Could not retrieve %s", key)
	}
	if err != nil {
		return serverError(err, "Error while retrieving mail")
	}
	if format == rfc822 {
		return writeMessage(w, &m.Message)
	}
	v := viewMail(m)
	for _, i := range wanted {
		if err := mailFields[i].fill(v, m); err != nil {
			return serverError(err, "The field '%s' requested in additionalFields parameter can't be accessed", mailFields[i].name)
		}
	}
	return ok(w, v)
}

// writeMessage sends the message as it is stored. When it cannot be read to its
// end, the connection is broken off before Content-Length is reached.
func writeMessage(w http.ResponseWriter, m *container.Message) error {
	r, err := m.Open()
	if err != nil {
		return serverError(err, "Error while retrieving mail")
	}
	defer r.Close()
	w.Header().Set("Content-Type", rfc822)
	w.Header().Set("Content-Length", strconv.FormatInt(m.Size(), 10))
	w.WriteHeader(http.StatusOK)
	if _, err := io.Copy(w, r); err != nil {
		panic(http.ErrAbortHandler)
	}
	return nil
}

// preferred returns which of our two forms the header Accept asks for first:
// "application/json", "message/rfc822", or "" for neither. Of equal weights the
// earlier counts; no header asks for JSON (RFC 9110 §12.5.1).
func preferred(accept []string) string {
	list := strings.Join(accept, ",")
	if strings.TrimSpace(list) == "" {
		return "application/json"
	}
	best, weight := "", 0.0
	for _, item := range strings.Split(list, ",") {
		media, params, _ := strings.Cut(item, ";")
		q := 1.0
		for _, p := range strings.Split(params, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, "q") {
				q, _ = strconv.ParseFloat(v, 64)
			}
		}
		form := ""
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "*/*", "application/*", "application/json":
			form = "application/json"
		case "message/*", rfc822:
			form = rfc822
		}
		if form != "" && q > weight {
			best, weight = form, q
		}
	}
	return best
}
