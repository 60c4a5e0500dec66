package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// taskTables keep what became of tasks.
const taskTables = `CREATE TABLE task (id TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, submitted INTEGER NOT NULL,
	details TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX task_submitted ON task (submitted);
`

// PutTask adds or replaces a task of webadmin; see webadmin/task.Storage.
func (s *Store) PutTask(ctx context.Context, id, kind, status string, submitted time.Time, details []byte) error {
	return s.change(ctx, "store task "+id,
		`INSERT INTO task (id, type, status, submitted, details) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, details = excluded.details`,
		id, kind, status, submitted.UnixNano(), string(details))
}

// EachTask visits all tasks, the oldest submission first.
func (s *Store) EachTask(ctx context.Context, visit func(id, kind, status string, submitted time.Time, details []byte) error) error {
	rows, err := s.read.QueryContext(ctx, "SELECT id, type, status, submitted, details FROM task ORDER BY submitted, id")
	if err != nil {
		return fmt.Errorf("list tasks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, kind, status, details string
		var submitted int64
		if err := rows.Scan(&id, &kind, &status, &submitted, &details); err != nil {
			return fmt.Errorf("list tasks: %w", err)
		}
		if err := visit(id, kind, status, time.Unix(0, submitted), []byte(details)); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("list tasks: %w", err)
	}
	return nil
}

// ForgetTasks removes tasks; one that is not there is no error.
func (s *Store) ForgetTasks(ctx context.Context, ids []string) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return s.change(ctx, "remove old tasks", "DELETE FROM task WHERE id IN (SELECT value FROM json_each(?))", string(list))
}
