package syncproto

import (
	"bytes"
	"testing"
)

// FuzzDecode: what decodes encodes to the same bytes, and nothing panics or
// takes more memory than a small multiple of the message.
func FuzzDecode(f *testing.F) {
	for _, m := range examples() {
		b, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0x82, 0x18, 0x63, 0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			if CodeOf(err) == CodeStorage {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		again, err := Encode(m)
		if err != nil {
			t.Fatalf("decodes, but does not encode: %v", err)
		}
		if m.Type() != TypeHello && !bytes.Equal(again, b) {
			t.Fatalf("%s has two encodings", m.Type())
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("encodes, but does not decode: %v", err)
		}
	})
}

// FuzzCloudSession feeds one message to an open session. Whatever it is, the
// session asks for one thing at a time and stays within its bounds.
func FuzzCloudSession(f *testing.F) {
	for _, m := range examples() {
		b, err := Encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(0))
		f.Add(b, uint8(2))
	}
	f.Fuzz(func(t *testing.T, b []byte, claim uint8) {
		s := NewCloudSession(CloudConfig{})
		s.state, s.hello, s.claim = cloudOpen, &Hello{}, ClaimState(claim%3)
		for range 6 {
			asked := 0
			for _, a := range s.Handle(Received{b}) {
				switch a := a.(type) {
				case SendToDevice:
					if _, err := Encode(a.Message); err != nil {
						t.Fatalf("an answer that breaks the protocol: %v", err)
					}
				case HangUp:
				default:
					asked++
				}
			}
			if asked > 1 {
				t.Fatal("two things are asked at once")
			}
			if asked == 1 {
				s.Handle(Failed{CodeStorage})
			}
			if len(s.wants)+len(s.fetches) > RequestsMax || len(s.storing) >= ChunkWindowMax {
				t.Fatal("a queue without bound")
			}
		}
	})
}
