package seal

import "math/bits"

// lengthBytes is the big-endian length that stands before a padded payload.
const lengthBytes = 3

const (
	padStep     = 32   // payloads up to padStepMax are padded to a multiple of it
	padStepMax  = 1024 // longer ones as Padmé has it
	padSmallest = 32
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

// pad frames a payload: its length, itself, zeros.
func pad(payload []byte) []byte {
	n := len(payload)
	b := make([]byte, lengthBytes+padded(n), lengthBytes+padded(n)+Overhead)
	b[0], b[1], b[2] = byte(n>>16), byte(n>>8), byte(n)
	copy(b[lengthBytes:], payload)
	return b
}

// unpad returns the payload of a frame that pad has made, and no other.
func unpad(b []byte) ([]byte, bool) {
	if len(b) < lengthBytes {
		return nil, false
	}
	n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	b = b[lengthBytes:]
	if n > len(b) || len(b) != padded(n) {
		return nil, false
	}
	for _, c := range b[n:] {
		if c != 0 {
			return nil, false
		}
	}
	return b[:n], true
}
