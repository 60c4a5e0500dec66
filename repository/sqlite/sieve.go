package sqlite

// sieveTables keep the Sieve scripts of users and how many bytes they may have; the
// quota of the user "" is that of everybody else.
const sieveTables = `CREATE TABLE sieve_script (user TEXT NOT NULL, name TEXT NOT NULL, script BLOB NOT NULL, active INTEGER NOT NULL,
	updated INTEGER NOT NULL, activated INTEGER NOT NULL, PRIMARY KEY (user, name)) WITHOUT ROWID;
CREATE UNIQUE INDEX sieve_script_active ON sieve_script (user) WHERE active = 1;
CREATE TABLE sieve_quota (user TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
`
