// Package repository says what a queue and a mail repository are, for whoever
// uses them and whoever stores them; package repositorytest is the suite that
// every backend must pass.
//
// # Where a mail can be
//
//	ready    in a queue, to be leased from its ready-at time on
//	leased   in a queue, in the hands of one process until it commits
//	dead     in a queue, set aside because nothing could be done with it
//	stored   in a mail repository, until an operator or a schedule moves it
//
// Every step between them is one Change, applied in one transaction:
//
//	SMTP accepted          Change{Entries: spool}              -> ready or leased
//	processors have run    Change{Done: item, Entries: ...}    leased -> gone, and the entries
//	delivery attempt over  Change{Done: item, Entries: ...}    leased -> gone, ready (retry), ...
//	reprocess              Change{From: stored mail, Entries}  stored -> ready
//
// A process that dies leaves leased items behind; they are ready again when it
// starts anew, with Mail.Redelivered set.
package repository
