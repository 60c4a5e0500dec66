package sqlite

// greylistTables keep which senders were seen before.
const greylistTables = `CREATE TABLE greylist (network TEXT NOT NULL, sender TEXT NOT NULL, recipient TEXT NOT NULL, first INTEGER NOT NULL,
	last INTEGER NOT NULL, passed INTEGER NOT NULL, until INTEGER NOT NULL,
	PRIMARY KEY (network, sender, recipient)) WITHOUT ROWID;
CREATE INDEX greylist_until ON greylist (until);
`
