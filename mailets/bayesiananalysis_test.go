package mailets

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/mailetd/mailetd/container"
)

// wordCounts is a bayes.Storage in memory; its counts are those of the corpora by
// name.
type wordCounts struct {
	counts   map[string]map[string][2]int64
	messages map[string][2]int64
	err      error
}

func newWordCounts() *wordCounts {
	return &wordCounts{map[string]map[string][2]int64{}, map[string][2]int64{}, nil}
}

func (w *wordCounts) TokenCounts(_ context.Context, corpus string, tokens []string) (map[string][2]int64, [2]int64, error) {
	out := map[string][2]int64{}
	for _, t := range tokens {
		if n, ok := w.counts[corpus][t]; ok {
			out[t] = n
		}
	}
	return out, w.messages[corpus], w.err
}

func (w *wordCounts) LearnTokens(_ context.Context, corpus string, spam bool, tokens map[string]int64) error {
	i := 0
	if spam {
		i = 1
	}
	if w.counts[corpus] == nil {
		w.counts[corpus] = map[string][2]int64{}
	}
	for t, n := range tokens {
		v := w.counts[corpus][t]
		v[i] += n
		w.counts[corpus][t] = v
	}
	m := w.messages[corpus]
	m[i]++
	w.messages[corpus] = m
	return w.err
}

func bayesRegistry(t *testing.T, w *wordCounts) *container.Registry {
	s := testServices(t)
	s.Words = w
	r := container.NewRegistry()
	Register(r, s)
	return r
}

func bayesMail(sender, text string) *container.Mail {
	m := testMail("bob@example.com")
	m.Sender = container.MustAddress(sender)
	m.Message = container.ParseMessage([]byte(text))
	return m
}

func TestBayesianAnalysis(t *testing.T) {
	w := newWordCounts()
	r := bayesRegistry(t, w)
	for kind, text := range map[string]string{"ham": "lunch at noon", "spam": "buy cheap pills", "HAM": "see you at lunch", "Spam": "cheap pills"} {
		ma := mustLoad(t, r, "org.apache.james.ai.classic.BayesianAnalysisFeeder", "<repositoryPath> db://maildb/ </repositoryPath><feedType>"+kind+"</feedType>")
		for range 10 {
			m := bayesMail("a@far.test", "Subject: pills\r\nX-Note: lunch\r\n\r\n"+text+"\r\n")
			serve(t, ma, m)
			if m.State != container.StateGhost {
				t.Errorf("state %s", m.State)
			}
		}
	}
	const path = "<repositoryPath>db://maildb</repositoryPath>"
	for _, tc := range []struct {
		name, params, sender, text string
		header, subject            string
	}{
		{"spam", path, "a@far.test", "Subject: hello\r\n\r\ncheap pills\r\n", "X-MessageIsSpamProbability: 0.9999999", "Subject: [100% SPAM] hello"},
		{"spam without subject", path, "a@far.test", "From: a\r\n\r\ncheap pills\r\n", "X-MessageIsSpamProbability: 0.9999999", "Subject: [100% SPAM]\r\n"},
		{"ham", path, "a@far.test", "Subject: hello\r\n\r\nlunch at noon\r\n", "E-12\r\n", "Subject: hello\r\n"},
		{"in between", path, "a@far.test", "Subject: hello\r\n\r\nunheard of\r\n", "X-MessageIsSpamProbability: 0.22857", "Subject: [22.86% spam] hello"},
		{"a header that came along", path, "a@far.test", "X-MessageIsSpamProbability: 0.0\r\nSubject: hello\r\n\r\ncheap pills\r\n", "X-MessageIsSpamProbability: 0.9999999", "Subject: [100% SPAM] hello"},
		{"other header, no tag", path + "<headerName>X-P</headerName><tagSubject>false</tagSubject>", "a@far.test", "Subject: hello\r\n\r\ncheap pills\r\n", "X-P: 0.9999999", "Subject: hello\r\n"},
		{"local sender", path + "<ignoreLocalSender>true</ignoreLocalSender>", "bob@example.com", "Subject: hello\r\n\r\ncheap pills\r\n", "", "Subject: hello\r\n"},
		{"too large", path + "<maxSize>10</maxSize>", "a@far.test", "Subject: hello\r\n\r\ncheap pills\r\n", "X-MessageIsSpamProbability: 0.0", "Subject: hello\r\n"},
		{"other corpus", "<repositoryPath>db://other</repositoryPath>", "a@far.test", "Subject: hello\r\n\r\ncheap pills\r\n", "X-MessageIsSpamProbability: 0.0", "Subject: hello\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ma := mustLoad(t, r, "org.apache.james.ai.classic.BayesianAnalysis", tc.params)
			m := bayesMail(tc.sender, tc.text)
			serve(t, ma, m)
			header := string(m.Message.Header())
			if !strings.Contains(header, tc.header) || !strings.Contains(header, tc.subject) {
				t.Errorf("want %q and %q in\n%s", tc.header, tc.subject, header)
			}
			if _, ok := m.Attributes["org.apache.james.spam.probability"].(float64); ok != (tc.header != "") {
				t.Errorf("attributes %v", m.Attributes)
			}
			before := header
			serve(t, ma, m)
			if string(m.Message.Header()) != before {
				t.Errorf("rated twice:\n%s", m.Message.Header())
			}
		})
	}
}

