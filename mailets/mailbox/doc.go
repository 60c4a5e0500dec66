// Package mailbox delivers into Maildirs that other programs read, such as
// Dovecot or a mail user agent.
//
// # What is where
//
//	<box>/new/NAME            a message that nobody has seen
//	<box>/cur/NAME:2,FLAGS    one that comes with flags
//	<box>/tmp/…               one being written
//	<box>/.A.B/{cur,new,tmp}  folder A/B (Maildir++), made when mail for it comes
//
// NAME is TIME.HASH.HOST,S=SIZE. The hash is made of the mail, the recipient and
// the folder, so that delivering the same mail once more, after a crash, gives
// the same file and not a second one. A message is stored with the CRLF line
// ends it came with.
//
// # Delivery
//
// Write into tmp, flush the file, rename it into new or cur, flush that folder:
// when Deliver returns without an error, the message survives a power failure.
// Nothing is locked, as Maildir promises, so deliveries into one box do not wait
// for each other. Files in tmp that are older than 36 hours belong to nobody and
// are removed.
//
// This is our own code although emersion/go-maildir exists: that library flushes
// neither file nor folder, and its names are random, so that it can promise
// neither half of the above. Tests read with it what we write.
package mailbox
