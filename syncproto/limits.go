package syncproto

import (
	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// The limits of the protocol (SPEC.md section "Limits"). A message that passes
// one is refused with CodeTooLarge. A count or size that equals a limit is good.
const (
	// ProtocolVersion is the only version this code speaks.
	ProtocolVersion = 2
	// VersionsMax bounds the versions that a hello offers.
	VersionsMax = 16

	// PreAuthBytesMax bounds each message before the device is authenticated.
	PreAuthBytesMax = 1024
	// PreAuthSeconds is the time a device has from the upgrade to a good auth.
	PreAuthSeconds = 10
	// MessageBytesMax bounds each message after authentication.
	MessageBytesMax = 384 * 1024

	// PendingTokensMax bounds the unanswered claim tokens in a hello.
	PendingTokensMax = 8
	// CertChainMax bounds the certificates of an auth.
	CertChainMax = seal.ChainMax

	// HeaderBytesMax bounds the header of a sealed version: a full vector and
	// a full list of chunk ids.
	HeaderBytesMax = seal.HeaderBytesMax
	// BodyBytesMax bounds the end of the nonce and the ciphertext of a sealed version.
	BodyBytesMax = seal.VersionLengthMax + seal.Overhead
	// ChunkBytes is the size of every chunk's plaintext but a blob's last.
	ChunkBytes = seal.ChunkBytes
	// ChunkHeaderBytesMax bounds the header of a sealed chunk.
	ChunkHeaderBytesMax = 128
	// ChunkBodyBytesMax bounds the end of the nonce and the ciphertext of a sealed chunk.
	ChunkBodyBytesMax = seal.ChunkLengthMax + seal.Overhead

	// PushRecordsMax bounds the versions in one push.
	PushRecordsMax = 500
	// PushBytesMax bounds headers and bodies of one push that holds more than
	// one version; a single version may fill a message.
	PushBytesMax = 256 * 1024
	// PushWindowMax bounds the pushes that wait for their ack.
	PushWindowMax = 2
	// BatchRecordsMax bounds the versions in one batch.
	BatchRecordsMax = 500
	// BatchBytesMax bounds headers and bodies of one batch that holds more than
	// one version.
	BatchBytesMax = 256 * 1024
	// FetchMax bounds the versions asked for by one fetch.
	FetchMax = 500
	// StatementsMax bounds the statements of one message; a set is sent in as many
	// as it takes.
	StatementsMax = 128
	// AsideMax bounds the versions reported by one aside.
	AsideMax = 64

	// KindBytesMax bounds the name of a kind.
	KindBytesMax = record.KindBytesMax
	// KindsMax bounds the kinds of one account and of one message.
	KindsMax = 64
	// SiblingsMax bounds the versions of one record of which none dominates
	// another.
	SiblingsMax = 64
	// DevicesMax bounds the devices that a proof tells of.
	DevicesMax = 64
	// ReplicasMax bounds the replicas an account has ever registered.
	ReplicasMax = 4096

	// RangesMax bounds the ranges of one range message.
	RangesMax = rangeset.RangesMax
	// RangeItemsMax bounds the items listed in one range message.
	RangeItemsMax = rangeset.ItemsMax
	// BoundBytesMax bounds a range's bound: a whole item.
	BoundBytesMax = rangeset.ItemBytes

	// HaveMax bounds the chunk ids of one have, need, want, stored or absent.
	HaveMax = 1024
	// ChunkWindowMax bounds the chunks that a sender has under way.
	ChunkWindowMax = 8

	// WaitSecondsMax bounds a wait, however long the cloud asks for.
	WaitSecondsMax = 3600
	// LimitsMax bounds the entries of the limits map in a welcome.
	LimitsMax = 32
	// RequestsMax bounds the requests without an answer of one device.
	RequestsMax = 4

	// MailboxSeconds is how long the mailbox of an invite is open.
	MailboxSeconds = 600
	// PostBytesMax bounds one post, and the note of an offer. What a guest sends
	// is within PreAuthBytesMax, too.
	PostBytesMax = 2048
	// PostsMax bounds the posts of each end of a mailbox.
	PostsMax = 4
	// MailboxesMax bounds the mailboxes of one cloud that are open at once, and
	// AccountMailboxesMax those of one account (busy).
	MailboxesMax        = 256
	AccountMailboxesMax = 4

	// DominatedDays is how long a cloud keeps versions that another dominates.
	DominatedDays = 30
)

// LimitID names a limit in the limits map of a welcome. Append only.
type LimitID uint64

// The limits that a cloud declares.
const (
	LimitMessageBytes LimitID = 1
	LimitPushRecords  LimitID = 2
	LimitPushBytes    LimitID = 3
	LimitPushWindow   LimitID = 4
	LimitChunkWindow  LimitID = 5
	LimitHave         LimitID = 6
	LimitRanges       LimitID = 7
	LimitRequests     LimitID = 8
	// LimitWalk is how many versions an answer to walk holds at most. A cloud that
	// does not declare it does not know walk.
	LimitWalk LimitID = 9
)

// Limits is what a cloud declares in its welcome. Unknown ids are ignored.
type Limits map[LimitID]uint64

// Declared returns those of l that are smaller than the protocol's own: what a
// welcome has to tell. LimitWalk is always told.
func (l Limits) Declared() Limits {
	own, said := DefaultLimits(), Limits{}
	for id, v := range l {
		if most, ok := own[id]; ok && (v < most || id == LimitWalk) {
			said[id] = v
		}
	}
	return said
}

// DefaultLimits returns the limits that this code keeps.
func DefaultLimits() Limits {
	return Limits{
		LimitMessageBytes: MessageBytesMax,
		LimitPushRecords:  PushRecordsMax,
		LimitPushBytes:    PushBytesMax,
		LimitPushWindow:   PushWindowMax,
		LimitChunkWindow:  ChunkWindowMax,
		LimitHave:         HaveMax,
		LimitRanges:       RangesMax,
		LimitRequests:     RequestsMax,
		LimitWalk:         BatchRecordsMax,
	}
}

// Walk returns how many versions an answer to walk holds at most; 0 if the cloud
// does not know walk.
func (l Limits) Walk() int { return int(min(l[LimitWalk], BatchRecordsMax)) }

// limitMinima are the smallest values a device accepts: a cloud that declares
// less can not take every version and chunk that a device may have to give.
var limitMinima = Limits{
	LimitMessageBytes: MessageBytesMax,
	LimitPushRecords:  1,
	LimitPushBytes:    64 * 1024,
	LimitPushWindow:   1,
	LimitChunkWindow:  1,
	LimitHave:         16,
	LimitRanges:       16,
	LimitRequests:     1,
}

// Get returns the declared limit, or the protocol's own when the cloud declared
// none or a larger one.
func (l Limits) Get(id LimitID) int {
	own := DefaultLimits()[id]
	if v, ok := l[id]; ok && v < own {
		return int(v)
	}
	return int(own)
}

// Check returns an *Error with CodeLimits if a declared limit is below the
// minimum that a device needs.
func (l Limits) Check() error {
	for id, least := range limitMinima {
		if v, ok := l[id]; ok && v < least {
			return errorf(CodeLimits, "limit %d is %d, below the minimum %d", id, v, least)
		}
	}
	return nil
}
