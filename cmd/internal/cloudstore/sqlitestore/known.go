package sqlitestore

import (
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

func (t *txn) addKnown(account seal.Account, kind record.Kind, id record.ID) error {
	_, err := t.put("INSERT INTO known (account, kind, record) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", account[:], string(kind), id[:])
	return err
}

func (t *txn) dropKnown(account seal.Account, kind record.Kind, id record.ID) error {
	_, err := t.put("DELETE FROM known WHERE account = ? AND kind = ? AND record = ?", account[:], string(kind), id[:])
	return err
}

// listKnown lists the records of the log that another program put there.
func (t *txn) listKnown(account seal.Account, kind record.Kind) error {
	_, err := t.put("INSERT OR IGNORE INTO known (account, kind, record) SELECT account, kind, record FROM version WHERE account = ? AND kind = ?", account[:], string(kind))
	return err
}

// unlisted counts the records of the log that are not on the list.
func unlisted(q querier, account seal.Account, kind record.Kind) (n int, err error) {
	return n, q.row(`SELECT count(DISTINCT v.record) FROM version v INDEXED BY version_by_record WHERE v.account = ? AND v.kind = ?
		AND NOT EXISTS (SELECT 1 FROM known k WHERE k.account = v.account AND k.kind = v.kind AND k.record = v.record)`, account[:], string(kind)).Scan(&n)
}

func unlistedText(n int) string {
	return fmt.Sprintf("%d records of the log are not on the list of known ones", n)
}

// missing counts the known records of which the log has nothing. partial says that
// there may be more.
func missing(q querier, account seal.Account, kind record.Kind) (n uint64, partial bool, err error) {
	err = q.row(`SELECT count(*) FROM known k WHERE k.account = ? AND k.kind = ?
		AND NOT EXISTS (SELECT 1 FROM version v INDEXED BY version_by_record WHERE v.account = k.account AND v.kind = k.kind AND v.record = k.record)`,
		account[:], string(kind)).Scan(&n)
	if err != nil {
		return 0, false, err
	}
	return n, partial, q.row("SELECT EXISTS (SELECT 1 FROM meta WHERE key = ?)", knownPartial).Scan(&partial)
}
