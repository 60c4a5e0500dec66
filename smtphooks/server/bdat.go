package server

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/smtphooks"
)

// chunks is a message that arrives by BDAT (RFC 3030): the octets of all chunks
// one after the other, without dot-stuffing. Every line ends with CRLF, as in DATA,
// so that the message can be passed on by DATA with nothing in it that could be
// taken for its end. After BODY=BINARYMIME that is so for the header; the body is
// taken in as it is, and converted when all of it is here (see binary).
type chunks struct {
	dataReader
	tx      *smtphooks.Transaction
	partial []byte // the beginning of a line whose end has not arrived
}

// errChunkSize ends a connection: what follows cannot be told from commands.
var errChunkSize = errors.New("size of a chunk not readable")

// parseChunk reads the argument of BDAT.
func parseChunk(arg string) (size int64, last bool, err error) {
	fields := strings.FieldsFunc(upper(arg), func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 2 && fields[1] == "LAST" {
		fields, last = fields[:1], true
	}
	if len(fields) != 1 || strings.Trim(fields[0], "0123456789") != "" {
		return 0, false, errChunkSize
	}
	size, err = strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0, false, errChunkSize
	}
	return size, last, nil
}

// bdat takes one chunk. Its octets are read to the last one whatever the reply
// is, since none of them is ever a command.
func (c *conn) bdat(ctx context.Context, arg string) {
	size, last, err := parseChunk(arg)
	if err != nil {
		c.reply(501, "5.5.4", "Usage: BDAT <size> [LAST]")
		c.closing, c.linger = true, true
		c.e.log().InfoContext(ctx, "message broken off", c.about(slog.Any("err", err))...)
		return
	}
	refusal := ""
	switch {
	case !c.s.Tx.HasSender:
		refusal = "No sender specified"
	case len(c.s.Tx.Recipients) == 0:
		refusal = "No recipients specified"
	case c.chunks == nil:
		c.chunks = &chunks{tx: c.s.Tx, dataReader: dataReader{in: c.in, newBody: c.e.server.services.Queue.NewBody, header: c.received(ctx),
			maxLine: c.e.cfg.MaxLineLength, maxSize: c.e.cfg.MaxMessageSize, raw: true, binary: c.s.Tx.Body == bodyBinary}}
		c.chunks.fields = len(c.chunks.header)
	}
	take := func([]byte) {}
	if refusal == "" {
		take = c.chunks.add
	}
	c.setInData(true)
	if err := c.in.octets(size, take); err != nil {
		c.brokenData(ctx, err)
		return
	}
	switch {
	case refusal != "":
		c.setInData(false)
		c.reply(503, "5.5.0", refusal)
	case !last:
		c.setInData(false)
		c.reply(250, "2.0.0", strconv.FormatInt(size, 10)+" octets received")
	default:
		c.lastChunk(ctx)
	}
}

// lastChunk replies to the message, as data does.
func (c *conn) lastChunk(ctx context.Context) {
	defer c.s.Reset()
	d := c.chunks
	if c.setReplying(true) {
		c.brokenData(ctx, errExpired) // the client sends the message again
		return
	}
	d.end()
	c.endOfData(ctx, &d.dataReader)
	c.setInData(false)
	if c.e.lifespan > 0 && c.flush() != nil || c.setReplying(false) {
		c.closing = true
	}
}

// dropChunks throws away the chunks of a transaction that has ended.
func (c *conn) dropChunks() {
	if c.chunks != nil && (c.chunks.tx != c.s.Tx || c.closing) {
		c.chunks.abort()
		c.chunks = nil
	}
}

// octets hands exactly n octets to take, in pieces.
func (in *input) octets(n int64, take func([]byte)) error {
	in.enlarge()
	for n > 0 {
		win := in.window()
		if int64(len(win)) > n {
			win = win[:n]
		}
		take(win)
		in.consume(len(win))
		if n -= int64(len(win)); n == 0 {
			return nil
		}
		if err := in.fill(); err != nil {
			return err
		}
	}
	return nil
}

// add takes octets of a chunk. After a refusal they are only counted.
func (d *chunks) add(b []byte) {
	if d.verdict != accepted {
		d.partial = nil
		d.size += int64(len(b))
		d.checkSize()
		return
	}
	if len(d.partial) > 0 {
		end := bytes.IndexByte(b, '\n') + 1
		if end == 0 {
			d.keep(b)
			return
		}
		line := append(d.partial, b[:end]...)
		d.partial = d.partial[:0]
		d.lines(line)
		b = b[end:]
	}
	if !d.unchecked() {
		b = b[d.lines(b):]
	}
	if !d.unchecked() {
		d.keep(b)
		return
	}
	d.size += int64(len(b))
	d.take(b)
}

// lines takes the complete lines at the start of b and returns their length.
func (d *chunks) lines(b []byte) int {
	n, _, err := d.chunk(b)
	if err != nil {
		d.refuse(bareLineEnd)
		return len(b)
	}
	return n
}

// keep remembers the beginning of a line.
func (d *chunks) keep(b []byte) {
	d.partial = append(d.partial, b...)
	if len(d.partial) > d.maxLine+1 {
		d.refuse(lineTooLong)
	}
}

// end completes the last line: a message ends with CRLF (RFC 5321 §2.3.8), and
// signatures are made as if it did (RFC 6376 §3.4.3).
func (d *chunks) end() {
	if len(d.partial) > 0 && d.verdict == accepted {
		d.lines(append(d.partial, '\r', '\n'))
	}
	d.partial = nil
	d.checkSize()
}
