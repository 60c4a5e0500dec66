// Package dsn writes and reads delivery status notifications (RFC 3464 in the
// multipart/report of RFC 6522, RFC 6533 for addresses outside ASCII). It turns
// facts into a message and knows nothing of queues or of who is to be told.
//
// Whatever the facts hold (replies of hostile servers, HELO names, subjects,
// envelope identifiers) the result is a well-formed report: Parse, which is
// strict, reads every message that Report.Message writes. The report travels
// over 7-bit transport unless the returned message needs 8 bits, or the
// recipient of the report cannot be written in ASCII.
package dsn
