package localstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// ListOptions choose what List gives. The zero value gives all living records.
type ListOptions struct {
	Deleted bool // the trash instead of the living
	Limit   int  // 0: all
}

// Put writes a whole record: created when id is unknown, otherwise changed to
// exactly these fields. Writing a deleted record brings it back. It is durable
// when Put returns.
func (s *Store) Put(ctx context.Context, kind record.Kind, id record.ID, fields []record.Field) error {
	return errors.ErrUnsupported
}

// NewID draws a random record id.
func (s *Store) NewID() (record.ID, error) { return record.ID{}, errors.ErrUnsupported }

// Edit reads a record, lets change give its new fields, and writes them, in one
// transaction. keys are written even if their value did not change, which
// resolves a conflict in favour of the shown value.
func (s *Store) Edit(ctx context.Context, id record.ID, change func(kind record.Kind, fields []record.Field) ([]record.Field, error), keys ...string) error {
	return errors.ErrUnsupported
}

// Delete moves records to the trash, all or none. Deleting a deleted record does nothing.
func (s *Store) Delete(ctx context.Context, ids ...record.ID) error { return errors.ErrUnsupported }

// Undelete brings records back from the trash, all or none. It returns
// ErrPurged for one whose fields are gone.
func (s *Store) Undelete(ctx context.Context, ids ...record.ID) error { return errors.ErrUnsupported }

// Get returns a record, living or deleted, or ErrNotFound.
func (s *Store) Get(ctx context.Context, id record.ID) (Record, error) {
	return Record{}, errors.ErrUnsupported
}

// Find returns the ids that begin with the given hex digits, at most limit.
func (s *Store) Find(ctx context.Context, prefix string, limit int) ([]record.ID, error) {
	return nil, errors.ErrUnsupported
}

// List gives the records of a kind in the order of their sort keys. It reads in
// short transactions, so that a slow caller blocks nobody; an error ends it.
func (s *Store) List(ctx context.Context, kind record.Kind, o ListOptions) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { yield(Record{}, errors.ErrUnsupported) }
}

// Search returns living records of all kinds whose text holds every word of
// text, or a word that begins with it, whatever the case and the accents; best first.
func (s *Store) Search(ctx context.Context, text string, limit int) ([]Record, error) {
	return nil, errors.ErrUnsupported
}

// Conflicts gives the living records that have keys in conflict.
func (s *Store) Conflicts(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { yield(Record{}, errors.ErrUnsupported) }
}

// Held gives the records of outgoing mass deletions that wait for a person.
func (s *Store) Held(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) { yield(Record{}, errors.ErrUnsupported) }
}

// AcceptHeld lets the held deletions of a kind ("" for all) go out, and returns their number.
func (s *Store) AcceptHeld(ctx context.Context, kind record.Kind) (int, error) {
	return 0, errors.ErrUnsupported
}

// RejectHeld undoes the held deletions of a kind ("" for all), and returns their number.
func (s *Store) RejectHeld(ctx context.Context, kind record.Kind) (int, error) {
	return 0, errors.ErrUnsupported
}

// OpenBlob reads a large value. Each piece is verified by its hash when it is
// read; a missing or damaged one gives ErrChunk.
func (s *Store) OpenBlob(ctx context.Context, b record.Blob) (io.ReadCloser, error) {
	return nil, errors.ErrUnsupported
}

// Status counts everything.
func (s *Store) Status(ctx context.Context) (Status, error) { return Status{}, errors.ErrUnsupported }

// VerifyReport is what Verify found. The store is sound if Damage is empty.
type VerifyReport struct {
	Records int
	Chunks  int
	Missing int // chunks that are referred to and not here yet: not damage
	Damage  []string
}

// Verify checks everything: SQLite's own integrity, the schema, every version
// id, every chunk hash, every digest. progress (may be nil) is called with the
// part that is done, 0 to 1.
func (s *Store) Verify(ctx context.Context, progress func(float64)) (VerifyReport, error) {
	return VerifyReport{}, errors.ErrUnsupported
}

// Wake gives a value, at most one waiting, after commits by this or any other
// process that changed something: records to mint, held ones accepted.
func (s *Store) Wake() <-chan struct{} { return nil }

// Ran adds to the time the agent has run, which is the only clock that empties
// the trash (see Expire). Call it every few minutes with what passed since.
func (s *Store) Ran(ctx context.Context, d time.Duration) error { return errors.ErrUnsupported }

// Expire purges (rule W6) at most max records that have been in the trash for
// Options.TrashDays of running time. Only call it in sync, in a session.
func (s *Store) Expire(ctx context.Context, max int) (int, error) { return 0, errors.ErrUnsupported }

// Maintain does what can wait until the agent is idle: full text, the size of
// the write-ahead log, chunks that nothing refers to.
func (s *Store) Maintain(ctx context.Context) error { return errors.ErrUnsupported }

// BeginClaim draws a token and commits it before it returns (C1). While no
// claim was ever accepted, or a fork is pending, it also draws a fresh replica
// id (C4). It ends the session's right to mint.
func (s *Store) BeginClaim(ctx context.Context) (Claim, error) { return Claim{}, errors.ErrUnsupported }

// ClaimAccepted records that the cloud accepted t. If a fork was pending, all
// own dots that were not acknowledged move to the new replica id in the same
// transaction (C5). From here on Mint and Apply work.
func (s *Store) ClaimAccepted(ctx context.Context, t Token) error { return errors.ErrUnsupported }

