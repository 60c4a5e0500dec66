package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mailetd/mailetd/container"
	"github.com/mailetd/mailetd/repository"
)

// CreateRepository registers a repository; one that exists is left alone.
func (s *Store) CreateRepository(ctx context.Context, u repository.URL) error {
	return s.do(ctx, func(w *writer) error {
		_, err := w.repository(u)
		return err
	})
}

// Repositories lists all, sorted by path and protocol.
func (s *Store) Repositories(ctx context.Context) ([]repository.URL, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT protocol, path FROM repository ORDER BY path, protocol")
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	defer rows.Close()
	var out []repository.URL
	for rows.Next() {
		var u repository.URL
		if err := rows.Scan(&u.Protocol, &u.Path); err != nil {
			return nil, fmt.Errorf("list repositories: %w", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// repositoryID returns the id of a repository, or ErrNotFound.
func (s *Store) repositoryID(ctx context.Context, u repository.URL) (id int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT id FROM repository WHERE protocol = ? AND path = ?", u.Protocol, repository.CleanPath(u.Path)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = repository.ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("repository %s: %w", u, err)
	}
	return id, nil
}

// RepositorySize counts the mails of a repository; ErrNotFound.
func (s *Store) RepositorySize(ctx context.Context, u repository.URL) (n int64, err error) {
	id, err := s.repositoryID(ctx, u)
	if err != nil {
		return 0, err
	}
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM repository_mail INDEXED BY repository_mail_order WHERE repository = ?", id).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("size of repository %s: %w", u, err)
	}
	return n, nil
}

// Keys lists the keys of the mails that f selects in order of arrival, without
// the first offset of them; limit 0 means all. ErrNotFound: no such repository.
func (s *Store) Keys(ctx context.Context, u repository.URL, f repository.MailFilter, offset, limit int) ([]string, error) {
	id, err := s.repositoryID(ctx, u)
	if err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = math.MaxInt
	}
	offset = max(offset, 0)
	var keys []string
	cursor := int64(0)
	if f == (repository.MailFilter{}) && offset > 0 {
		if cursor, err = s.skip(ctx, id, offset); err != nil || cursor == 0 {
			return nil, err
		}
		offset = 0
	}
	for len(keys) < limit {
		page, next, err := s.keyPage(ctx, id, &f, cursor, math.MaxInt64, min(limit, 1000))
		if err != nil {
			return nil, fmt.Errorf("list keys of %s: %w", u, err)
		}
		if next == 0 {
			break
		}
		cursor = next
		n := min(offset, len(page))
		offset -= n
		page = page[n:]
		keys = append(keys, page[:min(len(page), limit-len(keys))]...)
	}
	return keys, nil
}

// skip returns the id of the n-th mail of a repository, 0 when there are fewer.
func (s *Store) skip(ctx context.Context, repo int64, n int) (id int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT id FROM repository_mail INDEXED BY repository_mail_order WHERE repository = ? ORDER BY id LIMIT 1 OFFSET ?", repo, n-1).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// keyPage looks at up to n mails behind the cursor and returns the keys of those
// that f selects, and the cursor behind them; 0 when there was none.
func (s *Store) keyPage(ctx context.Context, repo int64, f *repository.MailFilter, cursor, until int64, n int) (keys []string, next int64, err error) {
	all := *f == repository.MailFilter{}
	rows, err := s.read.QueryContext(ctx, "SELECT "+factColumns(all, f.Attribute != "")+
		" FROM repository_mail INDEXED BY repository_mail_order WHERE repository = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?", repo, cursor, until, n)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var r mailFacts
		if err := rows.Scan(&next, &r.key, &r.sender, &r.recipients, &r.addr, &r.host, &r.state, &r.updated, &r.attributes); err != nil {
			return nil, 0, err
		}
		if all || f.Matches(r.mail()) {
			keys = append(keys, r.key)
		}
	}
	return keys, next, rows.Err()
}

// factColumns are the columns of mailFacts; what nobody asks for is not read.
func factColumns(none, attributes bool) string {
	switch {
	case none:
		return "id, key, '', '[]', '', '', '', 0, NULL"
	case attributes:
		return "id, key, sender, recipients, remote_addr, remote_host, proc_state, updated, attributes"
	}
	return "id, key, sender, recipients, remote_addr, remote_host, proc_state, updated, NULL"
}

// mailFacts are what a MailFilter looks at.
type mailFacts struct {
	key, sender, recipients, addr, host, state string
	updated                                    int64
	attributes                                 *string
}

// mail returns a mail with the facts. What cannot be read is not there.
func (r *mailFacts) mail() *container.Mail {
	m := &container.Mail{Sender: decodeAddress(r.sender), State: r.state, RemoteAddr: r.addr, RemoteHost: r.host, LastUpdated: decodeTime(r.updated)}
	m.Recipients, _ = decodeAddresses(r.recipients)
	if r.attributes != nil {
		_ = m.Attributes.UnmarshalJSON([]byte(*r.attributes))
	}
	return m
}

// KeysAfter pages through the keys of a repository; see repository.Repositories.
func (s *Store) KeysAfter(ctx context.Context, u repository.URL, cursor, until int64, limit int) (keys []string, next, last int64, err error) {
	id, err := s.repositoryID(ctx, u)
	if err != nil {
		return nil, cursor, until, err
	}
	if until == 0 {
		var max *int64
		if err := s.read.QueryRowContext(ctx, "SELECT MAX(id) FROM repository_mail INDEXED BY repository_mail_order WHERE repository = ?", id).Scan(&max); err != nil {
			return nil, cursor, until, fmt.Errorf("list keys of %s: %w", u, err)
		}
		if until = -1; max != nil { // -1: an empty repository; 0 would mean now again
			until = *max
		}
	}
	if limit <= 0 {
		limit = 1000
	}
	keys, next, err = s.keyPage(ctx, id, &repository.MailFilter{}, cursor, until, limit)
	if err != nil {
		return nil, cursor, until, fmt.Errorf("list keys of %s: %w", u, err)
	}
	return keys, max(next, cursor), until, nil
}

// Mail returns a mail of its own; ErrNotFound.
func (s *Store) Mail(ctx context.Context, ref repository.Ref) (*container.Mail, error) {
	id, err := s.repositoryID(ctx, ref.URL)
	if err != nil {
		return nil, err
	}
	row := make([]any, 6+mailColumnCount)
	dest := make([]any, len(row))
	for i := range row {
		dest[i] = &row[i]
	}
	err = s.read.QueryRowContext(ctx, `SELECT q.id, q.message, m.header, m.base, m.size, COALESCE(m.path, b.path), `+mailColumns+`
		FROM repository_mail AS q LEFT JOIN message AS m ON m.id = q.message LEFT JOIN message AS b ON b.id = m.base
		WHERE q.repository = ? AND q.key = ?`, id, ref.Key).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		err = repository.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("mail %s in repository %s: %w", ref.Key, ref.URL, err)
	}
	msg, err := s.loadMessage(asInt(row[1]), row[2], row[3], asInt(row[4]), row[5], asInt(row[0]))
	if err != nil {
		return nil, fmt.Errorf("mail %s in repository %s: %w", ref.Key, ref.URL, err)
	}
	var columns [mailColumnCount]value
	for i := range columns {
		columns[i] = row[6+i]
	}
	m, err := decodeMail(columns[:], msg)
	if err != nil {
		return nil, fmt.Errorf("mail %s in repository %s: %w", ref.Key, ref.URL, err)
	}
	return m, nil
}

