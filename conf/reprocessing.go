package conf

import "time"

// Reprocessing is a <reprocess> of mailrepositorystore.xml: mails of a
// repository that are sent through a processor again and again.
type Reprocessing struct {
	Pos        Pos
	Repository string        // URL
	Every      time.Duration // between the starts, at least a second
	Processor  string        // "": the one that is stored with each mail
	Queue      string        // "": the spool
	Limit      int           // mails at a time, 0: all
	MaxRetries int           // mails that were reprocessed so often stay; 0: no limit
}

// defaultEvery is how often mails are reprocessed when nothing is said.
const defaultEvery = 15 * time.Minute

// reprocessings reads <scheduledReprocessing>, which is ours.
func (s section) reprocessings() []Reprocessing {
	var out []Reprocessing
	for _, e := range s.elements() {
		if e.Tag != "reprocess" {
			s.r.Warnf(s.f.Pos(e), "<%s> is not an element of <scheduledReprocessing>; ignored: want <reprocess>", e.Tag)
			continue
		}
		in := section{s.f, e, s.r}
		in.attributes()
		in.known("repository", "every", "processor", "queue", "limit", "maxRetries")
		p := Reprocessing{
			Pos: s.f.Pos(e), Repository: in.str("repository", ""), Every: in.duration("every", time.Second, defaultEvery),
			Processor: in.str("processor", ""), Queue: in.str("queue", ""), Limit: in.integer("limit", 0, 0), MaxRetries: in.integer("maxRetries", 0, 0),
		}
		switch {
		case p.Repository == "":
			s.r.Errorf(p.Pos, "<reprocess> needs <repository>, such as file://var/mail/error/remote-delivery/temporary/")
		case p.Every < time.Second:
			s.r.Errorf(in.pos("every"), "<every> is %v; want at least a second", p.Every)
		default:
			out = append(out, p)
		}
	}
	return out
}
