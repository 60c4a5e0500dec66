package sqlite

// bayesTables keep how often words were seen in ham and in spam.
const bayesTables = `CREATE TABLE bayes_token (corpus TEXT NOT NULL, token TEXT NOT NULL, ham INTEGER NOT NULL, spam INTEGER NOT NULL,
	PRIMARY KEY (corpus, token)) WITHOUT ROWID;
CREATE TABLE bayes_corpus (corpus TEXT PRIMARY KEY, ham INTEGER NOT NULL, spam INTEGER NOT NULL) WITHOUT ROWID;
`
