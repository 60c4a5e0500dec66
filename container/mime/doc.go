// Package mime reads and edits the header of a message as text, so that every
// octet it was not asked to change stays as it came, and reads the structure
// of a body through emersion/go-message.
//
// A header is what container.Message.Header returns: whole lines, each ending
// with CRLF, without the blank line. Field names are compared ignoring case
// unless a function says otherwise (RFC 5322 §1.2.2). Functions that edit
// return a new slice and never write into the one they were given; when there
// is nothing to change they return the very slice they got, so a caller can
// tell by its length and address. Functions that only look allocate nothing
// unless they find something.
package mime
