package syncproto

// SealedVersion is one version as the cloud holds it: the header it can read,
// and a body that it can not.
type SealedVersion struct {
	_      struct{} `cbor:",toarray"`
	Header []byte
	Body   []byte
}

func (s *SealedVersion) size() int { return len(s.Header) + len(s.Body) }

func checkSealed(header, body []byte) error {
	switch {
	case len(header) == 0 || len(body) == 0:
		return errorf(CodeBadMessage, "empty sealed version")
	case len(header) > HeaderBytesMax:
		return errorf(CodeTooLarge, "header of %d bytes", len(header))
	case len(body) > BodyBytesMax:
		return errorf(CodeTooLarge, "body of %d bytes", len(body))
	}
	return nil
}

// Push gives versions to the cloud, of any kinds, oldest need first.
type Push struct {
	ID       RequestID       `cbor:"1,keyasint"`
	Versions []SealedVersion `cbor:"2,keyasint"`
}

// Type returns TypePush.
func (*Push) Type() Type { return TypePush }

func (m *Push) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	if len(m.Versions) == 0 {
		return errorf(CodeBadMessage, "nothing pushed")
	}
	if len(m.Versions) > PushRecordsMax {
		return errorf(CodeTooLarge, "%d versions", len(m.Versions))
	}
	size := 0
	for i := range m.Versions {
		if err := checkSealed(m.Versions[i].Header, m.Versions[i].Body); err != nil {
			return err
		}
		size += m.Versions[i].size()
	}
	if len(m.Versions) > 1 && size > PushBytesMax {
		return errorf(CodeTooLarge, "push of %d bytes", size)
	}
	return nil
}

// Reject says that one version of a push was not stored, and why.
type Reject struct {
	Index uint64 `cbor:"1,keyasint"` // place in the push, from 0
	Code  Code   `cbor:"2,keyasint"`
}

// Ack answers a push: every version that is not rejected is durable in the
// cloud, or another that dominates it is.
type Ack struct {
	ID      RequestID   `cbor:"1,keyasint"`
	Head    Seq         `cbor:"2,keyasint"`
	Rejects []Reject    `cbor:"3,keyasint,omitempty"` // by ascending index
	Kinds   []KindState `cbor:"4,keyasint"`           // the kinds of the push, with Prev
}

// Type returns TypeAck.
func (*Ack) Type() Type { return TypeAck }

func (m *Ack) check() error {
	if err := checkRequest(m.ID); err != nil {
		return err
	}
	if len(m.Rejects) > PushRecordsMax {
		return errorf(CodeTooLarge, "%d rejects", len(m.Rejects))
	}
	for i, r := range m.Rejects {
		if r.Index >= PushRecordsMax || r.Code == CodeNone || i > 0 && r.Index <= m.Rejects[i-1].Index {
			return errorf(CodeBadMessage, "reject %d", i)
		}
	}
	return checkKindStates(m.Kinds)
}
