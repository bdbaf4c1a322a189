package seal

import (
	"encoding/binary"
	"math/bits"
)

const (
	padStep     = 32   // payloads up to padStepMax are padded to a multiple of it
	padStepMax  = 1024 // longer ones as Padmé has it
	padSmallest = 32
	padHeadMax  = 2 // bytes of the number that stands before a payload
)

// padded returns the length to which a payload of n bytes is padded: the next
// multiple of 32, or above 1 KiB Padmé (Nikitin and others, "Reducing metadata
// leakage from encrypted files", PETS 2019): of the length in binary only as
// many leading bits may be set as its exponent has.
func padded(n int) int {
	if n <= padStepMax {
		return max(padSmallest, (n+padStep-1)&^(padStep-1))
	}
	exponent := bits.Len(uint(n)) - 1
	mask := 1<<(exponent-bits.Len(uint(exponent))) - 1
	return (n + mask) &^ mask
}

// pad frames a payload: how many zeros follow it (a varint), itself, the zeros.
// It has room before it for the end of the nonce, and behind it for the tag:
// what it returns is the body that seal fills, without the tag. It is made in room
// if that is large enough.
func pad(payload, room []byte) []byte {
	n := len(payload)
	size := padded(n)
	if whole := padHeadMax + size + Overhead; cap(room) < whole {
		room = make([]byte, 0, whole)
	}
	b := room[:nonceTailBytes]
	b = binary.AppendUvarint(b, uint64(size-n))
	b = append(b, payload...)
	end := len(b) + size - n
	clear(b[len(b):end])
	return b[:end]
}

// unpad returns the payload of a frame that pad has made, and no other.
func unpad(b []byte) ([]byte, bool) {
	zeros, head := binary.Uvarint(b)
	if head <= 0 || head > 1 && b[head-1] == 0 || zeros > uint64(len(b)-head) {
		return nil, false
	}
	b = b[head:]
	n := len(b) - int(zeros)
	if len(b) != padded(n) {
		return nil, false
	}
	for _, c := range b[n:] {
		if c != 0 {
			return nil, false
		}
	}
	return b[:n], true
}
