package server

import (
	"errors"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// bodyBinary is the keyword and the value of BODY for messages of any octets. Such
// a message is converted before a hook sees it: what comes behind, storage, other
// mailets and hosts that only know DATA, never meets anything but lines.
const bodyBinary = "BINARYMIME"

// unbinary converts a message that was sent with BODY=BINARYMIME. The size limit
// counted what was received: the result is larger, by a third as a rule, and
// up to three times as large when it is text that looked readable at first.
// After an error the verdict says how to reply.
func (c *conn) unbinary(m container.Message, maxLine int) (container.Message, verdict, error) {
	w := c.e.server.services.Queue.NewBody()
	defer w.Abort()
	header, err := mime.ConvertBinary(&m, w, maxLine)
	if err != nil {
		return m, binaryVerdict(err), err
	}
	body, err := w.Finish()
	if err != nil {
		return m, notStored, err
	}
	return container.NewMessage(header, body), accepted, nil
}

// binaryVerdict tells faults of the message from those of the server.
func binaryVerdict(err error) verdict {
	switch {
	case errors.Is(err, mime.ErrLineEnd):
		return bareLineEnd
	case errors.Is(err, mime.ErrLineTooLong):
		return lineTooLong
	case errors.Is(err, mime.ErrTooComplex), errors.Is(err, mime.ErrNoBoundary), errors.Is(err, mime.ErrSigned):
		return inconvertible
	}
	return notStored
}

// inconvertibleText is the reply for a message that cannot be converted.
func inconvertibleText(err error) string {
	switch {
	case errors.Is(err, mime.ErrSigned):
		return "Signed content must not be binary: converting it would break the signature"
	case errors.Is(err, mime.ErrNoBoundary):
		return "Binary content not convertible: a multipart has no boundary parameter"
	}
	return "Binary content not convertible: too many or too deeply nested parts"
}
