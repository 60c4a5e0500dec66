package sqlite

// rateTables keep the counters of rate limits.
const rateTables = `CREATE TABLE rate_count (limiter TEXT NOT NULL, key TEXT NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL,
	until INTEGER NOT NULL, PRIMARY KEY (limiter, key, bucket)) WITHOUT ROWID;
CREATE INDEX rate_count_until ON rate_count (until);
`
