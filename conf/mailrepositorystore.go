package conf

import (
	"slices"
	"strings"
)

// MailRepositoryStore is mailrepositorystore.xml, checked.
type MailRepositoryStore struct {
	Pos             Pos
	DefaultProtocol string   // where only a path is given
	Protocols       []string // the declared ones, in the order of the file
	Reprocessings   []Reprocessing
}

// repositoryClasses are James's repositories, without package. All of them are
// tables of the store here.
var repositoryClasses = []string{"MemoryMailRepository", "FileMailRepository", "JDBCMailRepository", "JPAMailRepository",
	"CassandraMailRepository", "PostgresMailRepository", "BlobMailRepository"}

// repositoryProtocols are the protocols of James's products, and sqlite, ours.
// They need no declaration here.
var repositoryProtocols = []string{"file", "memory", "db", "dbfile", "jpa", "cassandra", "postgres", "blob", "mbox", "sqlite"}

// Protocol tells whether URLs of a protocol name repositories here, and whether
// the file declares it. Undeclared ones of James are served nevertheless, since
// published pipelines use cassandra:// without the rest of their configuration.
func (s MailRepositoryStore) Protocol(name string) (known, declared bool) {
	declared = slices.Contains(s.Protocols, name)
	return declared || slices.Contains(repositoryProtocols, name), declared
}

// MailRepositoryStore reads mailrepositorystore.xml.
//
// Source: MailRepositoryStoreConfiguration.
func (d *Dir) MailRepositoryStore() MailRepositoryStore {
	f := d.XML("mailrepositorystore.xml")
	in := section{f, f.Root, d.report}.root("mailrepositorystore")
	in.known("defaultProtocol", "mailrepositories", "scheduledReprocessing")
	s := MailRepositoryStore{Pos: in.pos("")}
	for _, e := range in.section("mailrepositories").elements() {
		if e.Tag != "mailrepository" {
			d.report.Warnf(f.Pos(e), "<%s> is not an element of <mailrepositories>; ignored: want <mailrepository>", e.Tag)
			continue
		}
		repo := section{f, e, d.report}
		repo.known("protocols", "config")
		class := repo.attr("class")
		switch name := class[strings.LastIndexByte(class, '.')+1:]; {
		case class == "":
			d.report.Errorf(f.Pos(e), "<mailrepository> needs class=, such as org.apache.james.mailrepository.file.FileMailRepository")
		case !slices.Contains(repositoryClasses, name):
			d.report.Errorf(f.Pos(e), "no mail repository class %s%s; any of James's will do, all are kept in the store", class, Suggest(name, repositoryClasses))
		}
		protocols := repo.list("protocols", "protocol")
		if len(protocols) == 0 {
			d.report.Warnf(f.Pos(e), "<mailrepository> names no <protocol>: no URL leads to it")
		}
		for _, w := range protocols {
			if !isProtocol(w.text) {
				d.report.Errorf(w.pos, "<protocol> is %q; want the part of a URL before ://", w.text)
			} else if !slices.Contains(s.Protocols, w.text) {
				s.Protocols = append(s.Protocols, w.text)
			}
		}
	}
	s.DefaultProtocol = in.str("defaultProtocol", "")
	switch known, _ := s.Protocol(s.DefaultProtocol); {
	case s.DefaultProtocol == "" && len(s.Protocols) > 0:
		s.DefaultProtocol = s.Protocols[0]
	case s.DefaultProtocol == "":
		s.DefaultProtocol = "file"
	case !known:
		d.report.Errorf(in.pos("defaultProtocol"), "<defaultProtocol> is %q, which no <mailrepository> serves%s",
			s.DefaultProtocol, Suggest(s.DefaultProtocol, append(slices.Clone(s.Protocols), repositoryProtocols...)))
		s.DefaultProtocol = "file"
	}
	s.Reprocessings = in.section("scheduledReprocessing").reprocessings()
	return s
}

func isProtocol(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') && (i == 0 || strings.IndexByte("+-.", c) < 0) {
			return false
		}
	}
	return s != ""
}
