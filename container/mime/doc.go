// Package mime reads and edits the header and the parts of a message as text, so
// that every octet it was not asked to change stays as it came. One scanner finds
// the parts by their boundary lines: Scan returns them as a tree, Walk shows them
// one after another. emersion/go-message undoes the transfer encodings.
//
// A header is what container.Message.Header returns: whole lines, each ending
// with CRLF, without the blank line. Field names are compared ignoring case
// unless a function says otherwise (RFC 5322 §1.2.2). Functions that edit
// return a new slice and never write into the one they were given; when there
// is nothing to change they return the very slice they got, so a caller can
// tell by its length and address. Functions that only look allocate nothing
// unless they find something.
package mime
