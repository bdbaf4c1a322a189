// Package localstore is the device database: every record of a person, in one
// SQLite file that any program with any SQLite library can read and write, and
// that outlives a pulled battery between any two instructions.
//
// It owns the file (schema in sql/, described in FORMAT.md), the durable edit,
// the minting of versions, the join of received ones, the digests, the pieces
// of pictures, the trash, the history, the search and the holding of mass deletions. It does
// not know the network, keys or sessions: the agent calls the methods of the
// sync side, everything else is for whoever wants to read or edit.
//
//   - store.go     Options, Open, Close; types.go has what goes in and out
//   - app side     import.go, edit.go, get.go, search.go, hold.go, blob.go, status.go
//   - sync side    claim.go, mint.go, apply.go, outbox.go, ranges.go, chunks.go, cursor.go, digest.go
//   - the row      row.go (a row of table record), put.go (how it is written), document.go
//     (fields to JSON and back), state.go (causal state), shown.go (which sibling is shown)
//   - lying clouds witness.go (what devices state), seen.go, withheld.go (what is missing here), sample.go
//   - history      history.go (what changed), moment.go (a time as a place in the order), rollback.go, retain.go
//   - upkeep       schema.go, migrate.go, repair.go, wake.go, fulltext.go, trash.go, verify.go, problem.go
//   - SQLite       conn.go (connections and pragmas), tx.go (transactions), meta.go
//
// A Store may be used from any goroutine. Several processes may open the same
// file; only one of them, the agent, may call the sync side.
//
// Start reading at store.go, then edit.go and mint.go: an edit is durable as a
// document beside its before-image at once, and becomes a version only in a
// session whose claim the cloud has accepted (rule W2 of the merge rules in
// syncproto/SPEC.md).
package localstore