const mailIDs = "SELECT id FROM repository_mail INDEXED BY repository_mail_order WHERE repository = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?"

// ClearRepository removes the mails that are there when it is called, in
// portions; progress (may be nil) is told the number removed so far.
func (s *Store) ClearRepository(ctx context.Context, u repository.URL, progress func(int64)) (int64, error) {
	total := int64(0)
	err := s.eachPortion(ctx, u, func(w *writer, repo, id int64) (bool, error) {
		return w.removeMail(repo, id)
	}, func(n int64) {
		total += n
		if progress != nil && n > 0 {
			progress(total)
		}
	})
	if err != nil {
		return total, fmt.Errorf("clear repository %s: %w", u, err)
	}
	return total, nil
}

// eachPortion lets the writer apply fn to all mails of a repository that are
// there now, and tells report how many of each portion fn said yes to.
func (s *Store) eachPortion(ctx context.Context, u repository.URL, fn func(w *writer, repo, id int64) (bool, error), report func(int64)) error {
	repo, err := s.repositoryID(ctx, u)
	if err != nil {
		return err
	}
	until := int64(0)
	if err := s.do(ctx, func(w *writer) error { until = w.lastMail; return nil }); err != nil {
		return err
	}
	for cursor := int64(0); ; {
		ids, err := column[int64](ctx, s.read, mailIDs, repo, cursor, until, portion)
		if err != nil || len(ids) == 0 {
			return err
		}
		cursor = ids[len(ids)-1]
		n := int64(0)
		err = s.do(ctx, func(w *writer) error {
			n = 0
			for _, id := range ids {
				ok, err := fn(w, repo, id)
				if err != nil {
					return err
				}
				if ok {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		report(n)
	}
}

func (w *writer) removeMail(repo, id int64) (bool, error) {
	row, ok, err := w.st[stMailByID].one(id, repo)
	if err != nil || !ok {
		return false, err
	}
	message := asInt(row[1])
	if _, err := w.write(stDeleteMail, id); err != nil {
		return false, err
	}
	return true, w.releaseMessage(message)
}

// MoveMails moves mails with the same keys; nil keys means all that are there
// now. A mail of the same key in the target is replaced. It returns how many
// were moved; keys that are not there are passed over.
func (s *Store) MoveMails(ctx context.Context, from, to repository.URL, keys []string) (int64, error) {
	target, err := s.repositoryID(ctx, to)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	move := func(w *writer, repo, id int64) (bool, error) { return w.moveMail(repo, id, target, to) }
	if keys == nil {
		err = s.eachPortion(ctx, from, move, func(n int64) { total += n })
	} else {
		total, err = s.moveKeys(ctx, from, keys, move)
	}
	if err != nil {
		return total, fmt.Errorf("move mails from %s to %s: %w", from, to, err)
	}
	return total, nil
}

func (s *Store) moveKeys(ctx context.Context, from repository.URL, keys []string, move func(w *writer, repo, id int64) (bool, error)) (int64, error) {
	repo, err := s.repositoryID(ctx, from)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for part := range slices.Chunk(keys, portion) {
		n := int64(0)
		err := s.do(ctx, func(w *writer) error {
			n = 0
			for _, key := range part {
				row, ok, err := w.st[stFindMail].one(repo, key)
				if err != nil {
					return err
				}
				if !ok {
					continue
				}
				if ok, err = move(w, repo, asInt(row[0])); err != nil {
					return err
				}
				if ok {
					n++
				}
			}
			return nil
		})
		if err != nil {
			return total, err
		}
		total += n
	}
	return total, nil
}

func (w *writer) moveMail(repo, id, target int64, to repository.URL) (bool, error) {
	row, ok, err := w.st[stMailByID].one(id, repo)
	if err != nil || !ok || repo == target {
		return false, err
	}
	w.scratch.release = w.scratch.release[:0]
	if err := w.replace(target, asText(row[0]), to); err != nil {
		return false, err
	}
	w.lastMail++
	if _, err := w.write(stMoveMail, id, target, w.lastMail); err != nil {
		return false, err
	}
	for _, message := range w.scratch.release {
		if err := w.releaseMessage(message); err != nil {
			return false, err
		}
	}
	return true, nil
}
