package cloudstore

import (
	"context"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Store holds the versions, claims and proofs of all accounts.
type Store interface {
	// Epoch names the life of this storage: another one after the storage woke
	// as another file or timeline (SPEC.md section "Claims").
	Epoch() syncproto.Epoch

	// Claim makes the account if it is unknown and c.Create is set, decides on
	// the claim, and stores its newest token if it holds, in one commit. An
	// unknown account is CodeUnknownAccount. live are the account's other replicas
	// that have a session now: copies of the device may be among them.
	Claim(ctx context.Context, c syncproto.DoClaim, live ...record.ReplicaID) (syncproto.Claimed, error)

	// Commit stores versions of one account in one transaction. A version that
	// the store holds already still leads to a write and a commit before the
	// answer: with replication a row can be visible before it is safe. A version
	// that the account has no room for is rejected with CodeQuota.
	Commit(ctx context.Context, account seal.Account, versions []syncproto.CloudVersion) (syncproto.Committed, error)

	// ReadLog returns the versions of a kind after a sequence, at most
	// BatchRecordsMax and bytesMax (but at least one), and the kind's state
	// from the same snapshot.
	ReadLog(ctx context.Context, account seal.Account, kind record.Kind, after syncproto.Seq, bytesMax int) (syncproto.LogRead, error)

	// Walk returns the versions of a kind after a reference, in the order of
	// references but each answer in ascending sequence, at most recordsMax and
	// bytesMax (but at least one), and the kind's state from the same snapshot.
	Walk(ctx context.Context, account seal.Account, kind record.Kind, after syncproto.Ref, recordsMax, bytesMax int) (syncproto.Walked, error)

	// Fetch returns those of the named versions that the store holds, as many
	// as fit one batch, in ascending sequence.
	Fetch(ctx context.Context, account seal.Account, kind record.Kind, refs []syncproto.Ref) (syncproto.Fetched, error)

	// Prove remembers what a device holds under a replica id, counts the kinds in recount again
	// from their rows, and returns the states of all kinds, with at most HaveMax
	// chunks that versions refer to and that are not held.
	Prove(ctx context.Context, account seal.Account, device seal.DeviceKey, replica record.ReplicaID, held []syncproto.Held, recount []record.Kind) (syncproto.States, error)

	// SetAside takes versions out of the antichain that do not open, and puts
	// those back that only they dominated. It returns the states of all kinds.
	SetAside(ctx context.Context, account seal.Account, kind record.Kind, refs []syncproto.Ref) (syncproto.States, error)

	// Statements returns what is known about an account's devices: all that was
	// added and can still be read; nothing for an unknown account.
	Statements(ctx context.Context, account seal.Account) ([]seal.Statement, error)

	// AddStatements adds verified statements about the devices of an account that
	// exists.
	AddStatements(ctx context.Context, account seal.Account, list []seal.Statement) error

	// View calls f with the antichain of a kind, from one snapshot.
	View(ctx context.Context, account seal.Account, kind record.Kind, f func(rangeset.Set) error) error

	// Chunks is the store of chunks that belongs to this store of versions.
	Chunks() Chunks

	// Expire removes the dominated versions that were kept DominatedDays.
	Expire(ctx context.Context) (removed int, err error)

	// Report counts what is stored, for one account or, with nil, for all.
	Report(ctx context.Context, account *seal.Account) (Report, error)

	// Verify checks everything that can be checked without a key and calls
	// problem for whatever is wrong.
	Verify(ctx context.Context, problem func(Problem)) (Verified, error)

	// Accounts lists all accounts, also those of which only rows are left.
	Accounts(ctx context.Context) ([]seal.Account, error)

	// Repair does for one account what Verify does for all, and mends what it
	// finds: damaged versions and chunks go into a quarantine that is kept for
	// forensics, digests and heads are counted again. It calls pace with the
	// bytes that it read, between steps that hold up nobody; an error of pace ends
	// it. It returns the kinds that changed: devices fill the holes.
	Repair(ctx context.Context, account seal.Account, pace func(bytes int) error, problem func(Problem)) ([]record.Kind, error)

	// Recount counts those of the accounts again whose rows another program may have
	// changed (an operator with a shell, a tool that puts rows back). It returns the
	// kinds whose digest was not as it had been, whose heads have moved.
	Recount(ctx context.Context, accounts []seal.Account) (map[seal.Account][]record.Kind, error)

	// Restoring returns the kinds that the operator declared not to be complete
	// yet, and for how many accounts (all of them count as one). Their KindState
	// says so.
	Restoring(ctx context.Context) (map[record.Kind]int, error)

	// Close ends the store when all work has stopped.
	Close() error
}

// Chunks holds sealed chunks. It is an interface of its own because beyond one
// machine they belong into an object store.
type Chunks interface {
	// Missing returns those of ids that are not held.
	Missing(ctx context.Context, account seal.Account, ids []record.ChunkID) ([]record.ChunkID, error)
	// Put stores chunks in one transaction; one that is held already is kept.
	Put(ctx context.Context, account seal.Account, chunks []syncproto.CloudChunk) error
	// Get returns one chunk, or nil when it is not held. It is the caller's, who
	// may give its body to syncproto.Free.
	Get(ctx context.Context, account seal.Account, id record.ChunkID) (*syncproto.Chunk, error)
}

// Problem is one thing that Verify found wrong. It names an account and a kind,
// never a record.
type Problem struct {
	Account string `json:"account,omitempty"`
	Kind    string `json:"kind,omitempty"`
	What    string `json:"what"`
}

// Verified counts what Verify looked at.
type Verified struct {
	Accounts  int `json:"accounts"`
	Versions  int `json:"versions"`
	Dominated int `json:"dominated"`
	Aside     int `json:"aside"`
	Chunks    int `json:"chunks"`
	// ChunksLacking counts chunks that versions refer to and that are not held:
	// on their way, or to be offered again.
	ChunksLacking int `json:"chunks_lacking"`
	Quarantined   int `json:"quarantined"` // rows kept for forensics
	Problems      int `json:"problems"`
}

// Report is what an operator reads after a loss, in exact numbers.
type Report struct {
	Epoch    string          `json:"epoch"`
	Accounts []AccountReport `json:"accounts"`
}

// AccountReport is one account's part of a Report.
type AccountReport struct {
	Account    string          `json:"account"`
	Head       uint64          `json:"head"`
	Created    time.Time       `json:"created"`
	Kinds      []KindReport    `json:"kinds"`
	Replicas   []ReplicaReport `json:"replicas"`
	Chunks     int64           `json:"chunks"`
	ChunkBytes int64           `json:"chunk_bytes"`
}

// KindReport counts one kind of an account, from its rows.
type KindReport struct {
	Kind      string `json:"kind"`
	Service   bool   `json:"service"`  // of devices about themselves, not a person's data
	Live      int    `json:"live"`     // records with a version that is not a tombstone
	Deleted   int    `json:"deleted"`  // records with tombstones only
	Versions  uint64 `json:"versions"` // of which none dominates another
	Digest    string `json:"digest"`
	Bytes     int64  `json:"bytes"`
	Dominated int    `json:"dominated"` // kept for DominatedDays
	Aside     int    `json:"aside"`     // reported as not opening

	Restoring bool     `json:"restoring"` // declared by the operator
	Coverage  Coverage `json:"coverage"`

	Missing  uint64    `json:"-"` // records once in the log, of which nothing is
	Partial  bool      `json:"-"` // not all records that were in the log are known
	LossTime time.Time `json:"-"`
	LossHad  uint64    `json:"-"` // versions before the last loss that was noticed, 0 without one
}

// ReplicaReport says what one replica last proved to hold.
type ReplicaReport struct {
	Replica  string        `json:"replica"`
	Device   string        `json:"device"`
	LastSeen time.Time     `json:"last_seen"`
	Proofs   []ProofReport `json:"proofs"`
}

// ProofReport is what a replica last proved to hold of one kind.
type ProofReport struct {
	Kind   string    `json:"kind"`
	Count  uint64    `json:"count"`
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	Equal  bool      `json:"equal"` // to what the cloud holds now
	// Lacking is how many of them the device had yet to give when it last told.
	Lacking uint64 `json:"lacking"`
	Current bool   `json:"current"` // told to this epoch of the storage, after the last loss
	Agreed  bool   `json:"agreed"`  // the cloud held the same when it was told
}
