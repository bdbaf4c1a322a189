package sqlitestore

import (
	"errors"
	"fmt"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// The list of known records outlives their versions: what is on it and not in the
// log is missing. Counts alone do not tell a record that came back from one that
// was made since.

// knownPartial is the key in meta that says that records were lost which are not
// on the list.
const knownPartial = "known_partial"

// knownPage bounds what is read of the list at once.
const knownPage = 500

// knownCheck is the checksum of an entry.
func knownCheck(account []byte, kind string, id []byte) int64 {
	return checksum(append([]byte(kind), account...), id)
}

func (t *txn) addKnown(account []byte, kind string, id []byte) error {
	_, err := t.put("INSERT INTO known (account, kind, record, crc) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", account, kind, id, knownCheck(account, kind, id))
	return err
}

func (t *txn) dropKnown(account seal.Account, kind record.Kind, id []byte) error {
	_, err := t.put("DELETE FROM known WHERE account = ? AND kind = ? AND record = ?", account[:], string(kind), id)
	return err
}

// fillKnown makes the list of a store that has none: what is in the log, and what a
// version had seen that was lost.
func fillKnown(t *txn) error {
	for _, from := range []string{"version", "dominated WHERE aside = 0"} {
		account, kind, id := []byte{}, "", []byte{}
		for {
			type entry struct {
				account, id []byte
				kind        string
			}
			var page []entry
			rows, err := t.rows("SELECT DISTINCT account, kind, record FROM (SELECT * FROM "+from+") WHERE (account, kind, record) > (?, ?, ?) ORDER BY account, kind, record LIMIT ?",
				account, kind, id, knownPage)
			if err != nil {
				return err
			}
			for rows.Next() {
				var e entry
				if err := rows.Scan(&e.account, &e.kind, &e.id); err != nil {
					rows.Close()
					return err
				}
				page = append(page, e)
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
			for _, e := range page {
				if err := t.addKnown(e.account, e.kind, e.id); err != nil {
					return err
				}
				account, kind, id = e.account, e.kind, e.id
			}
			if len(page) == 0 {
				break
			}
		}
	}
	return nil
}

// ids reads the ids that a query gives.
func ids(q querier, query string, args ...any) (list [][]byte, err error) {
	rows, err := q.rows(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		list = append(list, id)
	}
	return list, rows.Err()
}

// unlisted gives the records of the log that are not on the list.
func unlisted(q querier, account seal.Account, kind record.Kind) ([][]byte, error) {
	return ids(q, `SELECT DISTINCT v.record FROM version v INDEXED BY version_by_record WHERE v.account = ? AND v.kind = ?
		AND NOT EXISTS (SELECT 1 FROM known k WHERE k.account = v.account AND k.kind = v.kind AND k.record = v.record)`, account[:], string(kind))
}

// misread gives the entries that are not as they were written.
func misread(q querier, account seal.Account, kind record.Kind) (bad [][]byte, err error) {
	rows, err := q.rows("SELECT record, crc FROM known WHERE account = ? AND kind = ?", account[:], string(kind))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		var crc int64
		if err := rows.Scan(&id, &crc); err != nil {
			return nil, err
		}
		if crc != knownCheck(account[:], string(kind), id) {
			bad = append(bad, id)
		}
	}
	return bad, rows.Err()
}

// listKnown lists the records of the log that another program put there.
func (t *txn) listKnown(account seal.Account, kind record.Kind) error {
	list, err := unlisted(t, account, kind)
	for i := 0; err == nil && i < len(list); i++ {
		err = t.addKnown(account[:], string(kind), list[i])
	}
	return err
}

// checkKnown tells what is wrong with the list of a kind.
func checkKnown(q querier, account seal.Account, kind record.Kind, found func(kind record.Kind, what string)) (bad [][]byte, err error) {
	list, err := unlisted(q, account, kind)
	if err != nil {
		return nil, err
	}
	if len(list) > 0 {
		found(kind, fmt.Sprintf("%d records of the log are not on the list of known ones", len(list)))
	}
	if bad, err = misread(q, account, kind); len(bad) > 0 {
		found(kind, fmt.Sprintf("%d entries of the list of known records differ from their checksums", len(bad)))
	}
	return bad, err
}

// known makes the list of a kind right.
func (r *repair) known(kind record.Kind) error {
	var bad [][]byte
	wrong := false
	err := r.s.read(r.ctx, func(q snapshot) (err error) {
		bad, err = checkKnown(q, r.account, kind, func(kind record.Kind, what string) {
			wrong = true
			r.found(kind, what)
		})
		return err
	})
	if err != nil || !wrong {
		return err
	}
	return r.do(func(t *txn) error {
		for _, id := range bad {
			if err := t.dropKnown(r.account, kind, id); err != nil {
				return err
			}
		}
		if len(bad) > 0 { // some may be of records that are lost
			if err := t.setMeta(knownPartial, []byte{1}); err != nil {
				return err
			}
		}
		return t.listKnown(r.account, kind)
	})
}

// missing counts the known records of which the log has nothing. partial says that
// there may be more.
func missing(q querier, account seal.Account, kind record.Kind) (n uint64, partial bool, err error) {
	rows, err := q.rows(`SELECT k.record, k.crc FROM known k WHERE k.account = ? AND k.kind = ?
		AND NOT EXISTS (SELECT 1 FROM version v INDEXED BY version_by_record WHERE v.account = k.account AND v.kind = k.kind AND v.record = k.record)`,
		account[:], string(kind))
	if err != nil {
		return 0, false, err
	}
	defer rows.Close()
	for rows.Next() {
		var id []byte
		var crc int64
		if err := rows.Scan(&id, &crc); err != nil {
			return 0, false, err
		}
		if crc == knownCheck(account[:], string(kind), id) {
			n++
		}
	}
	if err := rows.Err(); err != nil {
		return 0, false, err
	}
	return n, partial, q.row("SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?)", knownPartial).Scan(&partial)
}
