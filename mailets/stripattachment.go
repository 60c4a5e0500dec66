package mailets

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/javaregex"
	"github.com/mailetd/mailetd/container/mime"
)

// Attributes that StripAttachment writes.
const (
	attrStripRemoved = "org.apache.james.mailet.standard.mailets.StripAttachment.removed"
	attrStripSaved   = "org.apache.james.mailet.standard.mailets.StripAttachment.saved"
)

// StripAttachment takes attachments out of messages, and stores them in files or
// in an attribute of the mail. Attached messages are not looked into.
//
//	<mailet match="All" class="StripAttachment">
//	  <pattern>(?i).*\.(exe|scr|js)</pattern>
//	  <remove>matched</remove>
//	  <directory>/var/spool/stripped</directory>
//	</mailet>
//
// The names of parts that were taken out are appended to the attribute
// org.apache.james.mailet.standard.mailets.StripAttachment.removed, those of the
// files to org.apache.james.mailet.standard.mailets.StripAttachment.saved. A part
// with one of several names, as some mail programs read them, matches if one of
// them does.
//
// Parameters:
//
//   - pattern: regular expression in Java's syntax for the whole name of an
//     attachment that matches.
//   - notpattern: the same for the names of attachments that do not match; all
//     others do. Attachments match if pattern, notpattern or mimeType says so;
//     one of the three is needed.
//   - mimeType: content type of parts that match; image/* is any image.
//   - remove (default no): which parts are taken out: no, matched, or all, with
//     the text of the message.
//   - directory: folder for the content of parts that match. A file is named like
//     the attachment, with characters before the extension that make it unique.
//   - attribute: attribute for parts that match, a map from the name to the part,
//     header and all, of 32 MiB together at most. See RecoverAttachment.
//   - decodeFilename: has no effect; names are always decoded.
//   - replaceFilenamePattern: rules as in ReplaceContent that make other names.
//
// Differs from James: text of the message, which has no name, matches only by
// its type; other parts without a name are called attachment-1 and so on; the
// name of a part may stand in its Content-Type too; names that several parts have
// get a number, and no name leads out of the directory, which is made with the
// first file; a message that is one attachment and nothing else is emptied when
// it matches; where all parts were taken out an empty one stays, as the standard
// wants. What cannot be saved is an error, and then nothing is taken out. Signed
// content is treated as all other, which breaks the signature.
type StripAttachment struct {
	log                 *slog.Logger
	pattern, notPattern *javaregex.Pattern
	mimeType            string
	remove              string
	directory           string
	attribute           string
	rename              replaceRules
}

func newStripAttachment(log *slog.Logger) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		s := &StripAttachment{
			log:        log,
			pattern:    compileParam(p, "pattern"),
			notPattern: compileParam(p, "notpattern"),
			mimeType:   strings.ToLower(p.String("mimeType", "")),
			remove:     strings.ToLower(p.String("remove", "no")),
			directory:  p.String("directory", ""),
			attribute:  p.String("attribute", ""),
		}
		p.String("decodeFilename", "")
		if !p.Has("pattern") && !p.Has("notpattern") && s.mimeType == "" {
			p.Fail("", fmt.Errorf("<pattern>, <notpattern> or <mimeType> is required"))
		}
		if !slices.Contains([]string{"no", "matched", "all"}, s.remove) {
			p.Fail("remove", fmt.Errorf("%q is not no, matched or all", s.remove))
		}
		if info, err := os.Stat(s.directory); s.directory != "" && err == nil && !info.IsDir() {
			p.Fail("directory", fmt.Errorf("%s is no folder", s.directory))
		}
		if v := p.String("replaceFilenamePattern", ""); v != "" {
			var err error
			if s.rename, err = parseReplaceRules(v); err != nil {
				p.Fail("replaceFilenamePattern", err)
			}
		}
		if s.pattern != nil && s.notPattern != nil && s.pattern.String() == s.notPattern.String() {
			s.pattern, s.notPattern = nil, nil // as in James: nothing matches by name
		}
		return s
	}
}

func compileParam(p *conf.Params, name string) *javaregex.Pattern {
	v := p.String(name, "")
	if v == "" {
		return nil
	}
	re, err := javaregex.Compile(v)
	if err != nil {
		p.Fail(name, err)
	}
	return re
}

// strip is the work on one mail.
type strip struct {
	*StripAttachment
	mail     *container.Mail
	body     container.Body
	w        *mime.Rewriter
	deadline time.Time
	unnamed  int
	kept     map[string]container.Value // for the attribute
	size     int64                      // octets of kept
	saved    []string
	removed  []string
}

