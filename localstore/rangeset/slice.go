package rangeset

import (
	"slices"
	"sort"
)

// Items is a Set in memory: items in ascending order, each once.
type Items []Item

// NewItems sorts items, in place, into a Set.
func NewItems(items []Item) Items {
	slices.SortFunc(items, Item.Compare)
	return slices.Compact(items)
}

// Scan implements Set.
func (s Items) Scan(lower, upper Bound, visit func(Item) bool) error {
	from := sort.Search(len(s), func(i int) bool { return comparePrefix(s[i], lower) >= 0 })
	for _, it := range s[from:] {
		if len(upper) > 0 && comparePrefix(it, upper) >= 0 || !visit(it) {
			break
		}
	}
	return nil
}

// Digest returns the digest of the whole set.
func (s Items) Digest() Digest {
	var d Digest
	for _, it := range s {
		d.Add(it.Version)
	}
	return d
}
