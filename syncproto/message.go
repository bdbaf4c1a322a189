package syncproto

import (
	"fmt"
	"sidekeep/localstore/record"
)

// Type is the number of a message on the wire. Append only.
type Type uint64

// The message types of version 1.
const (
	TypeHello     Type = 1
	TypeChallenge Type = 2
	TypeAuth      Type = 3
	TypeWelcome   Type = 4
	TypePush      Type = 5
	TypeAck       Type = 6
	TypePull      Type = 7
	TypeBatch     Type = 8
	TypeFetch     Type = 9
	TypeLive      Type = 10
	TypeProof     Type = 11
	TypeProve     Type = 12
	TypeRange     Type = 13
	TypeHave      Type = 14
	TypeNeed      Type = 15
	TypeChunk     Type = 16
	TypeStored    Type = 17
	TypeWant      Type = 18
	TypeAbsent    Type = 19
	TypeWait      Type = 20
	TypeError     Type = 21
	TypeBye       Type = 22
	TypeAside     Type = 23
	// The mailbox of an invite.
	TypeOffer  Type = 24
	TypeOpened Type = 25
	TypeEnter  Type = 26
	TypePost   Type = 27
	TypeShut   Type = 28
	// What is known about the account's devices.
	TypeStatements Type = 29
	// What a new device asks for. LimitWalk says that the cloud knows it.
	TypeWalk Type = 30
)

var typeNames = [...]string{"", "hello", "challenge", "auth", "welcome", "push", "ack", "pull", "batch", "fetch", "live", "proof",
	"prove", "range", "have", "need", "chunk", "stored", "want", "absent", "wait", "error", "bye", "aside",
	TypeOffer: "offer", TypeOpened: "opened", TypeEnter: "enter", TypePost: "post", TypeShut: "shut", TypeStatements: "statements", TypeWalk: "walk"}

// Known reports whether this version has the type.
func (t Type) Known() bool { return t < Type(len(typeNames)) && typeNames[t] != "" }

// String returns the message's name in SPEC.md.
func (t Type) String() string {
	if t.Known() {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint64(t))
}

// Message is one message of the protocol. Every implementation is a pointer to
// one of the structs of this package.
type Message interface {
	Type() Type
	// check returns an *Error if a field is missing, malformed or passes a limit.
	check() error
}

// newMessage returns an empty message of type t, or nil for an unknown type.
func newMessage(t Type) Message {
	switch t {
	case TypeHello:
		return new(Hello)
	case TypeChallenge:
		return new(Challenge)
	case TypeAuth:
		return new(Auth)
	case TypeWelcome:
		return new(Welcome)
	case TypePush:
		return new(Push)
	case TypeAck:
		return new(Ack)
	case TypePull:
		return new(Pull)
	case TypeBatch:
		return new(Batch)
	case TypeFetch:
		return new(Fetch)
	case TypeLive:
		return new(Live)
	case TypeProof:
		return new(Proof)
	case TypeProve:
		return new(Prove)
	case TypeRange:
		return new(Range)
	case TypeHave:
		return new(Have)
	case TypeNeed:
		return new(Need)
	case TypeChunk:
		return new(Chunk)
	case TypeStored:
		return new(Stored)
	case TypeWant:
		return new(Want)
	case TypeAbsent:
		return new(Absent)
	case TypeWait:
		return new(Wait)
	case TypeError:
		return new(ErrorMessage)
	case TypeBye:
		return new(Bye)
	case TypeAside:
		return new(Aside)
	case TypeOffer:
		return new(Offer)
	case TypeOpened:
		return new(Opened)
	case TypeEnter:
		return new(Enter)
	case TypePost:
		return new(Post)
	case TypeShut:
		return new(Shut)
	case TypeStatements:
		return new(Statements)
	case TypeWalk:
		return new(Walk)
	}
	return nil
}

// Epoch names one life of a cloud's storage: 16 random bytes. Sequences of
// different epochs can not be compared.
type Epoch [16]byte

// Token is one link of a replica's chain of claims: 16 random bytes, never all
// zero.
type Token [16]byte

// Nonce is the random contribution of one end to the handshake.
type Nonce [32]byte

// Seq is a place in the log of one account. The first is 1; 0 is before all.
type Seq uint64

// RequestID relates an answer to its request. The device counts from 1 up;
// batches that nobody asked for (live) carry 0.
type RequestID uint64

// KindState is what the cloud holds of one kind: the set of versions that no
// other dominates, counted and summed, as of the account's log at Head.
type KindState struct {
	Kind  record.Kind `cbor:"1,keyasint"`
	State uint64      `cbor:"2,keyasint,omitempty"` // KindOK or KindRestoring
	Count uint64      `cbor:"3,keyasint"`
	Sum   [16]byte    `cbor:"4,keyasint"`           // sum of the version ids, big-endian, mod 2^128
	Head  Seq         `cbor:"5,keyasint"`           // sequence of the kind's newest change
	Prev  Seq         `cbor:"6,keyasint,omitempty"` // in an ack: Head before this push
}

// The states of a kind.
const (
	KindOK        = 0
	KindRestoring = 1 // the cloud itself knows that it is not complete: prove nothing from it
)

func (k *KindState) check() error {
	if err := checkKind(k.Kind); err != nil {
		return err
	}
	if k.State > KindRestoring {
		return errorf(CodeBadMessage, "kind state %d", k.State)
	}
	if k.Prev > k.Head {
		return errorf(CodeBadMessage, "kind head before its previous one")
	}
	return nil
}

func checkKindStates(ks []KindState) error {
	if len(ks) > KindsMax {
		return errorf(CodeTooLarge, "%d kinds", len(ks))
	}
	seen := make(map[record.Kind]bool, len(ks))
	for i := range ks {
		if err := ks[i].check(); err != nil {
			return err
		}
		if seen[ks[i].Kind] {
			return errorf(CodeBadMessage, "kind named twice")
		}
		seen[ks[i].Kind] = true
	}
	return nil
}

func checkKind(k record.Kind) error {
	if len(k) > KindBytesMax {
		return errorf(CodeTooLarge, "kind of %d bytes", len(k))
	}
	if !k.Valid() {
		return errorf(CodeBadMessage, "not a kind")
	}
	return nil
}

func checkRequest(id RequestID) error {
	if id == 0 {
		return errorf(CodeBadMessage, "request id 0")
	}
	return nil
}
