// Package local holds the rules for what is local to this server: the domain
// list, the users and their passwords, and the recipient rewrite table, with
// James's semantics and James's error texts. It knows no SQL: a Storage keeps
// the data.
//
// The path of each message asks it several times per recipient (is the domain
// local, is there such a user, what does the address become), so answers are
// kept in memory. A change through the Directory is seen at once; one that
// another process wrote to the store is seen after ten seconds.
//
// A mapping source is "user@domain", or "domain" for all its addresses, or "*",
// which can be stored but is never consulted, as in James.
package local