// EndSession ends the right to mint and apply until the next ClaimAccepted.
func (s *Store) EndSession() {}

// Why a device forks.
const (
	ForkStale   = "stale claim"        // the cloud called the claim stale: at most three times a day
	ForkUnknown = "unknown replica"    // the cloud does not know the replica
	ForkCounter = "higher own counter" // the cloud, or a version that opened, has seen more than was minted here
)

// Fork makes the next BeginClaim use a fresh replica id (C3). It returns
// ErrForkLimit for a fourth ForkStale within a day.
func (s *Store) Fork(ctx context.Context, reason string) error { return errors.ErrUnsupported }

// Cursor returns how far the cloud's log of a kind was read; zero if never.
func (s *Store) Cursor(ctx context.Context, kind record.Kind) (Cursor, error) {
	return Cursor{}, errors.ErrUnsupported
}

// SetCursor stores a cursor without applying anything, as after a reconcile.
func (s *Store) SetCursor(ctx context.Context, kind record.Kind, c Cursor) error {
	return errors.ErrUnsupported
}

// ResetEpoch notes that the cloud's storage is another one: all cursors become
// (epoch, 0), what the cloud proved is forgotten, and chunks are offered again.
// Which records the cloud lacks is left to reconcile. With the epoch that is
// already known it does nothing.
func (s *Store) ResetEpoch(ctx context.Context, epoch Epoch) error { return errors.ErrUnsupported }

// Mint turns dirty records of a kind into versions, durably, and returns
// versions that the cloud has not acknowledged, in outbox order, beginning
// after order (0 at the start of a session): at most maxRecords, and no more
// once their encodings pass maxBytes (but at least one). Records that are held
// or can not be encoded are left out. It needs an accepted claim.
func (s *Store) Mint(ctx context.Context, kind record.Kind, after int64, maxRecords, maxBytes int) ([]Outgoing, error) {
	return nil, errors.ErrUnsupported
}

// Acked notes that the cloud has committed these versions. It is not synced to
// flash: losing it costs a repeat.
func (s *Store) Acked(ctx context.Context, refs []Ref) error { return errors.ErrUnsupported }

// MarkSent notes that reconcile found these versions at the cloud. Like Acked.
func (s *Store) MarkSent(ctx context.Context, refs []Ref) error { return errors.ErrUnsupported }

// MarkUnsent puts versions that reconcile found missing at the cloud back into
// the outbox; those that are no longer current are skipped.
func (s *Store) MarkUnsent(ctx context.Context, refs []Ref) error { return errors.ErrUnsupported }

// Apply joins received versions of one kind into the store, in one transaction,
// and moves the cursor with them if it is not nil. Dirty records it meets are
// minted first (W2). A version whose record is unknown, or that changes
// nothing, is no error. It needs an accepted claim.
func (s *Store) Apply(ctx context.Context, kind record.Kind, in []Incoming, cursor *Cursor) (Applied, error) {
	return Applied{}, errors.ErrUnsupported
}

// Digest returns the digest of all versions of a kind that this device holds.
func (s *Store) Digest(ctx context.Context, kind record.Kind) (rangeset.Digest, error) {
	return rangeset.Digest{}, errors.ErrUnsupported
}

// Recount computes the digest of a kind from its rows and stores it (P1); it
// reports whether it differed from the one that was kept.
func (s *Store) Recount(ctx context.Context, kind record.Kind) (bool, error) {
	return false, errors.ErrUnsupported
}

// Kinds returns the kinds that have records, and the five known ones, in the order of priority.
func (s *Store) Kinds(ctx context.Context) ([]record.Kind, error) { return nil, errors.ErrUnsupported }

// ReadSet calls use with the set of a kind for reconcile, as one snapshot. The
// set must not be kept. use should be short.
func (s *Store) ReadSet(ctx context.Context, kind record.Kind, use func(rangeset.Set) error) error {
	return errors.ErrUnsupported
}

// Version returns the current minted version of a record, or ErrNotFound. A
// dirty record's is the one before its changes.
func (s *Store) Version(ctx context.Context, id record.ID) (Outgoing, error) {
	return Outgoing{}, errors.ErrUnsupported
}

// MissingChunks returns chunks that records refer to and that are not here, at most max.
func (s *Store) MissingChunks(ctx context.Context, max int) ([]record.ChunkID, error) {
	return nil, errors.ErrUnsupported
}

// PutChunks stores chunks, each verified against its id, in one transaction.
// Chunks that nothing refers to are ignored; a wrong one gives ErrChunk and
// nothing is stored.
func (s *Store) PutChunks(ctx context.Context, chunks []Chunk) error { return errors.ErrUnsupported }

// Chunk returns the verified bytes of a chunk, or ErrChunk.
func (s *Store) Chunk(ctx context.Context, id record.ChunkID) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// UnsentChunks returns chunks of acknowledged or minted records that the cloud
// has not acknowledged, in an order that begins after the given one (zero: the
// start), at most max.
func (s *Store) UnsentChunks(ctx context.Context, after record.ChunkID, max int) ([]record.ChunkID, error) {
	return nil, errors.ErrUnsupported
}

// ChunksAcked notes that the cloud has these chunks. Not synced to flash.
func (s *Store) ChunksAcked(ctx context.Context, ids []record.ChunkID) error {
	return errors.ErrUnsupported
}

// SetCloudState stores what the cloud proved to hold of a kind, for Status. Not synced to flash.
func (s *Store) SetCloudState(ctx context.Context, kind record.Kind, c CloudState) error {
	return errors.ErrUnsupported
}
