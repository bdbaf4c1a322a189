package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// Code is twelve digits that two devices of an account share exactly if they
// hold the same versions of every kind (SPEC.md section "Witnesses"): two people
// can compare it by voice, and no cloud can make it equal.
func Code(account seal.Account, kinds map[record.Kind]rangeset.Digest) string {
	b := append([]byte("sidekeep/v1/code\x00"), account[:]...)
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		d := kinds[k]
		if d.Count == 0 {
			continue
		}
		b = append(append(b, byte(len(k))), k...)
		b = binary.BigEndian.AppendUint64(b, d.Count)
		b = append(b, d.Sum[:]...)
	}
	sum := sha256.Sum256(b)
	n := binary.BigEndian.Uint64(sum[:]) % 1e12
	return fmt.Sprintf("%04d %04d %04d", n/1e8, n/1e4%1e4, n%1e4)
}
