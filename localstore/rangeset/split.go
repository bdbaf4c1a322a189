package rangeset

const (
	partItems        = 16  // items a part should hold when a range is split
	partsMax         = 16  // parts of one range
	partsWorth       = 4   // fewer parts are not worth a round trip: list
	listFewItems     = 64  // listed if that is all that differs: a round trip costs more
	listCrowdedItems = 256 // listed at most, when splitting would not fit the message
)

// partsOf returns into how many parts a range of count items is split.
func partsOf(count uint64, most int) int {
	n := (count + partItems - 1) / partItems
	return int(min(max(n, 1), uint64(most)))
}

// digestOf sums set over [lower, upper).
func digestOf(set Set, lower, upper Bound) (Digest, error) {
	var d Digest
	err := set.Scan(lower, upper, func(it Item) bool {
		d.Add(it.Version)
		return true
	})
	return d, err
}

// listOf returns the first items of set in [lower, upper), at most limit, and
// the bound before the item that no longer fitted (nil if all did).
func listOf(set Set, lower, upper Bound, limit int) (items []Item, rest Bound, err error) {
	err = set.Scan(lower, upper, func(it Item) bool {
		if len(items) == limit {
			rest = between(items[len(items)-1], it)
			return false
		}
		items = append(items, it)
		return true
	})
	return items, rest, err
}

// splitOf cuts [lower, upper), which holds about count items, into parts of
// about equal count, each with its digest. It gives parts ranges, or fewer if
// the set holds fewer items, and always at least one.
func splitOf(set Set, lower, upper Bound, count uint64, parts int) ([]Range, error) {
	step := max((count+uint64(parts)-1)/uint64(parts), 1)
	ranges := make([]Range, 0, parts)
	var d Digest
	var last Item
	err := set.Scan(lower, upper, func(it Item) bool {
		if d.Count == step && len(ranges) < parts-1 {
			ranges = append(ranges, Range{Upper: between(last, it), Mode: Fingerprint, Digest: d})
			d = Digest{}
		}
		d.Add(it.Version)
		last = it
		return true
	})
	return append(ranges, Range{Upper: upper, Mode: Fingerprint, Digest: d}), err
}

// between returns the shortest bound above a and not above b. a must be below b.
func between(a, b Item) Bound {
	x, y := a.Bytes(), b.Bytes()
	n := 0
	for x[n] == y[n] {
		n++
	}
	return y[:n+1]
}
