package sqlitestore

import (
	"context"
	"fmt"

	"sidekeep/syncproto/seal"
)

// Statements implements cloudstore.Store.
func (s *Store) Statements(ctx context.Context, account seal.Account) (list []seal.Statement, err error) {
	err = s.read(ctx, func(q snapshot) error {
		list, _, err = readStatements(q, account)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read statements: %w", err)
	}
	return list, nil
}

// readStatements gives the statements of an account, and how many rows hold none
// any more.
func readStatements(q querier, account seal.Account) (list []seal.Statement, damaged int, err error) {
	rows, err := q.rows("SELECT body FROM statement WHERE account = ? ORDER BY id", account[:])
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return nil, 0, err
		}
		st, err := seal.ParseStatement(body)
		if err != nil || st.Verify(account) != nil {
			damaged++ // a device brings it again
			continue
		}
		list = append(list, st)
	}
	return list, damaged, rows.Err()
}

// AddStatements implements cloudstore.Store.
func (s *Store) AddStatements(ctx context.Context, account seal.Account, list []seal.Statement) error {
	err := s.do(ctx, 1024, func(t *txn) error {
		if _, err := accountHead(t, account); err != nil {
			return err
		}
		for _, st := range list {
			id := st.ID()
			_, err := t.put("INSERT INTO statement (account, id, body) VALUES (?, ?, ?) ON CONFLICT (account, id) DO UPDATE SET body = excluded.body",
				account[:], id[:], st.Marshal())
			if err != nil {
				return err
			}
		}
		return nil
	}, nil)
	if err != nil {
		return fmt.Errorf("keep statements: %w", err)
	}
	return nil
}
