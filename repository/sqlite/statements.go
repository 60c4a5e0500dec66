package sqlite

// The statements of the writer, all prepared at start.
const (
	stBegin = iota
	stCommit
	stInsertMessage
	stMessageExists
	stDeleteMessage
	stInsertItem
	stTakeOverItem
	stDeleteItem
	stItemState
	stSetState
	stBury
	stRevive
	stInsertMail
	stFindMail
	stMailByID
	stDeleteMail
	stMoveMail
	stInsertQueue
	stInsertRepository
	stFindRepository
	stDueItems
	stNextDelayed
	stFirstDelayed
	stLatestDelayed
	stReadyInOrder
	stNextDestination
	stReadyOfDestination
	statementCount
)

const itemColumns = "q.id, q.queue, q.destination, q.priority, q.ready_at, COALESCE(q.since, q.enqueued_at), q.attempts, q.message, m.header, m.base, m.size, COALESCE(m.path, b.path), " + mailColumns

var statements = [statementCount]string{
	stBegin:         "BEGIN IMMEDIATE",
	stCommit:        "COMMIT",
	stInsertMessage: "INSERT INTO message (id, header, base, size, data, path) VALUES (?, ?, ?, ?, ?, ?)",
	stMessageExists: "SELECT 1 FROM message WHERE id = ?",
	// A message goes with the last that refers to it.
	stDeleteMessage: `DELETE FROM message WHERE id = ?1
		AND NOT EXISTS (SELECT 1 FROM queue_item WHERE message = ?1)
		AND NOT EXISTS (SELECT 1 FROM repository_mail WHERE message = ?1)
		AND NOT EXISTS (SELECT 1 FROM message AS m INDEXED BY message_base WHERE m.base = ?1)
		RETURNING base, path`,

	stInsertItem: `INSERT INTO queue_item (queue, destination, priority, state, ready_at, enqueued_at, since, attempts, message, ` + mailColumns + `, id)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	stTakeOverItem: `UPDATE queue_item SET queue = ?, destination = ?, priority = ?, state = ?, ready_at = ?, enqueued_at = ?, since = ?, attempts = 0,
		mail_id = ?, name = ?, sender = ?, recipients = ?, proc_state = ?, error = ?, remote_host = ?, remote_addr = ?, updated = ?,
		attributes = ?, rcpt_headers = ? WHERE id = ? AND state = 1`,
	stDeleteItem: "DELETE FROM queue_item WHERE id = ?",
	stItemState:  "SELECT state, queue, COALESCE(since, enqueued_at), message FROM queue_item WHERE id = ?",
	stSetState:   "UPDATE queue_item SET state = ?2 WHERE id = ?1",
	stBury:       "UPDATE queue_item SET state = 2, dead_reason = ?2 WHERE id = ?1",
	stRevive:     "UPDATE queue_item SET state = 0, ready_at = ?2, dead_reason = NULL WHERE id = ?1",

	stInsertMail: `INSERT INTO repository_mail (repository, key, message, ` + mailColumns + `, id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
	stFindMail:         "SELECT id, message FROM repository_mail WHERE repository = ? AND key = ?",
	stMailByID:         "SELECT key, message FROM repository_mail WHERE id = ? AND repository = ?",
	stDeleteMail:       "DELETE FROM repository_mail WHERE id = ?",
	stMoveMail:         "UPDATE repository_mail SET repository = ?2, id = ?3 WHERE id = ?1",
	stInsertQueue:      "INSERT OR IGNORE INTO queue (name) VALUES (?)",
	stInsertRepository: "INSERT OR IGNORE INTO repository (protocol, path) VALUES (?, ?)",
	stFindRepository:   "SELECT id FROM repository WHERE protocol = ? AND path = ?",

	stDueItems:      "SELECT id, destination FROM queue_item INDEXED BY queue_item_delayed WHERE queue = ? AND state = 3 AND ready_at <= ? ORDER BY ready_at LIMIT ?",
	stNextDelayed:   "SELECT ready_at FROM queue_item INDEXED BY queue_item_delayed WHERE queue = ? AND state = 3 ORDER BY ready_at LIMIT 1",
	stFirstDelayed:  "SELECT id, destination FROM queue_item INDEXED BY queue_item_delayed WHERE queue = ? AND state = 3 ORDER BY ready_at LIMIT ?",
	stLatestDelayed: "SELECT MAX(enqueued_at, COALESCE(since, 0)) FROM queue_item INDEXED BY queue_item_delayed WHERE queue = ? AND state = 3 ORDER BY ready_at DESC LIMIT 1000",
	stReadyInOrder: `SELECT ` + itemColumns + ` FROM queue_item AS q INDEXED BY queue_item_ready LEFT JOIN message AS m ON m.id = q.message LEFT JOIN message AS b ON b.id = m.base
		WHERE q.queue = ? AND q.state = 0 ORDER BY q.priority DESC, q.ready_at, q.id LIMIT ?`,
	stNextDestination: "SELECT destination FROM queue_item INDEXED BY queue_item_destination WHERE queue = ? AND state = 0 AND destination > ? ORDER BY destination LIMIT 1",
	stReadyOfDestination: `SELECT ` + itemColumns + ` FROM queue_item AS q INDEXED BY queue_item_destination LEFT JOIN message AS m ON m.id = q.message LEFT JOIN message AS b ON b.id = m.base
		WHERE q.queue = ? AND q.state = 0 AND q.destination = ? ORDER BY q.priority DESC, q.ready_at, q.id LIMIT ?`,
}
