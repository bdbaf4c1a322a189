package agent

import (
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// States of the connection, as Status.Cloud.State has them.
const (
	StateOff        = "off"        // no agent runs
	StateWaiting    = "waiting"    // until the next attempt
	StateConnecting = "connecting" // socket, hello, authentication
	StateSyncing    = "syncing"    // a session is open and not everything is proven
	StateLive       = "live"       // proven, and changes flow both ways
	StateStopped    = "stopped"    // a person must act first; see the problems
	StateRevoked    = "revoked"    // this device was revoked, and that is proven; see Revoked
)

// Status is a snapshot of what is here, what the cloud has proven to have, what
// waits and what is held. It is immutable: a change makes a new one.
type Status struct {
	Account  string                     `json:"account"`
	Device   string                     `json:"device"`
	Replica  string                     `json:"replica"`
	Cloud    CloudStatus                `json:"cloud"`
	Kinds    map[record.Kind]KindStatus `json:"kinds"`
	Blobs    BlobStatus                 `json:"blobs"`
	Trust    TrustStatus                `json:"trust"`
	Code     string                     `json:"code"`               // short, equal on two devices that hold the same; see Code
	Lost     []LostRecord               `json:"lost,omitempty"`     // of a damaged database
	AtLeast  bool                       `json:"at_least,omitempty"` // more may be lost than Lost names
	Problems []Problem                  `json:"problems,omitempty"`
	Revoked  *Revocation                `json:"revoked,omitempty"` // nil while this device is trusted
	Moved    *Move                      `json:"moved,omitempty"`   // nil unless a trusted device left this account
}

// CloudStatus is the connection's part of a Status.
type CloudStatus struct {
	URL   string     `json:"url"`
	State string     `json:"state"`
	Epoch string     `json:"epoch"`           // 32 hex digits, "" before the first session
	Error string     `json:"error,omitempty"` // why an attempt ended; "" again once one gets beyond that
	Retry *time.Time `json:"retry,omitempty"` // when the next attempt is due, in state waiting
}

// KindStatus is one kind's part of a Status. Counts are records.
type KindStatus struct {
	Live        int        `json:"live"`
	Deleted     int        `json:"deleted"`
	Unsynced    int        `json:"unsynced"` // changed here, not acknowledged by the cloud
	Conflicts   int        `json:"conflicts"`
	Held        int        `json:"held"`         // in mass deletions that wait for a person
	HeldIn      int        `json:"held_in"`      // of those, records whose deletion came from elsewhere
	Digest      string     `json:"digest"`       // 32 hex digits
	CloudDigest string     `json:"cloud_digest"` // "" when the cloud never told one
	Restoring   bool       `json:"restoring"`    // the cloud says that it does not have all of it yet
	InSync      bool       `json:"in_sync"`      // digests equal as of ProvenSeq, and nothing unsynced
	ProvenSeq   uint64     `json:"proven_seq,omitempty"`
	ProvenAt    *time.Time `json:"proven_at,omitempty"`
}

// BlobStatus counts chunks of pictures and other large values.
type BlobStatus struct {
	Chunks  int   `json:"chunks"`
	Missing int   `json:"missing"` // referred to by a record, not here
	Absent  int   `json:"absent"`  // of the missing: not at the cloud either, when it was last asked
	Unsent  int   `json:"unsent"`  // here, not acknowledged by the cloud
	Bytes   int64 `json:"bytes"`
}

// LostRecord is a record that was in a damaged database and is not here, or only
// without its last edit.
type LostRecord struct {
	ID      string      `json:"id"`
	Kind    record.Kind `json:"kind"`
	Nowhere bool        `json:"nowhere"` // the cloud does not have it either
	Copy    bool        `json:"copy"`    // a damaged copy is kept
	Edit    string      `json:"edit"`    // "lost" or "perhaps lost": it is here as the cloud had it, without its last edit
}

// LostRecords gives what the store knows to be lost.
func LostRecords(list []localstore.Lost) []LostRecord {
	out := make([]LostRecord, len(list))
	for i, l := range list {
		out[i] = LostRecord{ID: l.ID.String(), Kind: l.Kind, Nowhere: !l.Back && l.Asked != 0, Copy: l.Copy != nil}
		switch {
		case l.Back && l.Edited:
			out[i].Edit = "lost"
		case l.Back: // the cloud may have had it, if somebody went on from it
			out[i].Edit = "perhaps lost"
		}
	}
	return out
}

// settled reports whether nothing is left to do but what waits for a person, or
// for the cloud's operator.
func (s *Status) settled() bool {
	for _, k := range s.Kinds {
		if !k.InSync && (k.Digest != k.CloudDigest && !k.Restoring || k.Unsynced > k.Held-k.HeldIn) {
			return false
		}
	}
	return len(s.Kinds) > 0 && s.Blobs.Missing == 0 && s.Blobs.Unsent == 0
}

// InSync reports whether every kind is proven equal, no chunk is missing or
// unsent, and the cloud was not caught lying.
func (s *Status) InSync() bool {
	if s.Trust.err() != nil {
		return false
	}
	for _, k := range s.Kinds {
		if !k.InSync {
			return false
		}
	}
	return len(s.Kinds) > 0 && s.Blobs.Missing == 0 && s.Blobs.Unsent == 0
}
