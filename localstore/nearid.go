package localstore

import (
	"math/bits"

	"sidekeep/localstore/record"
)

// nearBits is how many flipped bits make an id the damaged copy of another. Ids
// are 128 random bits: two of them are never this close by chance.
const nearBits = 2

// nearID reports whether one id is the other with a bit or two flipped in its
// text, as which a file keeps it.
func nearID(a, b record.ID) bool {
	if a == b {
		return false
	}
	s, t := a.String(), b.String()
	flipped := 0
	for i := 0; i < len(s) && flipped <= nearBits; i++ {
		flipped += bits.OnesCount8(s[i] ^ t[i])
	}
	return flipped <= nearBits
}

// ids reads the ids of all records.
func (c *session) ids() ([]record.ID, error) {
	var list []record.ID
	err := c.each(func(scan func(...any) error) error {
		var text string
		if err := scan(&text); err != nil {
			return err
		}
		id, err := record.ParseID(text)
		if err == nil {
			list = append(list, id)
		}
		return nil // of a damaged one its row tells
	}, "SELECT id FROM record")
	return list, err
}
