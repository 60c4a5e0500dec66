// Package sqlite keeps queues, mail repositories and local data in one SQLite
// file, and large message bodies in files beside it.
//
// # On disk
//
//	DIR/mailetd.db       the database, in WAL mode, synchronous=FULL
//	DIR/mailetd.lock     held with flock while a process has the store open
//	DIR/bodies/          one file for each body above 128 KiB
//
// # One writer
//
// Every change goes to one goroutine, which owns the one connection that
// writes. It takes all that is waiting, applies it in one transaction, commits
// once, and then answers everybody: the time of the previous commit is the
// time in which the next group gathers. An operation that fails after it has
// written something is taken out of its group, and the rest is applied again
// without it: so one bad operation fails alone, and the good ones do not pay
// for a savepoint each. When the commit fails, every operation of the group
// fails and nothing of it exists.
//
// Effects in memory (leases, the copies given to consumers, what a message
// remembers about its row) happen behind the commit, never before.
//
// # A full disk
//
// New mails leave the last 32 MiB of the disk alone and are refused, to be sent
// again later. The space that is left serves to lease, move and remove the mails
// that are here, which all write something before they free anything.
//
// # Messages
//
// A row of table message holds a header and either a body (in the row or, when
// large, the name of a file) or, for an edited header, the id of the row that
// has the body. Mails refer to rows; the row goes with its last referrer, in
// the same transaction, found by index. Ids are never used twice while the
// process lives, so a remembered id is either the same content or gone.
//
// # Queues
//
//	ready    waits to be leased, in order of priority and ready_at
//	delayed  becomes ready when a Lease finds that its time has come
//	leased   in the hands of this process
//	dead     set aside with Bury, or unreadable
//
// Times of items are on a clock that does not go back when that of the machine
// is set back (type queueClock), and delays are kept as the time at which they
// end. A process that starts with a clock behind lets delays that begin in its
// future begin anew.
//
// The lock file keeps other processes away, so every lease found at start
// belongs to a process that died: those items become ready again, with one more
// attempt on record. Indexes are partial, one for each state: a mail that is
// handed over to its consumer at birth never touches those of the waiting ones.
package sqlite
