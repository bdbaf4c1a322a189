package syncproto

import "sidekeep/localstore/record"

// Ref names one version of one record: record id, then version id.
type Ref [32]byte

// NewRef returns the reference to version v of record id.
func NewRef(id record.ID, v record.VersionID) Ref {
	var r Ref
	copy(r[:16], id[:])
	copy(r[16:], v[:])
	return r
}

// Record returns the record's id.
func (r Ref) Record() record.ID { return record.ID(r[:16]) }

// Version returns the version's id.
func (r Ref) Version() record.VersionID { return record.VersionID(r[16:]) }

func checkRefs(refs []Ref, most int) error {
	if len(refs) == 0 {
		return errorf(CodeBadMessage, "no versions named")
	}
	if len(refs) > most {
		return errorf(CodeTooLarge, "%d versions named", len(refs))
	}
	return nil
}

// Pull asks for the versions of a kind that came after a sequence.
type Pull struct {
	ID       RequestID   `cbor:"1,keyasint"`
	Kind     record.Kind `cbor:"2,keyasint"`
	After    Seq         `cbor:"3,keyasint"`
	BytesMax uint64      `cbor:"4,keyasint"` // of headers and bodies; one version is always sent
}

// Type returns TypePull.
func (*Pull) Type() Type { return TypePull }

func (m *Pull) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	return checkKind(m.Kind)
}

// Walk asks for the versions of a kind in the order of their references. A device
// that has nothing of a large kind takes it so: what comes together stands together
// in its indexes, of which then each page is written once and not once a batch.
type Walk struct {
	ID       RequestID   `cbor:"1,keyasint"`
	Kind     record.Kind `cbor:"2,keyasint"`
	After    Ref         `cbor:"3,keyasint,omitzero"` // the last that was given; zero at the beginning
	BytesMax uint64      `cbor:"4,keyasint"`          // as in Pull
}

// Type returns TypeWalk.
func (*Walk) Type() Type { return TypeWalk }

func (m *Walk) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	return checkKind(m.Kind)
}

// BatchItem is one version in the order of the account's log.
type BatchItem struct {
	_      struct{} `cbor:",toarray"`
	Seq    Seq
	Header []byte
	Body   []byte
}

// Batch carries versions of one kind: the answer to a pull, a walk or a fetch, or,
// with ID 0, what was committed while the session is live.
type Batch struct {
	ID    RequestID   `cbor:"1,keyasint"`
	Kind  record.Kind `cbor:"2,keyasint"`
	Items []BatchItem `cbor:"3,keyasint"`           // ascending sequences
	Next  Seq         `cbor:"4,keyasint,omitempty"` // everything of the kind up to here was given; 0 in answers to walk and fetch
	More  bool        `cbor:"5,keyasint,omitempty"` // pull again after Next, or walk again after Upto
	State *KindState  `cbor:"6,keyasint,omitempty"` // when nothing more follows a pull, a walk or live; as of the same snapshot
	Upto  Ref         `cbor:"7,keyasint,omitzero"`  // in an answer to walk, if more follows: everything up to here was given
}

// Type returns TypeBatch.
func (*Batch) Type() Type { return TypeBatch }

func (m *Batch) check() error {
	if err := checkKind(m.Kind); err != nil {
		return err
	}
	if len(m.Items) > BatchRecordsMax {
		return errorf(CodeTooLarge, "%d versions", len(m.Items))
	}
	size := 0
	for i := range m.Items {
		it := &m.Items[i]
		if it.Seq == 0 || i > 0 && it.Seq <= m.Items[i-1].Seq || m.Next > 0 && it.Seq > m.Next {
			return errorf(CodeBadMessage, "sequences out of order")
		}
		if err := checkSealed(it.Header, it.Body); err != nil {
			return err
		}
		size += len(it.Header) + len(it.Body)
	}
	if len(m.Items) > 1 && size > BatchBytesMax {
		return errorf(CodeTooLarge, "batch of %d bytes", size)
	}
	if m.More && m.State != nil {
		return errorf(CodeBadMessage, "a state, yet more follows")
	}
	if m.Upto != (Ref{}) && (!m.More || m.Next != 0) {
		return errorf(CodeBadMessage, "a walk that ends, or a pull, in the order of references")
	}
	if m.State != nil {
		if m.State.Kind != m.Kind {
			return errorf(CodeBadMessage, "state of another kind")
		}
		return m.State.check()
	}
	return nil
}

// Fetch asks for versions by name, as reconcile found them missing. The answer
// is one or more batches; what the cloud does not hold is left out.
type Fetch struct {
	ID   RequestID   `cbor:"1,keyasint"`
	Kind record.Kind `cbor:"2,keyasint"`
	Refs []Ref       `cbor:"3,keyasint"`
}

// Type returns TypeFetch.
func (*Fetch) Type() Type { return TypeFetch }

func (m *Fetch) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	if err := checkKind(m.Kind); err != nil {
		return err
	}
	return checkRefs(m.Refs, FetchMax)
}

// Aside reports versions that do not open. The cloud sets them aside, and
// computes domination and digests without them; the answer is a Proof.
type Aside struct {
	ID   RequestID   `cbor:"1,keyasint"`
	Kind record.Kind `cbor:"2,keyasint"`
	Refs []Ref       `cbor:"3,keyasint"`
}

// Type returns TypeAside.
func (*Aside) Type() Type { return TypeAside }

func (m *Aside) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	if err := checkKind(m.Kind); err != nil {
		return err
	}
	return checkRefs(m.Refs, AsideMax)
}
