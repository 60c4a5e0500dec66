package mailets

import (
	"context"
	"log/slog"
	"strings"

	"github.com/mailetd/mailetd/conf"
	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/mailets/bayes"
)

// BayesianAnalysisFeeder lets BayesianAnalysis learn the words of a message, as
// ham or as spam. The mail ends here. Only the body counts, so forward the
// message that is to be learned as an attachment. Put a matcher in front that lets
// few people teach, as it changes what is taken for spam for everybody.
//
//	<mailet match="RecipientIs=not.spam@example.com" class="org.apache.james.ai.classic.BayesianAnalysisFeeder">
//	  <repositoryPath>db://maildb</repositoryPath>
//	  <feedType>ham</feedType>
//	  <maxSize>100000</maxSize>
//	</mailet>
//	<mailet match="RecipientIs=spam@example.com" class="org.apache.james.ai.classic.BayesianAnalysisFeeder">
//	  <repositoryPath>db://maildb</repositoryPath>
//	  <feedType>spam</feedType>
//	  <maxSize>100000</maxSize>
//	</mailet>
//
// The words of a message are learned in one transaction. A crash right behind it
// lets the message be learned once more.
//
// Parameters:
//
//   - repositoryPath (required): the corpus, protocol://path, as in
//     BayesianAnalysis.
//   - feedType (required): ham; anything else is spam.
//   - maxSize (default 100000): larger messages teach nothing.
//
// Differs from James: corpora of different repositoryPath are kept apart; of a
// message 20000 different words are learned; when the words cannot be stored the
// mailet fails and the mail is not lost.
type BayesianAnalysisFeeder struct {
	words   bayes.Storage
	corpus  string
	spam    bool
	maxSize maxSize
	log     *slog.Logger
}

func newBayesianAnalysisFeeder(s Services) container.MailetFactory {
	return func(p *conf.Params) container.Mailet {
		kind := p.Required("feedType")
		if kind != "" && !strings.EqualFold(kind, "ham") && !strings.EqualFold(kind, "spam") {
			p.Warn("feedType", "<feedType> is %q, neither ham nor spam; it is taken for spam", kind)
		}
		return &BayesianAnalysisFeeder{words: s.Words, corpus: readCorpus(p), spam: !strings.EqualFold(kind, "ham"),
			maxSize: maxSize(p.Size("maxSize", 100000)), log: s.Log}
	}
}

// Service learns the body.
func (f *BayesianAnalysisFeeder) Service(ctx context.Context, m *container.Mail, _ *container.Outbox) error {
	if f.maxSize.exceeded(m) {
		f.log.InfoContext(ctx, "message is too large to learn from", "mail", m.Name, "size", m.Message.Size())
		m.State = container.StateGhost
		return nil
	}
	r, err := m.Message.Body().Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := bayes.Learn(ctx, f.words, f.corpus, f.spam, r); err != nil {
		return err
	}
	m.State = container.StateGhost
	return nil
}
