package sqlite

// taskTables keep what became of tasks.
const taskTables = `CREATE TABLE task (id TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, submitted INTEGER NOT NULL,
	details TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX task_submitted ON task (submitted);
`