func TestBayesianAnalysisTrouble(t *testing.T) {
	w := newWordCounts()
	r := bayesRegistry(t, w)
	const params = "<repositoryPath>db://maildb</repositoryPath><feedType>spam</feedType><maxSize>100</maxSize>"
	feeder := mustLoad(t, r, "org.apache.james.ai.classic.BayesianAnalysisFeeder", params)
	large := bayesMail("a@far.test", "Subject: hello\r\n\r\n"+strings.Repeat("pills ", 100))
	serve(t, feeder, large)
	if large.State != container.StateGhost || len(w.counts) != 0 {
		t.Errorf("a large message: state %s, counts %v", large.State, w.counts)
	}
	w.err = errors.New("disk full")
	analysis := mustLoad(t, r, "org.apache.james.ai.classic.BayesianAnalysis", "<repositoryPath>db://maildb</repositoryPath>")
	for _, ma := range []container.Mailet{feeder, analysis} {
		m := bayesMail("a@far.test", "Subject: hello\r\n\r\npills")
		if err := ma.Service(t.Context(), m, &container.Outbox{}); !errors.Is(err, w.err) || m.State != container.StateRoot || len(m.Attributes) > 0 {
			t.Errorf("%T: got %v, state %s, attributes %v", ma, err, m.State, m.Attributes)
		}
	}
	for _, tc := range []struct{ class, params, want string }{
		{"BayesianAnalysis", "", "error: <repositoryPath> is required"},
		{"BayesianAnalysis", "<repositoryPath>maildb</repositoryPath>", "error: <repositoryPath>: "},
		{"BayesianAnalysis", "<repositoryPath>db://maildb</repositoryPath><headerName>a b</headerName>", "cannot be the name of a header field"},
		{"BayesianAnalysisFeeder", "<repositoryPath>db://maildb</repositoryPath>", "error: <feedType> is required"},
		{"BayesianAnalysisFeeder", "<repositoryPath>db://maildb</repositoryPath><feedType>eggs</feedType>", "warning: <feedType> is"},
	} {
		if _, problems := load(t, r, tc.class, tc.params); len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
			t.Errorf("%s %s: got %q, want %q", tc.class, tc.params, problems, tc.want)
		}
	}
}

func TestJavaDouble(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", 0.5: "0.5", 0.001: "0.001", 0.00012: "1.2E-4", 1e-5: "1.0E-5", 1.25e-10: "1.25E-10", 0.9999: "0.9999"} {
		if got := javaDouble(f); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for f, want := range map[float64]string{0.1234: "[12.34% spam]", 0.12: "[12% spam]", 0.905: "[90.5% SPAM]", 0.9: "[90% spam]", 1: "[100% SPAM]"} {
		if got := subjectTag(f); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
