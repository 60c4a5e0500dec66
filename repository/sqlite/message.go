package sqlite

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// storedRef is what a message remembers about its row. It may be gone.
type storedRef struct {
	store *Store
	row   int64
	body  int64 // the row that has the body; row itself, or its base
	mail  int64 // the repository_mail it was read from; 0 for none
}

func (s *Store) refOf(m *container.Message) *storedRef {
	if ref, ok := m.Stored().(*storedRef); ok && ref.store == s {
		return ref
	}
	return nil
}

// native returns body in a form that the writer can store without reading from
// elsewhere: octets that fit into a row, or a body of this store.
func (s *Store) native(body container.Body) (container.Body, error) {
	switch t := body.(type) {
	case container.BytesBody:
		if len(t) <= inlineLimit {
			return t, nil
		}
	case *fileBody:
		if t.store == s {
			return t, nil
		}
	case *dbBody:
		if t.store == s {
			return t, nil
		}
	}
	r, err := body.Open()
	if err != nil {
		return nil, fmt.Errorf("read message body: %w", err)
	}
	defer r.Close()
	w := &bodyWriter{store: s, buf: s.buffers.get(), inside: true}
	defer w.Abort()
	n, err := io.Copy(w, r)
	if err != nil {
		return nil, fmt.Errorf("store message body: %w", err)
	}
	if n != body.Size() {
		return nil, fmt.Errorf("message body has %d octets, announced were %d", n, body.Size())
	}
	return w.Finish()
}

// messageRow returns the row for the message of e. It is, in this order: the row
// that the message remembers, the row that this change has made for the same
// content, a new row over the same body, a new row with everything.
func (w *writer) messageRow(e *entry, done *lease) (*storedRef, error) {
	msg := &e.mail.Message
	if ref := w.s.refOf(msg); ref != nil {
		ok, err := w.messageExists(ref.row, done)
		if err != nil {
			return nil, err
		}
		if ok {
			return &storedRef{store: ref.store, row: ref.row, body: ref.body}, nil
		}
	}
	seen := seenMessage{length: len(msg.Header()), body: e.key}
	if seen.length > 0 {
		seen.header = &msg.Header()[0]
	}
	for _, other := range w.scratch.seen {
		if other.header == seen.header && other.length == seen.length && other.body == seen.body && seen.body != (bodyKey{}) {
			return other.ref, nil
		}
	}
	base, err := w.bodyRow(e, done)
	if err != nil {
		return nil, err
	}
	w.lastMessage++
	ref := &storedRef{store: w.s, row: w.lastMessage, body: w.lastMessage}
	if base != 0 {
		ref.body = base
		_, err = w.write(stInsertMessage, ref.row, header(msg), base, msg.Body().Size(), nil, nil)
	} else {
		err = w.insertContent(ref.row, e)
	}
	if err != nil {
		return nil, fmt.Errorf("store message of %s: %w", e.mail.Name, err)
	}
	seen.ref = ref
	w.scratch.seen = append(w.scratch.seen, seen)
	return ref, nil
}

// header returns the header as a value that is never NULL.
func header(m *container.Message) []byte {
	if h := m.Header(); h != nil {
		return h
	}
	return []byte{}
}

// messageExists looks for a remembered row. That of the item in hand is held by
// the item.
func (w *writer) messageExists(row int64, done *lease) (bool, error) {
	if done != nil && (row == done.message || row == done.body) {
		return true, nil
	}
	_, ok, err := w.st[stMessageExists].one(row)
	return ok, err
}

// bodyRow returns the row that has the body of e, 0 when there is none.
func (w *writer) bodyRow(e *entry, done *lease) (int64, error) {
	row := int64(0)
	switch t := e.mail.Message.Body().(type) {
	case *dbBody:
		if t.store == w.s {
			row = t.row
		}
	case *fileBody:
		if t.store == w.s {
			row = t.row.Load()
		}
	}
	if row != 0 {
		ok, err := w.messageExists(row, done)
		if err != nil || ok {
			return row, err
		}
		return 0, fmt.Errorf("message body of %s: %w", e.mail.Name, repository.ErrNotFound)
	}
	if e.key == (bodyKey{}) {
		return 0, nil
	}
	if done != nil && e.key == done.key {
		return done.body, nil
	}
	for _, other := range w.scratch.seen {
		if other.body == e.key {
			return other.ref.body, nil
		}
	}
	return 0, nil
}

// insertContent stores header and body of e as row.
func (w *writer) insertContent(row int64, e *entry) error {
	body := e.content
	if body == nil { // it remembered a row that is gone
		var err error
		if body, err = w.s.native(e.mail.Message.Body()); err != nil {
			return err
		}
	}
	msg := &e.mail.Message
	switch t := body.(type) {
	case container.BytesBody:
		data := []byte(t)
		if data == nil {
			data = []byte{}
		}
		_, err := w.write(stInsertMessage, row, header(msg), nil, int64(len(data)), data, nil)
		return err
	case *fileBody:
		// Other changes of the group may have the same body: two rows of one file
		// would take it away from each other.
		t.row.Store(row)
		w.undo = append(w.undo, func() { t.row.Store(0) })
		name := filepath.Base(t.path)
		w.after = append(w.after, func() { w.s.fresh.remove(name) })
		_, err := w.write(stInsertMessage, row, header(msg), nil, t.size, nil, name)
		return err
	}
	return fmt.Errorf("body %T cannot be stored", body)
}

// releaseMessage removes a message row when nothing refers to it any more, and
// then the row that has its body.
func (w *writer) releaseMessage(row int64) error {
	w.dirty = true
	for row != 0 {
		var base int64
		var path string
		err := w.st[stDeleteMessage].query(func(r []value) error {
			base, path = asInt(r[0]), asText(r[1])
			return nil
		}, row)
		if err != nil {
			return fmt.Errorf("remove message %d: %w", row, err)
		}
		if path != "" {
			w.unlinks = append(w.unlinks, filepath.Join(w.s.bodies, path))
		}
		row = base
	}
	return nil
}

// loadMessage makes a message of its row. mail is the repository_mail it was
// found through, 0 for none.
func (s *Store) loadMessage(row int64, head, base any, size int64, path any, mail int64) (container.Message, error) {
	h, ok := head.([]byte)
	if !ok {
		return container.Message{}, errors.New("its message is missing")
	}
	ref := &storedRef{store: s, row: row, body: row, mail: mail}
	if b := asInt(base); b != 0 {
		ref.body = b
	}
	msg := container.NewMessage(h, s.storedBody(ref.body, size, asText(path)))
	msg.MarkStored(ref)
	return msg, nil
}

// storedBody returns the body that row has.
func (s *Store) storedBody(row, size int64, path string) container.Body {
	if path == "" {
		return &dbBody{store: s, row: row, size: size}
	}
	b := &fileBody{store: s, path: filepath.Join(s.bodies, path), size: size, row: new(atomic.Int64)}
	b.row.Store(row)
	return b
}