// Service takes out, saves and stores.
func (s *StripAttachment) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	root, err := mime.Scan(&m.Message, mime.Limits{})
	if err != nil {
		return fmt.Errorf("strip attachments: %w", err)
	}
	job := &strip{StripAttachment: s, mail: m, body: m.Message.Body(), w: mime.NewRewriter(&m.Message), deadline: time.Now().Add(replaceTime)}
	for leaf := range root.Leaves() {
		if err := job.leaf(leaf); err != nil {
			return fmt.Errorf("strip attachments: %w", err)
		}
	}
	if err := job.w.Apply(); err != nil {
		return fmt.Errorf("strip attachments: %w", err)
	}
	appendStrings(m, attrStripSaved, job.saved)
	appendStrings(m, attrStripRemoved, job.removed)
	if job.kept != nil {
		m.Set(s.attribute, job.kept)
	}
	if len(job.removed) > 0 {
		s.log.InfoContext(ctx, "attachments removed", "names", job.removed)
	}
	return nil
}

func appendStrings(m *container.Mail, name string, list []string) {
	if len(list) == 0 {
		return
	}
	var all []container.Value
	for _, s := range append(m.Attributes.Strings(name), list...) {
		all = append(all, s)
	}
	m.Set(name, all)
}

func (j *strip) leaf(e *mime.Entity) error {
	names, err := j.names(e)
	if err != nil {
		return err
	}
	if e.Parent == nil && len(names) == 0 && !e.IsAttachment() {
		return nil // as in James: the content of a simple message is no attachment
	}
	matches, err := j.matches(e, names)
	if err != nil {
		return err
	}
	name := j.name(names)
	if matches {
		if err := j.keep(e, name); err != nil {
			return err
		}
	}
	if j.remove == "matched" && matches || j.remove == "all" && (matches || e.Parent != nil) {
		j.removed = append(j.removed, name)
		if e.Parent == nil {
			j.w.Replace(e, mime.SetContentFields(e.Header, nil), nil)
		}
		j.w.Remove(e)
	}
	return nil
}

// names returns the names of a part, renamed; none when it has none.
func (j *strip) names(e *mime.Entity) ([]string, error) {
	var out []string
	for _, n := range e.FileNames() {
		n, err := j.rename.apply(mime.Clean(n), 4096, j.deadline, func(string) {})
		if err != nil {
			return nil, fmt.Errorf("rename attachment: %w", err)
		}
		if n != "" && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// name returns what a part is called in attributes.
func (j *strip) name(names []string) string {
	if len(names) > 0 {
		return names[0]
	}
	j.unnamed++
	return fmt.Sprintf("attachment-%d", j.unnamed)
}

func (j *strip) matches(e *mime.Entity, names []string) (bool, error) {
	if main, sub, ok := strings.Cut(j.mimeType, "/"); ok && sub == "*" {
		if strings.HasPrefix(e.MediaType, main+"/") {
			return true, nil
		}
	} else if j.mimeType != "" && e.MediaType == j.mimeType {
		return true, nil
	}
	if len(names) == 0 {
		text := e.MediaType == "text/plain" || e.MediaType == "text/html"
		if text && !e.IsAttachment() {
			return false, nil
		}
		names = []string{fmt.Sprintf("attachment-%d", j.unnamed+1)}
	}
	for _, n := range names {
		for _, re := range []*javaregex.Pattern{j.pattern, j.notPattern} {
			if re == nil {
				continue
			}
			ok, err := re.Match(n)
			if err != nil {
				return false, err
			}
			if ok == (re == j.pattern) {
				return true, nil
			}
		}
	}
	return false, nil
}

// keep saves and stores a part that matches.
func (j *strip) keep(e *mime.Entity, name string) error {
	if j.directory != "" {
		file, err := saveContent(j.directory, fileName(name, j.mail.ID, e), e, j.body)
		if err != nil {
			return fmt.Errorf("save attachment: %w", err)
		}
		j.saved = append(j.saved, file)
	}
	if j.attribute == "" {
		return nil
	}
	if j.size += e.End - e.Begin; j.size > maxPart {
		return fmt.Errorf("store attachments in attribute %s: %w", j.attribute, mime.ErrTooLarge)
	}
	if j.kept == nil {
		old, _ := j.mail.Attributes.Map(j.attribute)
		j.kept = make(map[string]container.Value, len(old)+1)
		for k, v := range old {
			j.kept[k] = v
		}
	}
	raw, err := e.OpenRaw(j.body)
	if err != nil {
		return err
	}
	defer raw.Close()
	header := e.Header
	if e.Parent == nil {
		header = mime.ContentFields(header)
	}
	part := bytes.NewBuffer(slices.Concat(header, []byte("\r\n")))
	if _, err := io.Copy(part, raw); err != nil {
		return err
	}
	j.kept[freeKey(j.kept, name)] = part.Bytes()
	return nil
}

func freeKey(m map[string]container.Value, name string) string {
	key := name
	for n := 2; m[key] != nil; n++ {
		key = fmt.Sprintf("%s-%d", name, n)
	}
	return key
}
