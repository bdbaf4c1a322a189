package syncproto

import "sidekeep/localstore/record"

// Held is a device's own account of one kind: how far it read, and the count
// and sum of the versions it holds.
type Held struct {
	Kind  record.Kind `cbor:"1,keyasint"`
	After Seq         `cbor:"2,keyasint,omitempty"` // Live only: the cursor
	Count uint64      `cbor:"3,keyasint"`
	Sum   [16]byte    `cbor:"4,keyasint"`
	// Lacking counts the versions of these that the device knows the cloud has
	// yet to be given.
	Lacking uint64 `cbor:"5,keyasint,omitempty"`
}

func checkHeld(hs []Held) error {
	if len(hs) > KindsMax {
		return errorf(CodeTooLarge, "%d kinds", len(hs))
	}
	seen := make(map[record.Kind]bool, len(hs))
	for _, h := range hs {
		if err := checkKind(h.Kind); err != nil {
			return err
		}
		if seen[h.Kind] {
			return errorf(CodeBadMessage, "kind named twice")
		}
		seen[h.Kind] = true
	}
	return nil
}

// Live asks to be sent what others commit after these cursors, from now on. A
// kind that is not named is followed from its beginning. The answer is a Proof,
// then batches with id 0 whenever there is something.
type Live struct {
	ID    RequestID `cbor:"1,keyasint"`
	Kinds []Held    `cbor:"2,keyasint"`
}

// Type returns TypeLive.
func (*Live) Type() Type { return TypeLive }

func (m *Live) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	return checkHeld(m.Kinds)
}

// Prove tells the cloud what the device holds and asks what the cloud holds.
// The cloud remembers it for its operator's report.
type Prove struct {
	ID    RequestID `cbor:"1,keyasint"`
	Kinds []Held    `cbor:"2,keyasint"`
}

// Type returns TypeProve.
func (*Prove) Type() Type { return TypeProve }

func (m *Prove) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	for _, h := range m.Kinds {
		if h.After != 0 {
			return errorf(CodeBadMessage, "a cursor in prove")
		}
	}
	return checkHeld(m.Kinds)
}

// Proof is what the cloud holds of every kind, from one snapshot.
type Proof struct {
	ID    RequestID   `cbor:"1,keyasint"`
	Head  Seq         `cbor:"2,keyasint"`
	Kinds []KindState `cbor:"3,keyasint"`
	// Lost names chunks that versions of the cloud refer to and that it does not
	// hold; a device that has one offers it again.
	Lost []record.ChunkID `cbor:"4,keyasint,omitempty"`
	// Devices tells of the account's other devices when they were last here. It
	// is the cloud's word: for a person, never a reason to do anything.
	Devices []DeviceSeen `cbor:"5,keyasint,omitempty"`
}

// DeviceSeen says when a session of a device last began, by the cloud's clock.
type DeviceSeen struct {
	Device [32]byte `cbor:"1,keyasint"`
	At     uint64   `cbor:"2,keyasint"` // seconds since 1970
}

// Type returns TypeProof.
func (*Proof) Type() Type { return TypeProof }

func (m *Proof) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	if len(m.Lost) > HaveMax {
		return errorf(CodeTooLarge, "%d lost chunks", len(m.Lost))
	}
	if len(m.Devices) > DevicesMax {
		return errorf(CodeTooLarge, "%d devices", len(m.Devices))
	}
	return checkKindStates(m.Kinds)
}
