package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
)

// bayesTables keep how often words were seen in ham and in spam.
const bayesTables = `CREATE TABLE bayes_token (corpus TEXT NOT NULL, token TEXT NOT NULL, ham INTEGER NOT NULL, spam INTEGER NOT NULL,
	PRIMARY KEY (corpus, token)) WITHOUT ROWID;
CREATE TABLE bayes_corpus (corpus TEXT PRIMARY KEY, ham INTEGER NOT NULL, spam INTEGER NOT NULL) WITHOUT ROWID;
`

// TokenCounts returns how often each of the tokens was seen in ham ([0]) and in
// spam ([1]), without those never seen, and how many messages of each kind the
// corpus has learned. It is one short read, which holds up nobody who writes.
func (s *Store) TokenCounts(ctx context.Context, corpus string, tokens []string) (counts map[string][2]int64, messages [2]int64, err error) {
	counts, messages, err = s.tokenCounts(ctx, corpus, tokens)
	if err != nil {
		return nil, messages, fmt.Errorf("read tokens of corpus %s: %w", corpus, err)
	}
	return counts, messages, nil
}

// The first row is that of the corpus itself.
const tokenCounts = `SELECT NULL, ham, spam FROM bayes_corpus WHERE corpus = ?1
	UNION ALL SELECT b.token, b.ham, b.spam FROM json_each(?2) AS t CROSS JOIN bayes_token AS b ON b.corpus = ?1 AND b.token = t.value`

func (s *Store) tokenCounts(ctx context.Context, corpus string, tokens []string) (map[string][2]int64, [2]int64, error) {
	var messages [2]int64
	list, err := json.Marshal(append([]string{}, tokens...)) // not null, which would be a row
	if err != nil {
		return nil, messages, err
	}
	rows, err := s.read.QueryContext(ctx, tokenCounts, corpus, string(list))
	if err != nil {
		return nil, messages, err
	}
	defer rows.Close()
	counts := map[string][2]int64{}
	for rows.Next() {
		var token *string
		var n [2]int64
		if err := rows.Scan(&token, &n[0], &n[1]); err != nil {
			return nil, messages, err
		}
		if token == nil {
			messages = n
		} else {
			counts[*token] = n
		}
	}
	return counts, messages, rows.Err()
}

const (
	learnTokens = `INSERT INTO bayes_token (corpus, token, ham, spam)
		SELECT ?1, key, CASE WHEN ?2 THEN 0 ELSE value END, CASE WHEN ?2 THEN value ELSE 0 END FROM json_each(?3) WHERE true
		ON CONFLICT DO UPDATE SET ham = ham + excluded.ham, spam = spam + excluded.spam`
	learnMessage = `INSERT INTO bayes_corpus (corpus, ham, spam) VALUES (?1, 1 - ?2, ?2)
		ON CONFLICT DO UPDATE SET ham = ham + excluded.ham, spam = spam + excluded.spam`
)

// LearnTokens counts the tokens of one message of ham or spam, in one
// transaction.
func (s *Store) LearnTokens(ctx context.Context, corpus string, spam bool, tokens map[string]int64) error {
	if tokens == nil {
		tokens = map[string]int64{} // null would be a row
	}
	list, err := json.Marshal(tokens)
	if err != nil {
		return fmt.Errorf("learn tokens of corpus %s: %w", corpus, err)
	}
	isSpam := int64(0)
	if spam {
		isSpam = 1
	}
	err = s.do(ctx, func(w *writer) error {
		w.dirty = true
		if err := run(w.c, learnTokens, []value{corpus, isSpam, string(list)}); err != nil {
			return err
		}
		return run(w.c, learnMessage, []value{corpus, isSpam})
	})
	if err != nil {
		return fmt.Errorf("learn tokens of corpus %s: %w", corpus, err)
	}
	return nil
}
