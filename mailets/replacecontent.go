package mailets

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/mime"
)

// maxReplaced bounds the text that ReplaceContent looks at, in octets of the
// message and in characters while it is worked on: an expression needs memory
// and time for it.
const maxReplaced = 8 << 20

// ReplaceContent replaces what expressions find in the subject, and in the body
// of a message that is a single text. Multiparts keep their text.
//
//	<mailet match="All" class="ReplaceContent">
//	  <subjectPattern>/^\[SPAM\] *//i/</subjectPattern>
//	  <bodyPattern>/colour/color/r/,/(\d+) EUR/$1 €/r/</bodyPattern>
//	</mailet>
//
// A rule is /expression/replacement/flags/; several are separated by commas. The
// expression has Java's syntax, and the replacement $1 for a group and \r, \n
// and \t. A slash is written \/, and /,/ is written \/,/. Flags: i ignores case,
// m lets ^ and $ stand at every line, s lets the dot match line ends, r repeats;
// without r only the first match is replaced. All three slashes behind the
// expression are needed, even without flags.
//
// Parameters:
//
//   - subjectPattern: rules for the subject.
//   - bodyPattern: rules for the body.
//   - subjectPatternFile: files with more rules for the subject, separated by
//     commas, one rule on a line; empty lines and lines that begin with # do not
//     count. The name may end in ? and a charset.
//   - bodyPatternFile: the same for the body.
//   - charset: what the text of the body is written in, if its characters are
//     there, else UTF-8.
//   - debug (default 0): 1 logs each rule that matches.
//
// Differs from James: a rule that repeats and makes the text shorter searches
// again where it was, so that it misses nothing; all rules of a mail together
// have 5 seconds, and the text 8 MiB, beyond which the mailet fails; a reference
// to a group that is not there stops the start; a missing file is a warning, as
// is one in the class path; a subject in which nothing matches stays as it was,
// and a new one is in UTF-8; files are read at the start.
type ReplaceContent struct {
	log           *slog.Logger
	subject, body replaceRules
	charset       string
	debug         bool
	timeLimit     time.Duration
}

func newReplaceContent(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		r := &ReplaceContent{
			log:     log,
			subject: readRules(p, "subjectPattern", "subjectPatternFile"),
			body:    readRules(p, "bodyPattern", "bodyPatternFile"),
			charset: p.String("charset", ""),
			debug:   p.Int("debug", 0) > 0,

			timeLimit: replaceTime,
		}
		if r.charset != "" && !mime.KnownCharset(r.charset) {
			p.Fail("charset", fmt.Errorf("%q is no charset known here", r.charset))
		}
		return r
	}
}

// readRules returns the rules of a parameter and those of the files that another
// one names.
func readRules(p *conf.Params, inline, files string) replaceRules {
	var out replaceRules
	if v := p.String(inline, ""); v != "" {
		rules, err := parseReplaceRules(v)
		if err != nil {
			p.Fail(inline, err)
		}
		out = rules
	}
	for _, name := range p.List(files) {
		rules, err := readReplaceRules(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			p.Warn(files, "<%s>: no rules are read: %v", files, err)
		case err != nil:
			p.Fail(files, err)
		}
		out = append(out, rules...)
	}
	return out
}

// Service applies the rules.
func (r *ReplaceContent) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	deadline := time.Now().Add(r.timeLimit)
	matched := func(rule string) {
		if r.debug {
			r.log.InfoContext(ctx, "rule matches", "rule", rule)
		}
	}
	after := m.Message
	if err := r.replaceSubject(&after, deadline, matched); err != nil {
		return fmt.Errorf("replace in subject: %w", err)
	}
	if err := r.replaceBody(&after, deadline, matched); err != nil {
		return fmt.Errorf("replace in body: %w", err)
	}
	m.Message = after
	return nil
}

func (r *ReplaceContent) replaceSubject(m *container.Message, deadline time.Time, matched func(string)) error {
	if len(r.subject) == 0 {
		return nil
	}
	before, _ := mime.Text(m.Header(), "Subject")
	after, err := r.subject.apply(before, maxReplaced, deadline, matched)
	if err == nil && after != before {
		m.SetHeader(mime.Set(m.Header(), "Subject", after))
	}
	return err
}

func (r *ReplaceContent) replaceBody(m *container.Message, deadline time.Time, matched func(string)) error {
	if len(r.body) == 0 && r.charset == "" {
		return nil
	}
	root, err := mime.Scan(m, mime.Limits{})
	if err != nil || !strings.HasPrefix(root.MediaType, "text/") {
		return ignoreComplex(err)
	}
	text, err := root.Text(m.Body(), maxReplaced)
	if err != nil {
		return err
	}
	after, err := r.body.apply(text.String, maxReplaced, deadline, matched)
	if err != nil || after == text.String && (r.charset == "" || text.Opaque) {
		return err
	}
	w := mime.NewRewriter(m)
	if err := replaceText(w, root, text, crlfLines(after), mime.TypeEdit{Charset: r.charset}); err != nil {
		return err
	}
	return w.Apply()
}

// ignoreComplex passes over ErrTooComplex, for what leaves multiparts alone.
func ignoreComplex(err error) error {
	if errors.Is(err, mime.ErrTooComplex) {
		return nil
	}
	return err
}
