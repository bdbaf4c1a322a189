package rangeset

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"

	"sidekeep/localstore/record"
)

// ItemBytes is the size of an item: a record id followed by a version id.
const ItemBytes = 32

// Item names one version of one record. Items are ordered as their 32 bytes.
type Item struct {
	ID      record.ID
	Version record.VersionID
}

// Compare orders items by record id, then version id.
func (it Item) Compare(o Item) int {
	if c := bytes.Compare(it.ID[:], o.ID[:]); c != 0 {
		return c
	}
	return bytes.Compare(it.Version[:], o.Version[:])
}

// Bytes returns the record id followed by the version id.
func (it Item) Bytes() []byte {
	return append(append(make([]byte, 0, ItemBytes), it.ID[:]...), it.Version[:]...)
}

// ItemFromBytes reads the 32 bytes of an item.
func ItemFromBytes(b []byte) (Item, error) {
	var it Item
	if len(b) != ItemBytes {
		return it, fmt.Errorf("item of %d bytes, want %d", len(b), ItemBytes)
	}
	copy(it.ID[:], b)
	copy(it.Version[:], b[len(it.ID):])
	return it, nil
}

// Bound lies between items: it is a prefix, 0 to 32 bytes, of an item's bytes.
// An item lies at or above the bound if its bytes compare so. As a lower bound
// the empty bound is the start of the set, as an upper bound its end.
type Bound []byte

// Contains reports whether lower <= it < upper.
func Contains(lower, upper Bound, it Item) bool {
	return comparePrefix(it, lower) >= 0 && (len(upper) == 0 || comparePrefix(it, upper) < 0)
}

// comparePrefix compares the item's bytes with b.
func comparePrefix(it Item, b Bound) int {
	n := len(it.ID)
	if len(b) <= n {
		return bytes.Compare(it.ID[:], b)
	}
	if c := bytes.Compare(it.ID[:], b[:n]); c != 0 {
		return c
	}
	return bytes.Compare(it.Version[:], b[n:])
}

// Digest proves a set of versions against faults: how many there are, and the
// sum of their version ids as big-endian numbers modulo 2^128.
type Digest struct {
	Count uint64
	Sum   [16]byte
}

// Add enters one version. The order in which versions are added does not matter.
func (d *Digest) Add(id record.VersionID) {
	lo, carry := bits.Add64(binary.BigEndian.Uint64(d.Sum[8:]), binary.BigEndian.Uint64(id[8:]), 0)
	hi, _ := bits.Add64(binary.BigEndian.Uint64(d.Sum[:8]), binary.BigEndian.Uint64(id[:8]), carry)
	binary.BigEndian.PutUint64(d.Sum[8:], lo)
	binary.BigEndian.PutUint64(d.Sum[:8], hi)
	d.Count++
}

// Remove takes out a version that was added before.
func (d *Digest) Remove(id record.VersionID) {
	lo, borrow := bits.Sub64(binary.BigEndian.Uint64(d.Sum[8:]), binary.BigEndian.Uint64(id[8:]), 0)
	hi, _ := bits.Sub64(binary.BigEndian.Uint64(d.Sum[:8]), binary.BigEndian.Uint64(id[:8]), borrow)
	binary.BigEndian.PutUint64(d.Sum[8:], lo)
	binary.BigEndian.PutUint64(d.Sum[:8], hi)
	d.Count--
}

// Equal reports whether both have the same count and sum.
func (d Digest) Equal(o Digest) bool { return d == o }

// String returns the sum as 32 lower-case hex digits; the count is printed beside it.
func (d Digest) String() string { return hex.EncodeToString(d.Sum[:]) }

// Set is one side's items. Both ends implement it over their database.
type Set interface {
	// Scan calls visit with the items in [lower, upper) in ascending order
	// until visit returns false. An empty upper bound is the end of the set.
	// All calls that serve one message should see one snapshot.
	Scan(lower, upper Bound, visit func(Item) bool) error
}
