package mailets

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// WrapText breaks long lines of a plain text message in the way of format=flowed
// (RFC 3676), which mail programs can undo. Messages of other types stay as they
// are.
//
//	<mailet match="All" class="WrapText">
//	  <width>76</width>
//	  <delsp>yes</delsp>
//	</mailet>
//
// Parameters:
//
//   - width (default 78): how long lines may be, in characters. Longer words stay
//     whole.
//   - delsp (default no): yes or true breaks lines also where there is no blank,
//     for languages that have none between words.
//
// Differs from James: other parameters of the content type are kept; characters
// that are not ASCII are one each.
type WrapText struct {
	width int
	delSp bool
}

func newWrapText(p *conf.Params) container.Mailet {
	w := &WrapText{p.Int("width", 78), boolContains(p.String("delsp", ""), false)}
	if w.width < 1 {
		p.Warn("width", "<width> is %d; using 78", w.width)
		w.width = 78
	}
	return w
}

// Service breaks the lines.
func (t *WrapText) Service(_ context.Context, m *container.Mail, _ *container.Outbox) error {
	err := editSingleText(&m.Message, func(e *mime.Entity, text string) (string, mime.TypeEdit) {
		if delSp, flowed := isFlowed(e); flowed {
			text = mime.Deflow(text, delSp)
		}
		edit := mime.TypeEdit{Set: map[string]string{"format": "flowed"}, Drop: []string{"delsp"}}
		if t.delSp {
			edit = mime.TypeEdit{Set: map[string]string{"format": "flowed", "delsp": "yes"}}
		}
		return mime.Flow(text, t.width, t.delSp), edit
	})
	if err != nil {
		return fmt.Errorf("wrap text: %w", err)
	}
	return nil
}

// isFlowed reports whether a text is format=flowed, and its DelSp parameter.
func isFlowed(e *mime.Entity) (delSp, flowed bool) {
	format, _ := e.Type.Param("format")
	del, _ := e.Type.Param("delsp")
	return strings.EqualFold(del, "yes"), strings.EqualFold(format, "flowed")
}

// editSingleText changes the text of a message that is one plain text. Other
// messages stay as they are.
func editSingleText(m *container.Message, edit func(e *mime.Entity, text string) (string, mime.TypeEdit)) error {
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil || root.MediaType != "text/plain" {
		return ignoreComplex(err)
	}
	text, err := root.Text(m.Body(), maxPart)
	if err != nil {
		return err
	}
	after, typeEdit := edit(root, text.String)
	if after == text.String && typeEdit.Set == nil && typeEdit.Drop == nil {
		return nil
	}
	w := mime.NewRewriter(m)
	if err := replaceText(w, root, text, after, typeEdit); err != nil {
		return err
	}
	return w.Apply()
}
