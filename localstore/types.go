package localstore

import (
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
)

// Record is one record as people and programs see it: the shown values, and
// beside them the siblings that lost.
type Record struct {
	ID        record.ID
	Kind      record.Kind
	Title     string
	Deleted   bool
	Synced    bool           // the cloud has acknowledged exactly this state
	Held      Hold           // part of a mass deletion that waits for a person; zero: not
	Fields    []record.Field // in the order of the record's lines
	Values    map[string]any // decoded value of each field: a string, or []any of strings or of []any
	Conflicts []Conflict     // keys with more than one distinct value, in key order
}

// Hold says what waits for a person: a loss that does not leave this device
// yet, or one that came and is not applied. Both can be.
type Hold struct {
	Out, In Loss
}

// Any reports whether anything waits.
func (h Hold) Any() bool { return h.Out != "" || h.In != "" }

// Loss is what would happen to a record that is held.
type Loss string

// The losses.
const (
	LossDeleted Loss = "deleted"
	LossEmptied Loss = "emptied" // most of its values are emptied or replaced
)

// Conflict is a key whose value was written on two devices, neither of which
// had seen the other's. The shown value is the first of Siblings.
type Conflict struct {
	Key      string
	Siblings []Sibling
}

// Sibling is one value of a key in conflict.
type Sibling struct {
	Field   record.Field
	Value   any
	Replica record.ReplicaID // who wrote it
}

// Ref names one version of one record.
type Ref struct {
	ID        record.ID
	VersionID record.VersionID
}

// Outgoing is a version that the cloud has not acknowledged.
type Outgoing struct {
	Kind      record.Kind
	ID        record.ID
	VersionID record.VersionID
	Version   *record.Version
	Encoded   []byte // the canonical encoding of Version
	Order     int64  // place in the outbox; pass the last one to Mint to continue after it

	row    int64         // of table record
	held   bool          // it is held, not the record's own
	vector record.Vector // of a version that was given early, and is not in Version
}

// givenEarly takes out what its reader has.
func (o *Outgoing) givenEarly() {
	o.vector, o.Version, o.Encoded = o.Version.Vector, nil, nil
}

func (o *Outgoing) vectorOf() record.Vector {
	if o.Version == nil {
		return o.vector
	}
	return o.Version.Vector
}

// Incoming is a version that came from the cloud.
type Incoming struct {
	ID        record.ID
	VersionID record.VersionID
	Version   *record.Version
	// Open gives Version where that is nil, or nil if it does not open under the
	// account's keys. It is called from another goroutine.
	Open func() *record.Version
}

// Applied says what Apply did.
type Applied struct {
	NotOpen []Ref // versions that did not open, and were left aside
	Changed int   // records whose state changed
	ToPush  []Ref // joins that the cloud lacks; they are in the outbox
	Clashes []Clash
	// SetAside counts versions that would take a living record away, or most of
	// it: they are held until Mint judges them, when all was read.
	SetAside int
	Fork     bool // a version showed writes of this replica that it did not make: nothing was applied, fork and reconnect
}

// Clash reports rule W9: two contents under one identity. All values were kept.
type Clash struct {
	ID  record.ID
	Key string
}

// Epoch names one life of the cloud's storage.
type Epoch [16]byte

// Cursor is how far this device has read the cloud's log of one kind: everything
// up to Seq, or, with Part, of that what is not after Part in the order of record
// ids and then version ids.
type Cursor struct {
	Epoch Epoch
	Seq   uint64
	Part  *Ref
}

// Token is a claim token: 16 random bytes.
type Token [16]byte

// Claim is what a hello carries.
type Claim struct {
	Replica record.ReplicaID
	Last    *Token  // last accepted, nil before the first
	Pending []Token // unanswered, newest last; the newest was drawn by BeginClaim
	Counter uint64  // highest counter this device has minted
}

// Chunk is one piece of a large value.
type Chunk struct {
	ID   record.ChunkID
	Data []byte
}

// CloudState is what the cloud last proved to hold of a kind.
type CloudState struct {
	Digest   rangeset.Digest
	Epoch    Epoch
	Head     uint64
	ProvenAt time.Time // zero: never
	// Restoring says that the cloud called the kind not complete yet.
	Restoring bool
}

// KindStatus is the exact state of one kind. Counts are records.
type KindStatus struct {
	Live      int
	Deleted   int // in the trash or purged
	Unsynced  int // dirty, or minted and not acknowledged
	Conflicts int
	Held      int             // records of mass deletions that wait for a person
	HeldIn    int             // of those, records whose deletion came from elsewhere
	Digest    rangeset.Digest // of all minted versions
	Cloud     CloudState
}

// BlobStatus counts the pieces of large values.
type BlobStatus struct {
	Chunks  int   // that records refer to
	Missing int   // of those, not here yet
	Unsent  int   // of those here, not acknowledged by the cloud
	Bytes   int64 // here
}

// Status is a snapshot of the store in exact numbers.
type Status struct {
	Replica  record.ReplicaID // zero before the first claim
	Epoch    Epoch            // zero before the first session
	Kinds    map[record.Kind]KindStatus
	Blobs    BlobStatus
	Stale    int       // records whose full text is not indexed yet; search scans them
	Lost     []Lost    // of a damaged database, and not here; see VerifyReport
	Problems []Problem // what a person should know
	WALBytes int64
	Sample   SampleStatus
	Withheld []Withheld // statements of devices that claim more than the cloud gives
	Stated   int        // replicas, this one too, whose statements are here
}

// Problem is something that was found and survived: a schema object that was
// repaired, a record that can not be sent. Text never holds a person's values.
type Problem struct {
	At   time.Time
	Code string // stable: schema, damage, too-large, encoding, clash, fork
	Text string
	ID   *record.ID // nil when it is not about one record
}
