package syncproto

import (
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// DeviceEvent is something that happened at the device: one of the Device and
// Local types below.
type DeviceEvent interface{ deviceEvent() }

// DeviceAction is something that the driver must do: one of the Device and
// Store types below. Store actions that name a Local type answer with exactly
// one event of that type; an error of the store ends the session instead.
type DeviceAction interface{ deviceAction() }

// Events from the connection and the world.
type (
	// DeviceOpened says that the socket is open. Nonce is fresh randomness.
	DeviceOpened struct{ Nonce Nonce }
	// DeviceReceived is one decoded message. It is not changed after that, but for
	// the bodies of Chunk messages, which are opened where they stand.
	DeviceReceived struct{ Message Message }
	// DeviceChanged says that something in the store may want to be sent.
	DeviceChanged struct{}
	// DeviceTimer says that a timer of DeviceSetTimer ran out.
	DeviceTimer struct{ Timer DeviceTimerID }
	// DeviceCheck asks for a fresh proof, and for another try of what was given up.
	DeviceCheck struct{}
	// DeviceMail sends a message of an invite's mailbox: an offer, a post or a
	// shut. Before the session works, and without an offer, it is answered by
	// DeviceMailed with a shut.
	DeviceMail struct{ Message Message }
	// DeviceSample asks for a sample to be read back when all is at rest.
	DeviceSample struct{}
	// DeviceStop asks for an orderly end.
	DeviceStop struct{}
	// DeviceLost says that the connection is gone. What arrived is kept; the
	// actions that follow hold no Send and no Close.
	DeviceLost struct{}
)

// DeviceTimerID names a timer; setting it again replaces it.
type DeviceTimerID uint8

// The timers of a session.
const (
	TimerRest DeviceTimerID = 1 // digests that differ are asked for again
	TimerWant DeviceTimerID = 2 // chunks that the cloud did not hold are asked for again
	// TimerWitness: this device may state again what it has seen.
	TimerWitness DeviceTimerID = 3
)

// Actions towards the connection and the world.
type (
	// DeviceSend sends one message.
	DeviceSend struct{ Message Message }
	// DeviceSetTimer asks for a DeviceTimer event after a time.
	DeviceSetTimer struct {
		Timer  DeviceTimerID
		Millis uint64
	}
	// DeviceWelcomed says that the cloud let the device in: the version both
	// speak from now on, the cloud's clock, and its epoch.
	DeviceWelcomed struct {
		Version uint64
		Time    uint64 // seconds since 1970
		Epoch   Epoch
	}
	// DeviceStateChanged says that what Kinds returns, or the state, has changed.
	DeviceStateChanged struct{ Live bool }
	// DeviceProved says that the cloud answered what it holds, to a question
	// that came after everything that was received before, and when it says that
	// other devices were there.
	DeviceProved struct{ Devices []DeviceSeen }
	// DeviceProblem reports something that does not stop the rest.
	DeviceProblem struct {
		Kind record.Kind
		Code string // stable, see the Problem constants
		Ref  *Ref   // the version it is about, or nil
		Text string
	}
	// DeviceMailed is what the cloud says of the mailbox: opened, a post, a shut.
	DeviceMailed struct{ Message Message }
	// DeviceClose ends the session after what was sent before it.
	DeviceClose struct {
		Err     error // nil when it ended in peace
		Retry   Retry
		Seconds uint64 // with RetryAfter
	}
)

// Codes of DeviceProblem.
const (
	ProblemNotOpen  = "not_open" // a version of the cloud does not open under the account's keys
	ProblemRejected = "rejected" // the cloud refused a version
	ProblemDiffers  = "differs"  // digests differ and nothing explains it
	ProblemQuota    = "quota"    // the cloud has no more room for this account
	ProblemBadChunk = "bad_chunk"
)

// noRoom says what to do about a full account.
const noRoom = "the cloud has no more room for this account: what is new waits here, where it is safe; delete some, or ask the cloud's operator for more (sidekeep-cloud serve --quota)"

// Retry says when to come back after a session.
type Retry uint8

// The ways to come back.
const (
	RetryNever   Retry = iota // the session did what it was for
	RetryAtOnce               // after a fork
	RetryBackoff              // after a growing, random time
	RetryAfter                // after the seconds the cloud asked for
)

// ForkReason says why a replica id was given up.
type ForkReason uint8

// The reasons to fork (rule C3).
const (
	ForkStale   ForkReason = iota + 1 // the cloud's bare word: it holds another token, or saw a counter that no version shows
	ForkUnknown                       // the cloud does not know the replica
	ForkCounter                       // a version that opened has seen more than was minted here
)

// Actions towards the store.
type (
	// StoreBegin makes the accepted claim durable and notes the cloud's epoch.
	// Answered by LocalBegan.
	StoreBegin struct {
		Token Token
		Epoch Epoch
	}
	// StoreFork makes the next claim use a fresh replica id.
	StoreFork struct{ Reason ForkReason }
	// StoreApply opens and joins received versions in one commit, and moves the
	// cursor of the kind with them unless it is 0, or its walk unless that is zero.
	// Answered by LocalApplied.
	StoreApply struct {
		Kind   record.Kind
		Items  []BatchItem
		Cursor Seq
		Walk   WalkPlace
	}
	// StoreMint mints what is dirty and gives sealed versions that the cloud has
	// not acknowledged, in outbox order after After. Answered by LocalMinted.
	StoreMint struct {
		Kind       record.Kind
		After      int64
		RecordsMax int
		BytesMax   int
	}
	// StoreAcked notes that the cloud holds these versions.
	StoreAcked struct {
		Kind record.Kind
		Refs []Ref
	}
	// StoreRange lets Reconciler handle an answer (nil at the start) and give
	// its next question; what only this device has goes back into the outbox.
	// Answered by LocalRanged.
	StoreRange struct {
		Kind       record.Kind
		Reconciler *rangeset.Reconciler
		Answer     *rangeset.Message
	}
	// StoreRecount recomputes the digest of a kind from its rows. Answered by
	// LocalRecounted.
	StoreRecount struct{ Kind record.Kind }
	// StoreCloud notes what the cloud holds of a kind, and the cursor if it is
	// not 0. Proven says that the device holds the same.
	StoreCloud struct {
		State  KindState
		Proven bool
		Cursor Seq
	}
	// StoreOffer lists chunks that the cloud has not acknowledged, in the order
	// of their ids after After. Answered by LocalOffered.
	StoreOffer struct {
		After record.ChunkID
		Max   int
	}
	// StoreLoad reads and seals chunks. Next are those that the device is likely to
	// ask for afterwards. Answered by LocalLoaded.
	StoreLoad struct{ IDs, Next []record.ChunkID }
	// StoreChunksAcked notes that the cloud holds these chunks.
	StoreChunksAcked struct{ IDs []record.ChunkID }
	// StoreChunksLost notes that the cloud does not hold these chunks, as it said
	// itself or when they were offered: those that are here are to be offered, and
	// those that it had acknowledged are lost there.
	StoreChunksLost struct{ IDs []record.ChunkID }
	// StoreMissing lists chunks that records refer to and that are not here.
	// Answered by LocalMissing.
	StoreMissing struct{ Max int }
	// StoreKeep opens chunks, checks them against their ids and stores them in
	// one commit. Answered by LocalKept.
	StoreKeep struct{ Chunks []*Chunk }
	// StoreTestify writes this device's statement of what it has seen if it would
	// say something new. Answered by LocalTestified.
	StoreTestify struct{}
	// StoreCompare looks whether what others state to have seen is here. Final
	// says that every kind equals the cloud's as of after the last statement came.
	// Answered by LocalCompared.
	StoreCompare struct{ Final bool }
	// StorePick chooses a sample of what the cloud acknowledged, and has some
	// chunks offered again. Answered by LocalPicked.
	StorePick struct{}
	// StoreOpen opens versions and chunks and stores nothing. Answered by LocalOpened.
	StoreOpen struct {
		Items  []BatchItem
		Chunks []*Chunk
	}
	// StoreSampled keeps the outcome of a sample; what is missing goes back into
	// the outbox. Answered by LocalSampled.
	StoreSampled struct{ Read, Missing Sample }
)

// WalkPlace is how far a kind was walked that was not read to its end before: of
// what the cloud held at its head Base everything up to Upto is here. The zero
// value is no walk.
type WalkPlace struct {
	Base Seq
	Upto Ref
}

// Results of store actions.
type (
	// LocalKind is one kind as the store has it.
	LocalKind struct {
		Kind   record.Kind
		Cursor Seq
		Walk   WalkPlace // if Cursor is 0
		Own    rangeset.Digest
		Proven bool // the cloud held just that when it last told
	}
	// LocalBegan answers StoreBegin with every kind that the store has.
	LocalBegan struct {
		Kinds  []LocalKind
		Sample bool // a sample is due
	}
	// LocalApplied answers StoreApply.
	LocalApplied struct {
		Kind    record.Kind
		Own     rangeset.Digest
		Changed int  // of them were news
		ToPush  bool // joins that the cloud lacks are in the outbox
		Fork    bool // an own write showed up that this device did not make
		NotOpen []Ref
		// Overtaken counts the versions here that reconcile found missing at the
		// cloud, and that these have seen: the cloud lacks nothing of them.
		Overtaken int
	}
	// LocalMinted answers StoreMint. No versions: the outbox ends here.
	LocalMinted struct {
		Kind     record.Kind
		Own      rangeset.Digest
		Versions []MintedVersion
	}
	// MintedVersion is one version to push.
	MintedVersion struct {
		Ref    Ref
		Order  int64
		Sealed seal.Sealed
	}
	// LocalRanged answers StoreRange: the next question, nil when done, and
	// what the last answer showed the cloud to have that this device lacks.
	LocalRanged struct {
		Kind record.Kind
		Next *rangeset.Message
		Need []rangeset.Item
		Have int   // versions that only this device has
		Err  error // a bad answer; wraps rangeset.ErrMessage
	}
	// LocalRecounted answers StoreRecount.
	LocalRecounted struct {
		Kind record.Kind
		Own  rangeset.Digest
	}
	// LocalOffered answers StoreOffer.
	LocalOffered struct{ IDs []record.ChunkID }
	// LocalLoaded answers StoreLoad; chunks that are gone are left out.
	LocalLoaded struct{ Chunks []LoadedChunk }
	// LoadedChunk is one chunk to send.
	LoadedChunk struct {
		ID     record.ChunkID
		Sealed seal.Sealed
	}
	// LocalMissing answers StoreMissing.
	LocalMissing struct{ IDs []record.ChunkID }
	// LocalKept answers StoreKeep with the chunks that were stored, and how many
	// did not open.
	LocalKept struct {
		IDs []record.ChunkID
		Bad int
	}
	// LocalTestified answers StoreTestify.
	LocalTestified struct {
		Own     rangeset.Digest // of the statements that are here
		Changed bool            // a new one is in the outbox
	}
	// LocalCompared answers StoreCompare: how many statements claim more than is here.
	LocalCompared struct{ Lacking int }
	// LocalPicked answers StorePick.
	LocalPicked struct{ Sample Sample }
	// LocalOpened answers StoreOpen.
	LocalOpened struct {
		Opened  Sample
		NotOpen []KindRefs
	}
	// LocalSampled answers StoreSampled.
	LocalSampled struct{}
)

func (DeviceOpened) deviceEvent()   {}
func (DeviceReceived) deviceEvent() {}
func (DeviceChanged) deviceEvent()  {}
func (DeviceTimer) deviceEvent()    {}
func (DeviceStop) deviceEvent()     {}
func (DeviceSample) deviceEvent()   {}
func (DeviceCheck) deviceEvent()    {}
func (DeviceMail) deviceEvent()     {}
func (DeviceLost) deviceEvent()     {}
func (LocalBegan) deviceEvent()     {}
func (LocalApplied) deviceEvent()   {}
func (LocalMinted) deviceEvent()    {}
func (LocalRanged) deviceEvent()    {}
func (LocalRecounted) deviceEvent() {}
func (LocalOffered) deviceEvent()   {}
func (LocalLoaded) deviceEvent()    {}
func (LocalMissing) deviceEvent()   {}
func (LocalKept) deviceEvent()      {}
func (LocalTestified) deviceEvent() {}
func (LocalCompared) deviceEvent()  {}
func (LocalPicked) deviceEvent()    {}
func (LocalOpened) deviceEvent()    {}
func (LocalSampled) deviceEvent()   {}

func (DeviceSend) deviceAction()         {}
func (DeviceSetTimer) deviceAction()     {}
func (DeviceWelcomed) deviceAction()     {}
func (DeviceStateChanged) deviceAction() {}
func (DeviceProved) deviceAction()       {}
func (DeviceProblem) deviceAction()      {}
func (DeviceMailed) deviceAction()       {}
func (DeviceClose) deviceAction()        {}
func (StoreBegin) deviceAction()         {}
func (StoreFork) deviceAction()          {}
func (StoreApply) deviceAction()         {}
func (StoreMint) deviceAction()          {}
func (StoreAcked) deviceAction()         {}
func (StoreRange) deviceAction()         {}
func (StoreRecount) deviceAction()       {}
func (StoreCloud) deviceAction()         {}
func (StoreOffer) deviceAction()         {}
func (StoreLoad) deviceAction()          {}
func (StoreChunksAcked) deviceAction()   {}
func (StoreMissing) deviceAction()       {}
func (StoreChunksLost) deviceAction()    {}
func (StoreKeep) deviceAction()          {}
func (StoreTestify) deviceAction()       {}
func (StoreCompare) deviceAction()       {}
func (StorePick) deviceAction()          {}
func (StoreOpen) deviceAction()          {}
func (StoreSampled) deviceAction()       {}
