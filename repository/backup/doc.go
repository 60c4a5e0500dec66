// Package backup writes everything that a server keeps into one archive, while
// the server runs, and makes a data folder of it again.
//
// The archive is a tar file:
//
//	mailetd-backup.json        what it is, and when it was made
//	mailetd.db, bodies/...     the store, as it was at one moment
//	mail/...                   the Maildirs, copied after that moment
//	acme/...                   keys, certificates and account of ACME, if there are any
//	mailetd-backup-end.json    how much there is, and a sum of it
//
// Every mail that the server had accepted before the backup began, and that was
// not gone before it ended, is in it. A mail that was delivered into a Maildir
// meanwhile is there, and in the queue: after a restore it is delivered again
// under the same file name, that is not at all. One that a mail reader moved
// between folders meanwhile may be in both. What went to other servers
// after the backup goes to them again. The folders tmp of Maildirs and Dovecot's
// indexes, which Dovecot makes again, are left out.
//
// Restore trusts no archive: it takes files of these names only, into a new
// folder that gets its name when everything has been read, checked and made
// durable.
package backup

import (
	"encoding/json"
	"fmt"
	"time"
)

// Names in the archive.
const (
	startName = "mailetd-backup.json"
	endName   = "mailetd-backup-end.json"
	mailName  = "mail"
	acmeName  = "acme"
)

// format is the version of the archive.
const format = 1

// Header tells what an archive is.
type Header struct {
	Format  int       `json:"format"`
	Made    time.Time `json:"made"`
	Host    string    `json:"host"`
	Program string    `json:"program"` // version of mailetd
}

// Summary is what an archive has.
type Summary struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// trailer ends an archive that is whole.
type trailer struct {
	Summary
	SHA256 string `json:"sha256"` // of names, sizes and contents, in their order
}

func (h Header) check() error {
	if h.Format != format {
		return fmt.Errorf("the archive has format %d, this program reads %d", h.Format, format)
	}
	return nil
}

func decode(what string, text []byte, v any) error {
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
