// Package server speaks SMTP with clients: listeners, TLS, the PROXY protocol,
// limits, and a command loop that is strict about line ends. What is allowed to
// whom it asks the handler chain of package smtphooks.
//
// # A connection
//
// One goroutine serves one connection. While it is idle it holds a buffer of
// 2 KiB; for the time of DATA it borrows a larger one. Replies are collected and
// written when no further complete command has arrived (RFC 2920). Commands and
// message lines end with CR LF only: a CR or LF by itself is answered with 500
// and the connection closed, so that what one server takes for content is never
// a command to this one.
//
// A client has to get on: type pace says how slow it may be. Only the time that the
// server waits for it counts.
//
// # A message
//
// The header is kept in memory, up to 1 MiB; the body goes to the store as it
// arrives, so that the memory of a connection does not grow with the message.
// A message that is refused is read to its end and thrown away. An accepted one
// is answered with 250 when SendMailHandler has committed it.
//
// BDAT takes the same lines in chunks (RFC 3030). With BODY=BINARYMIME the body may
// be any octets; it is stored as it arrives, converted to lines by
// mime.ConvertBinary, and stored again, before a hook sees it: the rest of the server
// never meets binary content. DKIM signatures over it do not survive that.
//
// # Reload
//
// Reload builds new endpoints, with their chains, beside those in use. Sockets
// outlive it and are given the endpoint that answers for their address now; a
// connection keeps the endpoint it began with. What is counted and remembered of
// clients is shared by an endpoint and its successor.
//
// # Shutdown
//
// When the context of Run is done, the listeners close, clients between two
// commands read 421, and a message on its way may finish within the grace
// period. Close ends all connections at once.
package server
