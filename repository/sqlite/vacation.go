package sqlite

// vacationTables keep what users say while they are away, and to whom they said it.
const vacationTables = `CREATE TABLE vacation (user TEXT PRIMARY KEY, enabled INTEGER NOT NULL, starts INTEGER, ends INTEGER,
	subject TEXT, text TEXT, html TEXT) WITHOUT ROWID;
CREATE TABLE response (user TEXT NOT NULL, handle TEXT NOT NULL, correspondent TEXT NOT NULL, until INTEGER NOT NULL,
	PRIMARY KEY (user, handle, correspondent)) WITHOUT ROWID;
CREATE INDEX response_until ON response (until);
`
