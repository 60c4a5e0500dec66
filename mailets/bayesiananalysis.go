package mailets

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/container/local"
	"github.com/mailetd/mailetd/container/mime"
	"github.com/mailetd/mailetd/mailets/bayes"
	"github.com/mailetd/mailetd/repository"
)

// BayesianAnalysis rates how likely it is that a message is spam, by the words
// that BayesianAnalysisFeeder has learned. The result, 0 to 1, is the attribute
// org.apache.james.spam.probability and a header field; above 0.1 the subject gets
// it in front, as in
//
//	Subject: [98.45% SPAM] cheap loans
//
// with "spam" in small letters up to 0.9. The mail goes on in any case.
//
//	<mailet match="All" class="org.apache.james.ai.classic.BayesianAnalysis">
//	  <repositoryPath>db://maildb</repositoryPath>
//	  <headerName>X-MessageIsSpamProbability</headerName>
//	  <ignoreLocalSender>true</ignoreLocalSender>
//	  <maxSize>100000</maxSize>
//	  <tagSubject>true</tagSubject>
//	</mailet>
//
// Parameters:
//
//   - repositoryPath (required): the corpus, protocol://path. It must be that of
//     the BayesianAnalysisFeeder; it is kept in the store of the server.
//   - headerName (default X-MessageIsSpamProbability): the header field.
//   - ignoreLocalSender (default false): whether mail whose sender is in a local
//     domain is left alone. Anybody can claim to be such a sender.
//   - maxSize (default 100000): messages of this many octets or more are rated 0.
//   - tagSubject (default true): whether the subject is changed.
//
// Differs from James: a header field that the message came with is replaced, not
// believed; a mail is rated once, by its attribute; corpora of different
// repositoryPath are kept apart; what was learned counts at once, not after ten
// minutes; everything is rated 0 until ham as well as spam was learned; of a
// message 20000 different words are looked at; tagSubject is false in any case of
// letters; a missing Date, Message-ID or MIME-Version is not added.
type BayesianAnalysis struct {
	words       bayes.Storage
	users       *local.Directory
	corpus      string
	header      string
	ignoreLocal bool
	maxSize     int64
	tagSubject  bool
}

const attrSpamProbability = "org.apache.james.spam.probability"

func newBayesianAnalysis(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		b := &BayesianAnalysis{
			words: s.Words, users: s.Local, corpus: readCorpus(p), header: p.String("headerName", "X-MessageIsSpamProbability"),
			ignoreLocal: p.Bool("ignoreLocalSender", false), maxSize: p.Size("maxSize", 100000), tagSubject: p.Bool("tagSubject", true),
		}
		if !mime.ValidName(b.header) {
			p.Fail("headerName", fmt.Errorf("%q cannot be the name of a header field", b.header))
		}
		return b
	}
}

// readCorpus reads the URL of a corpus.
func readCorpus(p *conf.Params) string {
	v := strings.TrimSpace(p.Required("repositoryPath"))
	if v == "" {
		return ""
	}
	u, err := repository.ParseURL(v)
	if err != nil {
		p.Fail("repositoryPath", err)
	}
	return u.String()
}

// Service rates the message; on an error the mail is as it was.
func (b *BayesianAnalysis) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if _, rated := m.Attributes[attrSpamProbability]; rated {
		return nil
	}
	if b.ignoreLocal && !m.Sender.IsNull() {
		own, err := b.users.IsLocalDomain(ctx, m.Sender.Domain)
		if err != nil {
			return fmt.Errorf("look up the domain of %s: %w", m.Sender, err)
		}
		if own {
			return nil
		}
	}
	score := 0.0
	if m.Message.Size() < b.maxSize {
		var err error
		if score, err = b.rate(ctx, m); err != nil {
			return fmt.Errorf("rate the message: %w", err)
		}
	}
	m.Set(attrSpamProbability, score)
	header := mime.Set(m.Message.Header(), b.header, javaDouble(score))
	if b.tagSubject && score > 0.1 {
		subject, _ := mime.Text(header, "Subject")
		header = mime.Set(header, "Subject", strings.TrimSpace(subjectTag(score)+" "+subject))
	}
	m.Message.SetHeader(header)
	return nil
}

func (b *BayesianAnalysis) rate(ctx context.Context, m *container.Mail) (float64, error) {
	r, err := m.Message.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return bayes.Score(ctx, b.words, b.corpus, r)
}

// subjectTag returns the mark of a subject, such as [12.34% spam].
func subjectTag(score float64) string {
	percent := strconv.FormatFloat(score*100, 'f', 2, 64)
	percent = strings.TrimSuffix(strings.TrimRight(percent, "0"), ".")
	word := "spam"
	if score > 0.9 {
		word = "SPAM"
	}
	return "[" + percent + "% " + word + "]"
}

// javaDouble writes a number that is not negative as Java does: 0.5, 1.0, 1.2E-5.
func javaDouble(f float64) string {
	format := byte('f')
	if f != 0 && f < 1e-3 {
		format = 'E'
	}
	s := strconv.FormatFloat(f, format, -1, 64)
	digits, exponent, found := strings.Cut(s, "E-")
	if !strings.Contains(digits, ".") {
		digits += ".0"
	}
	if found {
		digits += "E-" + strings.TrimLeft(exponent, "0")
	}
	return digits
}
