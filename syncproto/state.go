package syncproto

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"sidekeep/syncproto/seal"
)

// StateDigest says in 16 bytes what a device holds of all kinds, how far it has
// read, and what it knows about devices. If the cloud stands there, too, a session
// has nothing to compare (SPEC.md section "The same state"). Zero says nothing.
type StateDigest [16]byte

// NewStateDigest returns the digest of a state. Of kinds count Kind, Count, Sum and
// Head: the cloud's own, or the cursor of a device. Their order does not matter.
func NewStateDigest(epoch Epoch, statements seal.StatementsDigest, kinds []KindState) StateDigest {
	kinds = slices.Clone(kinds)
	slices.SortFunc(kinds, func(a, b KindState) int { return compareKinds(a.Kind, b.Kind) })
	b := append([]byte("sidekeep/v1/state\x00"), epoch[:]...)
	b = append(b, statements[:]...)
	for _, k := range kinds {
		if k.Count == 0 && k.Head == 0 {
			continue // as good as unknown
		}
		b = append(append(b, byte(len(k.Kind))), k.Kind...)
		b = binary.BigEndian.AppendUint64(b, uint64(k.Head))
		b = binary.BigEndian.AppendUint64(b, k.Count)
		b = append(b, k.Sum[:]...)
	}
	sum := sha256.Sum256(b)
	return StateDigest(sum[:len(StateDigest{})])
}
