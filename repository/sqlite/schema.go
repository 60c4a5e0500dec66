package sqlite

import (
	"fmt"
)

// States of a queue_item. The numbers are in the database.
const (
	stateReady   = 0
	stateLeased  = 1
	stateDead    = 2
	stateDelayed = 3
)

// applicationID marks the file as ours in its header: "MLTD".
const applicationID = 0x4d4c5444

const mailColumnTypes = `
	mail_id TEXT NOT NULL, name TEXT NOT NULL, sender TEXT NOT NULL, recipients TEXT NOT NULL,
	proc_state TEXT NOT NULL, error TEXT NOT NULL, remote_host TEXT NOT NULL, remote_addr TEXT NOT NULL,
	updated INTEGER NOT NULL, attributes TEXT, rcpt_headers TEXT, message INTEGER NOT NULL`

// migrations bring a database from version i to i+1. Steps that have been
// released are not changed any more; new ones are added at the end.
var migrations = []string{
	`CREATE TABLE queue (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE repository (id INTEGER PRIMARY KEY, protocol TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (path, protocol));
CREATE TABLE message (id INTEGER PRIMARY KEY, header BLOB NOT NULL, base INTEGER, size INTEGER NOT NULL, data BLOB, path TEXT);
CREATE INDEX message_base ON message (base) WHERE base IS NOT NULL;
CREATE INDEX message_path ON message (path) WHERE path IS NOT NULL;

CREATE TABLE queue_item (id INTEGER PRIMARY KEY, queue TEXT NOT NULL, destination TEXT NOT NULL,
	priority INTEGER NOT NULL, state INTEGER NOT NULL, ready_at INTEGER NOT NULL, enqueued_at INTEGER NOT NULL,
	attempts INTEGER NOT NULL, dead_reason TEXT,` + mailColumnTypes + `);
CREATE INDEX queue_item_ready ON queue_item (queue, priority DESC, ready_at) WHERE state = 0;
CREATE INDEX queue_item_destination ON queue_item (queue, destination, priority DESC, ready_at) WHERE state = 0;
CREATE INDEX queue_item_delayed ON queue_item (queue, ready_at) WHERE state = 3;
CREATE INDEX queue_item_leased ON queue_item (state) WHERE state = 1;
CREATE INDEX queue_item_dead ON queue_item (queue) WHERE state = 2;
CREATE INDEX queue_item_message ON queue_item (message);

CREATE TABLE repository_mail (id INTEGER PRIMARY KEY, repository INTEGER NOT NULL, key TEXT NOT NULL,` + mailColumnTypes + `);
CREATE UNIQUE INDEX repository_mail_key ON repository_mail (repository, key);
CREATE INDEX repository_mail_order ON repository_mail (repository);
CREATE INDEX repository_mail_message ON repository_mail (message);

CREATE TABLE domain (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE user (name TEXT PRIMARY KEY, algorithm TEXT NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE mapping (id INTEGER PRIMARY KEY, source TEXT NOT NULL, type TEXT NOT NULL, target TEXT NOT NULL,
	UNIQUE (source, type, target));
CREATE INDEX mapping_target ON mapping (type, target);`,

	`CREATE TABLE drop_list (scope TEXT NOT NULL, owner TEXT NOT NULL, denied TEXT NOT NULL,
	PRIMARY KEY (scope, owner, denied)) WITHOUT ROWID;
CREATE TABLE dlp_rule (domain TEXT NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, expression TEXT NOT NULL,
	explanation TEXT NOT NULL, sender INTEGER NOT NULL, recipients INTEGER NOT NULL, content INTEGER NOT NULL,
	PRIMARY KEY (domain, position)) WITHOUT ROWID;`,

	sieveTables + vacationTables + quotaTables + rateTables + bayesTables + greylistTables + taskTables + secretTables,

	// enqueued_at is when an item was put there last; since, when it entered its
	// queue if that is another time.
	`ALTER TABLE queue_item ADD COLUMN since INTEGER;`,
}

// migrate brings the database to the newest version, step by step, each in a
// transaction of its own. A database of a newer program is left alone.
func migrate(c *conn, steps []string) error {
	version, err := c.pragma("user_version")
	if err != nil {
		return err
	}
	if version > int64(len(steps)) {
		return fmt.Errorf("the database has version %d, this program knows versions up to %d: run a newer mailetd, or restore a backup made by this one", version, len(steps))
	}
	if err := checkOwner(c, version); err != nil {
		return err
	}
	for v := version; v < int64(len(steps)); v++ {
		script := fmt.Sprintf("BEGIN IMMEDIATE;\n%s;\nPRAGMA user_version = %d;\nPRAGMA application_id = %d;\nCOMMIT", steps[v], v+1, applicationID)
		if err := c.exec(script); err != nil {
			_ = c.exec("ROLLBACK") // nothing to roll back when BEGIN failed
			return fmt.Errorf("bring the database from version %d to %d: %w", v, v+1, err)
		}
	}
	return nil
}

// checkOwner refuses a database that some other program made.
func checkOwner(c *conn, version int64) error {
	app, err := c.pragma("application_id")
	if err != nil {
		return err
	}
	tables := int64(0)
	err = c.query("SELECT COUNT(*) FROM sqlite_schema", func(row []value) error {
		tables, _ = row[0].(int64)
		return nil
	})
	if err != nil {
		return err
	}
	if app != applicationID && (tables > 0 || version > 0) {
		return fmt.Errorf("the database was not made by mailetd (application id %#x)", app)
	}
	return nil
}
