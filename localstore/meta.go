package localstore

import (
	"database/sql"
	"fmt"
)

// Keys of table meta.
const (
	metaFormat     = "format"      // version of the file format
	metaRan        = "ran"         // seconds the agent has run: the clock of the trash
	metaReplica    = "replica"     // replica id whose claim was accepted
	metaToken      = "token"       // last accepted claim token
	metaCandidate  = "candidate"   // replica id of the last hello, if it was a fresh one
	metaFork       = "fork"        // why the next hello takes a fresh replica id
	metaForkDays   = "forks"       // Unix seconds of the last stale-claim forks, JSON
	metaCounter    = "counter"     // highest counter minted
	metaEpoch      = "epoch"       // the cloud's epoch
	metaOrder      = "order"       // last place given in the outbox
	metaHistoryN   = "history_n"   // last change that the history has removed for its age
	metaHistoryAt  = "history_at"  // clock (Unix ms) from which the history is kept
	metaHistorySum = "history_sum" // "N BYTES": what the changes up to N take; absent: to be counted
	metaProvenance = "provenance"  // what the file was used on
	metaSeen       = "seen"        // highest dot of each replica in any version that is stored; absent: to be counted
	metaWithheld   = "withheld"    // what statements claim and the cloud does not give, JSON
	metaExcused    = "excused"     // claims that a person called lost, a vector
	metaSample     = "sample"      // the last sample that was read back, JSON
	metaRestoring  = "restoring/"  // and a kind: the cloud called it not complete yet
	metaUnasked    = "unasked/"    // and a kind: no cloud of these keys ever had what is here
	metaWalk       = "walk/"       // and a kind: the Cursor while it has a Part
	metaSnapshot   = "snapshot"    // in a back-up only: its Note, JSON
)

func (c *session) metaInt(key string) (int64, error) {
	var v sql.NullInt64
	_, err := c.one([]any{&v}, "SELECT value FROM meta WHERE key = ?", key)
	return v.Int64, err
}

// metaBytes fills dest, which must have the size of the value, and reports whether there is one.
func (c *session) metaBytes(key string, dest []byte) (bool, error) {
	var v []byte
	if _, err := c.one([]any{&v}, "SELECT value FROM meta WHERE key = ?", key); err != nil {
		return false, err
	}
	if v == nil {
		return false, nil
	}
	if len(v) != len(dest) {
		return false, fmt.Errorf("meta %s has %d bytes, want %d: %w", key, len(v), len(dest), ErrDamaged)
	}
	copy(dest, v)
	return true, nil
}

func (c *session) metaText(key string) (string, error) {
	var v sql.NullString
	_, err := c.one([]any{&v}, "SELECT value FROM meta WHERE key = ?", key)
	return v.String, err
}

// setMeta stores a value; nil removes it.
func (t *tx) setMeta(key string, value any) error {
	if value == nil {
		return t.exec("DELETE FROM meta WHERE key = ?", key)
	}
	return t.exec("INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
}
