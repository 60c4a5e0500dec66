// Package bayes tells spam from what is wanted by the words in it, as Paul Graham
// described in "A Plan for Spam" (2002) and "Better Bayesian Filtering" (2003).
//
// Source: org.apache.james.ai.classic.BayesianAnalyzer. The scores are the same
// but for these: a token of a header line degenerates to the same word elsewhere,
// which James intends and misses by the colon; until there is ham as well as spam
// in the corpus nothing is spam; a word with more than nine exclamation marks is
// not looked for with nine or more, but fewer; and a product too small for a float64 gives a
// score where James has NaN.
package bayes

import (
	"cmp"
	"context"
	"io"
	"maps"
	"math"
	"slices"
)

// Storage keeps what was learned, in corpora that know nothing of each other. All
// methods may be called by several goroutines at once.
type Storage interface {
	// TokenCounts returns how often each of the tokens was seen in ham ([0]) and
	// spam ([1]), without those never seen, and how many messages of each were
	// learned.
	TokenCounts(ctx context.Context, corpus string, tokens []string) (counts map[string][2]int64, messages [2]int64, err error)
	// LearnTokens counts the tokens of one message, all or none.
	LearnTokens(ctx context.Context, corpus string, spam bool, tokens map[string]int64) error
}

// Learn counts a message as spam or ham.
func Learn(ctx context.Context, s Storage, corpus string, spam bool, message io.Reader) error {
	tokens, err := Count(message)
	if err != nil {
		return err
	}
	return s.LearnTokens(ctx, corpus, spam, tokens)
}

// Score returns the probability that a message is spam, 0 to 1. It is 0 for a
// message without tokens, and while the corpus has not learned both kinds.
func Score(ctx context.Context, s Storage, corpus string, message io.Reader) (float64, error) {
	tokens, err := Count(message)
	if err != nil {
		return 0, err
	}
	c, err := load(ctx, s, corpus, tokens)
	if err != nil {
		return 0, err
	}
	if c.messages[0] == 0 || c.messages[1] == 0 {
		return 0, nil
	}
	rated := make([]rating, 0, len(tokens))
	for token := range tokens {
		p := c.of(token)
		rated = append(rated, rating{token, p, math.Round(math.Abs(0.5-p) * 1e6)})
	}
	return combine(rated), nil
}

// unseen is the probability of a token that says nothing.
const unseen = 0.4

// corpus is what is known of the tokens of a message, and of those they
// degenerate to.
type corpus struct {
	counts   map[string][2]int64
	messages [2]int64
}

// load asks for the tokens, and then for what the unknown ones degenerate to.
func load(ctx context.Context, s Storage, name string, tokens map[string]int64) (*corpus, error) {
	c := &corpus{counts: map[string][2]int64{}}
	if err := c.ask(ctx, s, name, slices.Sorted(maps.Keys(tokens))); err != nil {
		return nil, err
	}
	others := map[string]bool{}
	for _, token := range slices.Sorted(maps.Keys(tokens)) {
		if _, known := c.counts[token]; known {
			continue
		}
		for _, d := range degenerate(token) {
			if len(others) < MaxTokens && tokens[d] == 0 {
				others[d] = true
			}
		}
	}
	if err := c.ask(ctx, s, name, slices.Sorted(maps.Keys(others))); err != nil {
		return nil, err
	}
	return c, nil
}

// ask asks for a thousand tokens at a time: no read of the store takes long.
// Counts of one do not count (James: JDBCBayesianAnalyzer.loadHamNSpam).
func (c *corpus) ask(ctx context.Context, s Storage, name string, tokens []string) error {
	for part := range slices.Chunk(tokens, 1000) {
		counts, messages, err := s.TokenCounts(ctx, name, part)
		if err != nil {
			return err
		}
		c.messages = messages
		for token, n := range counts {
			for i := range n {
				if n[i] <= 1 {
					n[i] = 0
				}
			}
			if n != [2]int64{} {
				c.counts[token] = n
			}
		}
	}
	return nil
}

// of returns the probability that a message with the token is spam. A token never
// seen has that of the most telling one among those it degenerates to.
func (c *corpus) of(token string) float64 {
	if n, ok := c.counts[token]; ok {
		return c.probability(n)
	}
	best := unseen
	for _, d := range degenerate(token) {
		if n, ok := c.counts[d]; ok {
			if p := c.probability(n); math.Abs(0.5-p) > math.Abs(0.5-best) {
				best = p
			}
		}
	}
	return best
}

// probability is that of a token with these counts. What was seen in ham counts
// twice, so that less of it is taken for spam.
func (c *corpus) probability(n [2]int64) float64 {
	ham, spam := 2*float64(n[0]), float64(n[1])
	if ham+spam < 5 {
		return unseen
	}
	low, high := 0.01, 0.99
	if spam == 0 {
		low = 0.0002
		if ham > 20 {
			low = 0.0001
		}
	}
	if ham == 0 {
		high = 0.9998
		if spam > 10 {
			high = 0.9999
		}
	}
	h, s := frequency(ham, c.messages[0]), frequency(spam, c.messages[1])
	return max(low, min(high, s/(h+s)))
}

// frequency is how often a token is in a message, once at most. There are
// messages of both kinds when it is asked for.
func frequency(seen float64, messages int64) float64 { return min(1, seen/float64(messages)) }

// rating is a token with its probability and how much it says.
type rating struct {
	token       string
	probability float64
	strength    float64 // distance from one half, in millionths
}

const (
	interesting = 15     // tokens that count in any case
	telling     = 460000 // strength of further ones that count
)

// combine returns the probability of all: the strongest tokens count, and as many
// more as say much.
func combine(rated []rating) float64 {
	slices.SortFunc(rated, func(a, b rating) int {
		return cmp.Or(cmp.Compare(b.strength, a.strength), cmp.Compare(a.token, b.token))
	})
	odds := 0.0 // logarithm of (1-p)/p of all together
	for i, r := range rated {
		if i >= interesting && rated[i-1].strength < telling {
			break
		}
		odds += math.Log(1-r.probability) - math.Log(r.probability)
	}
	return 1 / (1 + math.Exp(odds))
}
