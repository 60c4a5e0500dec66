package amqptest

import (
	"encoding/binary"
	"errors"
	"io"
)

// Kinds of frames.
const (
	frameMethod = 1
	frameHeader = 2
	frameBody   = 3
	frameEnd    = 0xce
)

// Methods: class and number.
const (
	connectionStart   = 10<<16 | 10
	connectionStartOk = 10<<16 | 11
	connectionTune    = 10<<16 | 30
	connectionTuneOk  = 10<<16 | 31
	connectionOpen    = 10<<16 | 40
	connectionOpenOk  = 10<<16 | 41
	connectionClose   = 10<<16 | 50
	connectionCloseOk = 10<<16 | 51
	channelOpen       = 20<<16 | 10
	channelOpenOk     = 20<<16 | 11
	channelClose      = 20<<16 | 40
	channelCloseOk    = 20<<16 | 41
	exchangeDeclare   = 40<<16 | 10
	exchangeDeclareOk = 40<<16 | 11
	basicPublish      = 60<<16 | 40
	basicAck          = 60<<16 | 80
	basicNack         = 60<<16 | 120
	confirmSelect     = 85<<16 | 10
	confirmSelectOk   = 85<<16 | 11
)

// frame reads a frame.
func (p *peer) frame() (kind byte, channel uint16, payload []byte, err error) {
	head := make([]byte, 7)
	if _, err := io.ReadFull(p, head); err != nil {
		return 0, 0, nil, err
	}
	size := binary.BigEndian.Uint32(head[3:])
	if size > 1<<20 {
		return 0, 0, nil, errors.New("frame too large")
	}
	payload = make([]byte, size+1)
	if _, err := io.ReadFull(p, payload); err != nil {
		return 0, 0, nil, err
	}
	if payload[size] != frameEnd {
		return 0, 0, nil, errors.New("frame does not end")
	}
	return head[0], binary.BigEndian.Uint16(head[1:]), payload[:size], nil
}

// method writes a method.
func (p *peer) method(channel uint16, id uint32, args *writer) error {
	f := new(writer).byte(frameMethod).uint16(channel).uint32(uint32(4 + len(args.b))).uint32(id)
	f.b = append(append(f.b, args.b...), frameEnd)
	_, err := p.Write(f.b)
	return err
}

// writer builds arguments.
type writer struct{ b []byte }

func (w *writer) byte(v byte) *writer     { w.b = append(w.b, v); return w }
func (w *writer) uint16(v uint16) *writer { w.b = binary.BigEndian.AppendUint16(w.b, v); return w }
func (w *writer) uint32(v uint32) *writer { w.b = binary.BigEndian.AppendUint32(w.b, v); return w }
func (w *writer) uint64(v uint64) *writer { w.b = binary.BigEndian.AppendUint64(w.b, v); return w }
func (w *writer) table() *writer          { return w.uint32(0) }
func (w *writer) short(s string) *writer  { w.b = append(append(w.b, byte(len(s))), s...); return w }
func (w *writer) long(s string) *writer {
	w.uint32(uint32(len(s)))
	w.b = append(w.b, s...)
	return w
}

// reader takes arguments apart; what is missing is empty.
type reader struct{ b []byte }

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b = nil
		return make([]byte, min(n, 8))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) skip(n int)     { r.take(n) }
func (r *reader) uint32() uint32 { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) uint64() uint64 { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) short() string  { return string(r.take(int(r.take(1)[0]))) }
func (r *reader) long() string   { return string(r.take(int(r.uint32()))) }
