package sqlite

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// madeBody is a body that a mailet made over another, which it reads when it is
// read.
type madeBody struct {
	old    container.Body
	footer string
}

func (b madeBody) Size() int64 { return b.old.Size() + int64(len(b.footer)) }

func (b madeBody) Open() (io.ReadCloser, error) {
	r, err := b.old.Open()
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(r, strings.NewReader(b.footer)), r}, nil
}

// TestHandOverMadeBody: a mail whose body was made over the body of one that
// leaves the store at the same time can still be read when it is handed over.
func TestHandOverMadeBody(t *testing.T) {
	for name, size := range map[string]int{"in the row": 1000, "in a file": 3 * inlineLimit} {
		t.Run(name, func(t *testing.T) {
			s := openTest(t, t.TempDir())
			w := s.NewBody()
			text := bytes.Repeat([]byte("x"), size)
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
			body, err := w.Finish()
			must(t, err)
			put(t, s, "spool", testMail("m", body))
			item := leaseAll(t, s, "spool")[0]

			next := &greedy{}
			s.Consume("next", next)
			edited := item.Mail.Clone()
			edited.Message = container.NewMessage([]byte("Subject: x\r\n"), &madeBody{item.Mail.Message.Body(), "footer"})
			must(t, s.Commit(context.Background(), repository.Change{Done: item, Entries: []container.Entry{{Mail: edited, Queue: "next"}}}))
			must(t, s.do(context.Background(), func(*writer) error { return nil }))
			if len(next.items) != 1 {
				t.Fatalf("%d items were handed over, want 1", len(next.items))
			}
			var got bytes.Buffer
			if _, err := next.items[0].Mail.Message.WriteTo(&got); err != nil {
				t.Fatal(err)
			}
			if want := "Subject: x\r\n\r\n" + string(text) + "footer"; got.String() != want {
				t.Errorf("got %d octets, want %d", got.Len(), len(want))
			}
		})
	}
}
