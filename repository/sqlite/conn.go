package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"

	"github.com/mattn/go-sqlite3"
)

// conn is a connection of the driver, used by one goroutine at a time. The
// writer goes around database/sql, which costs locks and allocations with each
// call. Statements run without a context that can end: the driver would start a
// goroutine for each of them.
type conn struct{ c *sqlite3.SQLiteConn }

// value is what goes into a statement and comes out of it: nil, int64, string or
// []byte.
type value = driver.Value

// stmt is a prepared statement of a conn.
type stmt struct {
	s    *sqlite3.SQLiteStmt
	args []driver.NamedValue
	row  []value
}

func dsn(path, params string) string {
	u := url.URL{Scheme: "file", Path: path, RawQuery: params}
	return u.String()
}

func openConn(path string) (*conn, error) {
	d := sqlite3.SQLiteDriver{}
	dc, err := d.Open(dsn(path, "_busy_timeout=10000"))
	if err != nil {
		return nil, err
	}
	c, ok := dc.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, fmt.Errorf("unexpected driver connection %T", dc)
	}
	return &conn{c}, nil
}

func (c *conn) close() error { return c.c.Close() }

// inTransaction reports whether a transaction is open; some errors end it.
func (c *conn) inTransaction() bool { return !c.c.AutoCommit() }

// exec runs a script without parameters.
func (c *conn) exec(script string) error {
	_, err := c.c.ExecContext(context.Background(), script, nil)
	return err
}

// query runs a statement without parameters.
func (c *conn) query(text string, visit func([]value) error) error {
	st, err := c.prepare(text)
	if err != nil {
		return err
	}
	return errors.Join(st.query(visit), st.s.Close())
}

// pragma returns the number that a pragma has.
func (c *conn) pragma(name string) (int64, error) {
	var n int64
	err := c.query("PRAGMA "+name, func(row []value) error {
		n, _ = row[0].(int64)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read pragma %s: %w", name, err)
	}
	return n, nil
}

func (c *conn) prepare(text string) (*stmt, error) {
	ds, err := c.c.Prepare(text)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", text, err)
	}
	s, ok := ds.(*sqlite3.SQLiteStmt)
	if !ok {
		return nil, fmt.Errorf("unexpected driver statement %T", ds)
	}
	return &stmt{s: s}, nil
}

func (s *stmt) bind(args []value) []driver.NamedValue {
	s.args = s.args[:0]
	for i, a := range args {
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return s.args
}

// exec runs the statement and returns the number of rows changed.
func (s *stmt) exec(args ...value) (int64, error) {
	res, err := s.s.ExecContext(context.Background(), s.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query calls visit with each row; the slice is used again for the next one, the
// values in it are the caller's. An error of visit ends it.
func (s *stmt) query(visit func([]value) error, args ...value) (err error) {
	rows, err := s.s.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]value, len(rows.Columns()))
	}
	for {
		switch err := rows.Next(s.row); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := visit(s.row); err != nil {
			return err
		}
	}
}

// one runs a query for at most one row of numbers and texts; ok tells whether
// there was one. The slice is used again by the next call.
func (s *stmt) one(args ...value) (row []value, ok bool, err error) {
	err = s.query(func(r []value) error {
		row, ok = r, true
		return nil
	}, args...)
	return row, ok, err
}

func asInt(v value) int64 {
	n, _ := v.(int64)
	return n
}

func asText(v value) string {
	switch t := v.(type) {
	case string:
		return t
	case []byte:
		return string(t)
	}
	return ""
}
