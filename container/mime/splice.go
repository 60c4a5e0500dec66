package mime

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mailetd/mailetd/container"
)

// Edit puts Data in the place of the octets From to To of a body.
type Edit struct {
	From, To int64
	Data     []byte
}

// Splice returns a body made of old with edits applied, which must not overlap.
// It is no copy: reading it reads old, except for what was replaced, so its
// size in memory is that of the edits. The caller gives the data of the edits
// away.
func Splice(old container.Body, edits ...Edit) (container.Body, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	src := whole(old)
	out := &spliced{old: src.old}
	var pos int64
	for _, e := range edits {
		if e.From < pos || e.To < e.From || e.To > src.size {
			return nil, fmt.Errorf("splice body of %d octets: edit of %d to %d after %d", src.size, e.From, e.To, pos)
		}
		out.addRange(src, pos, e.From)
		out.add(piece{data: e.Data, size: int64(len(e.Data))})
		pos = e.To
	}
	out.addRange(src, pos, src.size)
	return out, nil
}

// Section returns the octets from to to of a body as one of its own.
func Section(old container.Body, from, to int64) (container.Body, error) {
	return Splice(old, Edit{To: from}, Edit{From: to, To: old.Size()})
}

// spliced is a body made of pieces of another and of new octets.
type spliced struct {
	old    container.Body
	pieces []piece
	size   int64
}

// piece is data, or size octets of the old body at from when data is nil.
type piece struct {
	data       []byte
	from, size int64
}

// whole returns body as pieces; one that is spliced already is not nested.
func whole(body container.Body) *spliced {
	if s, ok := body.(*spliced); ok {
		return s
	}
	n := body.Size()
	return &spliced{old: body, size: n, pieces: []piece{{size: n}}}
}

func (s *spliced) add(p piece) {
	if p.size == 0 {
		return
	}
	s.size += p.size
	if n := len(s.pieces); n > 0 && p.data == nil {
		if last := &s.pieces[n-1]; last.data == nil && last.from+last.size == p.from {
			last.size += p.size
			return
		}
	}
	s.pieces = append(s.pieces, p)
}

// addRange adds the octets from to to of src.
func (s *spliced) addRange(src *spliced, from, to int64) {
	var start int64
	for _, p := range src.pieces {
		lo, hi := max(from, start)-start, min(to, start+p.size)-start
		start += p.size
		if lo >= hi {
			continue
		}
		if p.data != nil {
			s.add(piece{data: p.data[lo:hi], size: hi - lo})
		} else {
			s.add(piece{from: p.from + lo, size: hi - lo})
		}
	}
}

// Size returns the number of octets.
func (s *spliced) Size() int64 { return s.size }

// Open returns a reader over the pieces. The old body is opened when the first
// of them is wanted, and must still be there.
func (s *spliced) Open() (io.ReadCloser, error) {
	return &splicedReader{body: s, rest: s.pieces}, nil
}

type splicedReader struct {
	body *spliced
	rest []piece
	done int64 // octets of rest[0] that were read
	src  io.ReadCloser
	pos  int64 // of src
}

// Read implements io.Reader. An old body that is shorter than it said is
// io.ErrUnexpectedEOF.
func (r *splicedReader) Read(b []byte) (int, error) {
	for len(r.rest) > 0 && r.done == r.rest[0].size {
		r.rest, r.done = r.rest[1:], 0
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, nil
	}
	p := r.rest[0]
	if p.data != nil {
		n := copy(b, p.data[r.done:])
		r.done += int64(n)
		return n, nil
	}
	if err := r.seek(p.from + r.done); err != nil {
		return 0, err
	}
	n, err := r.src.Read(b[:min(int64(len(b)), p.size-r.done)])
	r.done += int64(n)
	r.pos += int64(n)
	if n > 0 {
		return n, nil // an error will come again
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return 0, err
}

// seek opens the old body and goes to an offset at or behind the current one.
func (r *splicedReader) seek(pos int64) error {
	if r.src == nil {
		src, err := r.body.old.Open()
		if err != nil {
			return err
		}
		r.src = src
	}
	if r.pos == pos {
		return nil
	}
	if s, ok := r.src.(io.Seeker); ok {
		if _, err := s.Seek(pos, io.SeekStart); err != nil {
			return fmt.Errorf("read message body: %w", err)
		}
	} else if _, err := io.CopyN(io.Discard, r.src, pos-r.pos); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read message body: %w", err)
	}
	r.pos = pos
	return nil
}

// Close closes the old body.
func (r *splicedReader) Close() error {
	r.rest = nil
	if r.src == nil {
		return nil
	}
	src := r.src
	r.src = nil
	return src.Close()
}
