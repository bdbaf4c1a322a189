package syncproto

import (
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// CloudEvent is something that happened to a cloud's session. The driver feeds
// it to CloudSession.Handle.
type CloudEvent interface{ cloudEvent() }

// Received is a message from the device, as it came.
type Received struct{ Data []byte }

// Deadline says that PreAuthSeconds have passed since the connection began.
type Deadline struct{}

// Continue lets the session do one step of the work it has left: see Busy.
type Continue struct{}

// Moved says what other sessions of the account brought: versions of kinds, and
// statements about devices. Ended says that this session's device is trusted no
// more.
type Moved struct {
	Kinds      []record.Kind
	Statements []seal.Statement
	Set        seal.StatementsDigest // all that the cloud has, if there are Statements
	Ended      bool
}

// Draining says that the cloud is stopping.
type Draining struct{}

// Superseded says that a newer session of the same replica begins.
type Superseded struct{}

// Refused says that the cloud takes no more sessions now; come back in Seconds.
type Refused struct{ Seconds uint64 }

// Claimed answers DoClaim.
type Claimed struct {
	Epoch Epoch
	Head  Seq
	State ClaimState
	Seen  uint64
	Kinds []KindState
	Time  uint64
	Same  bool // the claim's State is the cloud's, and every chunk is here

	Devices []DeviceSeen // if Same; the latest first

	Statements seal.StatementsDigest // the driver's, not the store's
}

// Committed answers DoCommit: every version but the rejected is durable.
type Committed struct {
	Head    Seq
	Seqs    []Seq // of each version of DoCommit; 0 when it did not enter the log
	Rejects []Reject
	Kinds   []KindState // of the touched kinds, with Prev
}

// LogRead answers DoReadLog.
type LogRead struct {
	Kind  record.Kind
	Items []BatchItem
	Next  Seq // everything of the kind up to here was read
	More  bool
	State KindState // as of the same snapshot
}

// Walked answers DoWalk.
type Walked struct {
	Kind  record.Kind
	Items []BatchItem // ascending sequences
	Upto  Ref         // if more follows: everything up to here was read
	State KindState   // as of the same snapshot
}

// Fetched answers DoFetch: versions found among the first Done references.
type Fetched struct {
	Items []BatchItem // ascending sequences
	Done  int
}

// States answers DoProve and DoSetAside.
type States struct {
	Head  Seq
	Kinds []KindState
	Lost  []record.ChunkID // referred to, not held; at most HaveMax
	// Devices are the other devices that were here last; at most DevicesMax.
	Devices []DeviceSeen
}

// RangeAnswered answers DoAnswerRange.
type RangeAnswered struct{ Answer *Range }

// ChunksMissing answers DoFindMissing.
type ChunksMissing struct{ Chunks []record.ChunkID }

// ChunksStored answers DoStoreChunks: all of them are durable.
type ChunksStored struct{}

// ChunkRead answers DoReadChunk; Chunk is nil when the cloud does not hold it.
type ChunkRead struct{ Chunk *Chunk }

// MailboxOpened answers DoOpenMailbox.
type MailboxOpened struct{ Seconds uint64 }

// MailboxEntered answers DoEnterMailbox.
type MailboxEntered struct{ Note []byte }

// MailboxDone answers DoPost and DoShutMailbox, which can not fail: an end that
// the mailbox does not have any more is told by MailboxShut.
type MailboxDone struct{}

// Posted is what the other end of the session's mailbox posted.
type Posted struct{ Sealed []byte }

// MailboxShut says that the session's mailbox is closed; CodeNone when the other
// end left.
type MailboxShut struct{ Code Code }

// Failed answers any Do action that could not be done. Nothing of it is stored.
type Failed struct{ Code Code }

func (Received) cloudEvent()       {}
func (Deadline) cloudEvent()       {}
func (Continue) cloudEvent()       {}
func (Moved) cloudEvent()          {}
func (Draining) cloudEvent()       {}
func (Superseded) cloudEvent()     {}
func (Refused) cloudEvent()        {}
func (Claimed) cloudEvent()        {}
func (Committed) cloudEvent()      {}
func (LogRead) cloudEvent()        {}
func (Walked) cloudEvent()         {}
func (Fetched) cloudEvent()        {}
func (States) cloudEvent()         {}
func (RangeAnswered) cloudEvent()  {}
func (ChunksMissing) cloudEvent()  {}
func (ChunksStored) cloudEvent()   {}
func (ChunkRead) cloudEvent()      {}
func (MailboxOpened) cloudEvent()  {}
func (MailboxEntered) cloudEvent() {}
func (MailboxDone) cloudEvent()    {}
func (Posted) cloudEvent()         {}
func (MailboxShut) cloudEvent()    {}
func (Failed) cloudEvent()         {}

// CloudAction is something that the driver of a cloud's session does. It
// carries the actions out in order. For each action whose name begins with Do
// it feeds exactly one answer back, before it carries out the next.
type CloudAction interface{ cloudAction() }

// SendToDevice sends a message.
type SendToDevice struct{ Message Message }

// HangUp closes the connection, after what was sent. The session is over.
type HangUp struct{ Code Code }

// DoClaim asks for admission, ends older sessions of the replica, and stores
// the claim (SPEC.md section "Claims"). Answers: Claimed; Failed with
// CodeRefused when the account is not admitted, CodeUnknownAccount, or a
// storage code.
type DoClaim struct {
	Account seal.Account
	Device  seal.DeviceKey
	Replica record.ReplicaID
	Last    Token
	Pending []Token
	Counter uint64
	Create  bool

	Admission Admission

	State      StateDigest           // of the device; zero if it said none
	Statements seal.StatementsDigest // that the cloud has
}

// CloudVersion is a pushed version whose header was read.
type CloudVersion struct {
	Index  int // place in the push
	Kind   record.Kind
	Ref    Ref
	Vector record.Vector
	Dead   bool
	Header []byte
	Body   []byte
}

// DoCommit stores versions in one transaction. Answers: Committed or Failed.
type DoCommit struct{ Versions []CloudVersion }

// DoReadLog reads versions after a sequence. Answers: LogRead or Failed.
type DoReadLog struct {
	Kind     record.Kind
	After    Seq
	BytesMax int
}

// DoWalk reads versions after a reference, in the order of references. Answers:
// Walked or Failed.
type DoWalk struct {
	Kind       record.Kind
	After      Ref // zero: from the beginning
	RecordsMax int
	BytesMax   int
}

// DoFetch reads versions by name, as many as fit a batch. Answers: Fetched or Failed.
type DoFetch struct {
	Kind record.Kind
	Refs []Ref
}

// DoProve stores what the replica holds and reads what the cloud holds of all
// kinds. The kinds in Recount are counted again from their rows first. Answers:
// States or Failed.
type DoProve struct {
	Held    []Held
	Recount []record.Kind
}

// DoSetAside sets versions aside that do not open. Answers: States or Failed.
type DoSetAside struct {
	Kind record.Kind
	Refs []Ref
}

// DoAnswerRange computes the cloud's step of reconcile. Answers: RangeAnswered or Failed.
type DoAnswerRange struct{ Ask *Range }

// DoFindMissing looks which chunks the cloud lacks. Answers: ChunksMissing or Failed.
type DoFindMissing struct{ Chunks []record.ChunkID }

// CloudChunk is a received chunk whose header was read.
type CloudChunk struct {
	ID     record.ChunkID
	Header []byte
	Body   []byte
}

// DoStoreChunks stores chunks in one transaction. Answers: ChunksStored or Failed.
type DoStoreChunks struct{ Chunks []CloudChunk }

// DoReadChunk reads one chunk. Answers: ChunkRead or Failed.
type DoReadChunk struct{ ID record.ChunkID }

// DoOpenMailbox opens a mailbox in memory, in place of one that the session had.
// Answers: MailboxOpened; Failed with CodeBusy when there are too many.
type DoOpenMailbox struct {
	ID   seal.Mailbox
	Note []byte
}

// DoEnterMailbox enters a mailbox by its id. Answers: MailboxEntered; Failed with
// CodeRefused, for whatever reason. A second entry shuts the mailbox.
type DoEnterMailbox struct{ ID seal.Mailbox }

// DoPost hands a post to the other end of the session's mailbox; without one it
// does nothing. Answer: MailboxDone.
type DoPost struct{ Sealed []byte }

// DoShutMailbox ends the session's mailbox, if it has one. Answer: MailboxDone.
type DoShutMailbox struct{}

func (DoOpenMailbox) cloudAction()  {}
func (DoEnterMailbox) cloudAction() {}
func (DoPost) cloudAction()         {}
func (DoShutMailbox) cloudAction()  {}
func (SendToDevice) cloudAction()   {}
func (HangUp) cloudAction()         {}
func (DoClaim) cloudAction()        {}
func (DoCommit) cloudAction()       {}
func (DoReadLog) cloudAction()      {}
func (DoWalk) cloudAction()         {}
func (DoFetch) cloudAction()        {}
func (DoProve) cloudAction()        {}
func (DoSetAside) cloudAction()     {}
func (DoAnswerRange) cloudAction()  {}
func (DoFindMissing) cloudAction()  {}
func (DoStoreChunks) cloudAction()  {}
func (DoReadChunk) cloudAction()    {}
