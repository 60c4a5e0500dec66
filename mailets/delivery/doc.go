// Package delivery is what the mailets have in common that hand a mail to
// somebody else while it is being processed: a Maildir, an LMTP server, a
// program, a web server.
//
// # What becomes of a mail
//
// Every recipient ends an attempt with an outcome (container.Outcome).
//
//	delivered   stays in the mail, which goes on, or ends here when it is consumed
//	deferred    goes back to the spool in a mail of its own, which comes to the
//	            same processor after the delay of the plan; or to OnTemporary
//	failed      goes to OnFailure in a mail of its own, and so does what was
//	            deferred too often
//
// The mails that come of one have different names, since a repository replaces
// a mail of the same name.
//
// # What is bounded
//
// No more than Slots mails are in the hands of others at the same time. A mail
// that finds no free place within a moment goes back to the spool, and so do the
// recipients whose turn has not come when the time of a mail is used up: both
// without counting as an attempt. So a peer that hangs holds up a few workers of
// the spool, for a time that is known.
//
// # What a crash does
//
// Nothing of a run is stored before its end. When the process dies in the
// middle of it, the mail runs again, and those who have it already get it twice.
package delivery
