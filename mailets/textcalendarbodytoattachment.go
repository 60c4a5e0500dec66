package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// TextCalendarBodyToAttachment makes a message that is a calendar (text/calendar)
// a multipart/mixed with the calendar as its attachment. All header fields whose
// name begins with Content- go along; the content stays as it is.
//
//	<mailet match="All" class="org.apache.james.jmap.mailet.TextCalendarBodyToAttachment"/>
//
// Parameters: none.
//
// Differs from James: the short name TextCalendarBodyToAttachment is known too;
// the case of Content- does not count.
type TextCalendarBodyToAttachment struct{}

func newTextCalendarBodyToAttachment(*conf.Params) container.Mailet {
	return &TextCalendarBodyToAttachment{}
}

// Service wraps the calendar.
func (*TextCalendarBodyToAttachment) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	v, _ := mime.Get(m.Message.Header(), "Content-Type")
	if mime.ParseParameterized(v).Main != "text/calendar" {
		return nil
	}
	if err := mime.Wrap(&m.Message, asAttachment); err != nil {
		return fmt.Errorf("make calendar an attachment: %w", err)
	}
	return nil
}

// asAttachment returns the header of a part with an attachment disposition that
// has the parameters of the one that was there.
func asAttachment(header []byte) []byte {
	old, _ := mime.Get(header, "Content-Disposition")
	disposition := "attachment"
	if _, params, ok := strings.Cut(old, ";"); ok {
		disposition += ";" + params
	}
	return mime.Set(header, "Content-Disposition", disposition)
}
