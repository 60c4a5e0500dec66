package matchers

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// PartHasContentType matches messages with a part whose Content-Type, with its
// parameters, begins with one of some texts. A part without the field counts as
// text/plain. What is inside multipart/alternative is not looked at, nor is what
// is inside an attached message. A broken multipart is an error.
//
//	<mailet match="PartHasContentType=image/ application/x-msdownload" class="Null"/>
//
// Condition: one or more beginnings of media types, separated by commas or
// blanks; a * in front does not count. The options -d and -z in front are
// accepted.
//
// Differs from James: the case of the part's type does not count (RFC 2045
// §5.1); -d does not log; a message with more than 1000 parts, or parts nested
// more than 20 deep, is an error.
type PartHasContentType struct{ masks []string }

func newPartHasContentType(condition string) (container.Matcher, error) {
	if condition == "" {
		return nil, errors.New("want one or more beginnings of media types, separated by commas or blanks")
	}
	_, masks := options(items(condition))
	for i, mask := range masks {
		masks[i] = strings.TrimPrefix(mask, "*")
	}
	return &PartHasContentType{masks}, nil
}

// options takes the options -d and -z off the front of the masks of a
// condition. It returns whether -z is one of them and the masks in lower case,
// with encoded words decoded.
func options(list []string) (zip bool, masks []string) {
	for i, s := range list {
		s = strings.ToLower(s)
		switch {
		case len(masks) == 0 && s == "-z":
			zip = true
		case len(masks) == 0 && s == "-d":
		default:
			masks = append(masks, strings.ToLower(mime.DecodeText(list[i])))
		}
	}
	return zip, masks
}

// Match returns all recipients when a part has such a type.
func (p *PartHasContentType) Match(_ context.Context, m *container.Mail) ([]container.Address, error) {
	return anyEntity(m, func(e *mime.Entity) (bool, error) {
		if e.IsMultipart() {
			if e.MediaType == "multipart/alternative" {
				return false, mime.ErrSkip
			}
			return false, nil
		}
		v, ok := mime.Get(e.Header, "Content-Type")
		if !ok {
			v = "text/plain"
		}
		v = strings.ToLower(v)
		return slices.ContainsFunc(p.masks, func(mask string) bool { return strings.HasPrefix(v, mask) }), nil
	})
}
