package syncproto

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// The codec: one message is one CBOR array [type, body], in the deterministic
// encoding of RFC 8949 section 4.2.1. Decode refuses every other encoding by
// encoding again what it read, so that a message has one form only: no
// duplicate or unknown keys, no indefinite lengths, no tags, no long numbers.
// A hello is the exception: keys it does not know are dropped first, so that a
// later version can add some.

var encMode, decMode = modes()

func modes() (cbor.UserBufferEncMode, cbor.DecMode) {
	eo := cbor.CoreDetEncOptions()
	eo.TagsMd = cbor.TagsForbidden
	eo.NilContainers = cbor.NilContainerAsEmpty
	enc, err := eo.UserBufferEncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		MaxNestedLevels:   8,
		MaxArrayElements:  RangeItemsMax,
		MaxMapPairs:       2 * LimitsMax,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}

// Encode returns the bytes of m as they go into one binary websocket message,
// or an *Error if m passes a limit. The result shares nothing with m.
func Encode(m Message) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.Type(), err)
	}
	b, err := encode(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.Type(), err)
	}
	if len(b) > bytesMax(m.Type()) {
		return nil, fmt.Errorf("encode %s: %w", m.Type(), errorf(CodeTooLarge, "%d bytes", len(b)))
	}
	return b, nil
}

func encode(m Message) ([]byte, error) {
	buf := bytes.NewBuffer(Buffer(room(m)))
	buf.WriteByte(0x82)
	if t := m.Type(); t < 24 {
		buf.WriteByte(byte(t))
	} else {
		buf.Write([]byte{24, byte(t)})
	}
	if err := encMode.MarshalToBuffer(m, buf); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// What a message takes beside its sealed bytes, and each of its items.
const roomSmall, roomItem = 256, 24

// room is what a message takes, about: what is larger is copied as it grows.
func room(m Message) int {
	n := roomSmall
	switch m := m.(type) {
	case *Push:
		for i := range m.Versions {
			n += m.Versions[i].size() + roomItem
		}
	case *Batch:
		for i := range m.Items {
			n += len(m.Items[i].Header) + len(m.Items[i].Body) + roomItem
		}
	case *Chunk:
		n += len(m.Header) + len(m.Body)
	}
	return n
}

// buffers are what messages are encoded in to be compared.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// encodes reports whether body is what the encoding of m has.
func encodes(m Message, body []byte) bool {
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	buf.Grow(len(body))
	return encMode.MarshalToBuffer(m, buf) == nil && bytes.Equal(buf.Bytes(), body)
}

// Decode reads one message. It returns an *Error: CodeTooLarge when a limit is
// passed, CodeUnknownType, or CodeBadMessage for anything that Encode would not
// have written. What it returns shares nothing with b.
func Decode(b []byte) (Message, error) {
	if len(b) > MessageBytesMax {
		return nil, errorf(CodeTooLarge, "message of %d bytes", len(b))
	}
	t, body, err := splitEnvelope(b)
	if err != nil {
		return nil, err
	}
	m := newMessage(t)
	if m == nil {
		return nil, errorf(CodeUnknownType, "type %d", uint64(t))
	}
	if len(b) > bytesMax(t) {
		return nil, errorf(CodeTooLarge, "%s of %d bytes", t, len(b))
	}
	if t == TypeHello {
		if body, err = dropUnknownKeys(body, helloKeyMax); err != nil {
			return nil, err
		}
	}
	if c, ok := m.(*Chunk); !ok || !c.decode(body) {
		if err := decMode.Unmarshal(body, m); err != nil {
			return nil, errorf(CodeBadMessage, "%s: not the CBOR of SPEC.md", t)
		}
		if !encodes(m, body) {
			return nil, errorf(CodeBadMessage, "%s: not in the deterministic encoding", t)
		}
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("decode %s: %w", t, err)
	}
	return m, nil
}

// TypeOf returns the type in the envelope of b without reading the body, and
// false if there is no envelope.
func TypeOf(b []byte) (Type, bool) {
	t, _, err := splitEnvelope(b)
	return t, err == nil
}

func splitEnvelope(b []byte) (Type, []byte, error) {
	if len(b) < 3 || b[0] != 0x82 {
		return 0, nil, errorf(CodeBadMessage, "no envelope")
	}
	switch c := b[1]; {
	case c < 24:
		return Type(c), b[2:], nil
	case c == 24 && b[2] >= 24:
		return Type(b[2]), b[3:], nil
	}
	return 0, nil, errorf(CodeBadMessage, "message type is not a small number")
}

// dropUnknownKeys returns the map body without its keys above most.
func dropUnknownKeys(body []byte, most uint64) ([]byte, error) {
	var all map[uint64]cbor.RawMessage
	if err := decMode.Unmarshal(body, &all); err != nil {
		return nil, errorf(CodeBadMessage, "body is not a map with number keys")
	}
	known := 0
	for k := range all {
		if k > most {
			delete(all, k)
			continue
		}
		known++
	}
	if known == len(all) && len(all) == mapLen(body) {
		return body, nil // nothing dropped: the bytes as they came are checked
	}
	out, err := encMode.Marshal(all)
	if err != nil {
		return nil, errorf(CodeBadMessage, "body is not a map with number keys")
	}
	return out, nil
}

// mapLen returns the number of pairs in the head of a small map.
func mapLen(body []byte) int {
	switch {
	case len(body) > 0 && body[0]&0xe0 == 0xa0 && body[0]&0x1f < 24:
		return int(body[0] & 0x1f)
	case len(body) > 1 && body[0] == 0xb8:
		return int(body[1])
	}
	return -1
}

// bytesMax is the largest size of a message of type t.
func bytesMax(t Type) int {
	switch t {
	case TypeHello, TypeChallenge, TypeAuth, TypeEnter:
		return PreAuthBytesMax
	}
	return MessageBytesMax
}
