package repository

import (
	"fmt"
	"strings"
)

// URL names a mail repository: a protocol and a path, as in
// cassandra://var/mail/error/. The path is plain text, not a tree; a trailing
// slash does not count.
//
// Source: org.apache.james.mailrepository.api.MailRepositoryUrl.
type URL struct {
	Protocol, Path string
}

// ParseURL reads protocol://path.
func ParseURL(s string) (URL, error) {
	proto, path, ok := strings.Cut(s, "://")
	if !ok || proto == "" || strings.TrimRight(path, "/") == "" {
		return URL{}, fmt.Errorf("%q is not a repository URL: want protocol://path, such as file://var/mail/error/", s)
	}
	return URL{Protocol: proto, Path: CleanPath(path)}, nil
}

// CleanPath drops trailing slashes.
func CleanPath(path string) string {
	if t := strings.TrimRight(path, "/"); t != "" {
		return t
	}
	return path
}

// String returns protocol://path.
func (u URL) String() string { return u.Protocol + "://" + u.Path }

// Protocols are the repository protocols of James. All of them are served by
// the one store, kept apart by URL.
var Protocols = map[string]bool{
	"file": true, "memory": true, "cassandra": true, "jpa": true, "postgres": true,
	"blob": true, "db": true, "dbfile": true, "sqlite": true, "mbox": true,
}
