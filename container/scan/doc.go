// Package scan asks scanners about messages: clamd and spamd over their TCP
// protocols, rspamd over HTTP. Nothing of a message is kept in memory beyond a
// buffer, every step has a time limit, and what a scanner answers is bounded and
// checked.
package scan
