package cloudstore

import (
	"slices"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// StoredClaim is what a store holds of a replica.
type StoredClaim struct {
	Device seal.DeviceKey
	Token  syncproto.Token
}

// JudgeClaim decides on a claim (SPEC.md section "Claims"): held is nil when
// the store does not know the replica. The newest token is to be stored, in the
// same commit, if and only if the claim is accepted.
func JudgeClaim(held *StoredClaim, c syncproto.DoClaim) syncproto.ClaimState {
	switch {
	case held == nil && c.Last == syncproto.Token{}:
		return syncproto.ClaimAccepted
	case held == nil:
		return syncproto.ClaimUnknown
	case held.Device == c.Device && (held.Token == c.Last || slices.Contains(c.Pending, held.Token)):
		return syncproto.ClaimAccepted
	}
	return syncproto.ClaimStale
}
