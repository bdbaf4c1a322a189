package localstore

import (
	"bytes"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// shown gives the fields of a version that a document holds, in line order.
// For most keys that is the value with the largest dot. The keys of a merge
// unit (the times of an event) are decided together: where two replicas wrote
// the unit, the replica of its largest dot wins for all its keys, and a key
// that it did not write is not shown. An edit of one key of a unit rewrites
// the whole unit (see diff), so that one replica's values belong together.
func shown(kind record.Kind, v *record.Version) []record.Field {
	winners := unitWinners(kind, v)
	fields := make([]record.Field, 0, len(v.Fields))
	for _, k := range v.Ordered() {
		if !documentKey(k.Key) {
			continue
		}
		e := &k.Entries[len(k.Entries)-1]
		if len(winners) > 0 {
			if w, ok := winners[pim.Unit(kind, k.Key)]; ok {
				if e = lastOf(k.Entries, w); e == nil {
					continue
				}
			}
		}
		fields = append(fields, record.Field{Key: k.Key, Line: e.Line, Blob: e.Blob})
	}
	return fields
}

// lastOf returns nil if the replica wrote none of the entries.
func lastOf(es []record.Entry, r record.ReplicaID) *record.Entry {
	for i := len(es) - 1; i >= 0; i-- {
		if es[i].Dot.Replica == r {
			return &es[i]
		}
	}
	return nil
}

// unitWinners gives, for each unit of several keys that replicas wrote
// concurrently, the replica of its largest dot. It is nil for a record without siblings.
func unitWinners(kind record.Kind, v *record.Version) map[string]record.ReplicaID {
	var winners map[string]record.ReplicaID
	for k, es := range v.Fields {
		if !record.IsFieldKey(k) || !severalWriters(es) {
			continue
		}
		if unit := pim.Unit(kind, k); hasMates(kind, v, k, unit) {
			if winners == nil {
				winners = map[string]record.ReplicaID{}
			}
			winners[unit] = record.ReplicaID{}
		}
	}
	if winners == nil {
		return nil
	}
	top := make(map[string]record.Dot, len(winners))
	for k, es := range v.Fields {
		if !record.IsFieldKey(k) {
			continue
		}
		unit := pim.Unit(kind, k)
		if _, ok := winners[unit]; !ok {
			continue
		}
		if d := es[len(es)-1].Dot; top[unit].Compare(d) < 0 {
			top[unit], winners[unit] = d, d.Replica
		}
	}
	return winners
}

func severalWriters(es []record.Entry) bool {
	for i := 1; i < len(es); i++ {
		if es[i].Dot.Replica != es[0].Dot.Replica {
			return true
		}
	}
	return false
}

func hasMates(kind record.Kind, v *record.Version, key, unit string) bool {
	for k := range v.Fields {
		if k != key && record.IsFieldKey(k) && pim.Unit(kind, k) == unit {
			return true
		}
	}
	return false
}

// conflictKeys gives the keys of a version whose values a person should
// compare: those with more than one distinct value, and those of a unit that
// are not shown. Bookkeeping keys are left out.
func conflictKeys(kind record.Kind, v *record.Version, fields []record.Field) []string {
	var keys []string
	for _, k := range v.Conflicts() {
		if !pim.NeverConflicts(k) {
			keys = append(keys, k)
		}
	}
	all := 0
	for k := range v.Fields {
		if record.IsFieldKey(k) {
			all++
		}
	}
	if len(fields) == all {
		return keys
	}
	in := make(map[string]bool, len(fields)+len(keys))
	for i := range fields {
		in[fields[i].Key] = true
	}
	for _, k := range keys {
		in[k] = true
	}
	for _, k := range v.Keys() {
		if !in[k] && documentKey(k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// siblings gives the distinct values of a key, the shown one first; its line is
// nil if the key is not shown.
func siblings(kind record.Kind, v *record.Version, key string, fields []record.Field) []Sibling {
	first := Sibling{Field: record.Field{Key: key}}
	for i := range fields {
		if fields[i].Key == key {
			first.Field = fields[i]
		}
	}
	list := []Sibling{first}
	for i := len(v.Fields[key]) - 1; i >= 0; i-- {
		e := &v.Fields[key][i]
		at := -1
		for j := range list {
			if bytes.Equal(list[j].Field.Line, e.Line) && list[j].Field.Blob.Equal(e.Blob) {
				at = j
			}
		}
		if at < 0 {
			at = len(list)
			list = append(list, Sibling{Field: record.Field{Key: key, Line: e.Line, Blob: e.Blob}})
		}
		if list[at].Replica == (record.ReplicaID{}) {
			list[at].Replica = e.Dot.Replica
		}
	}
	for i := range list {
		if list[i].Field.Line != nil {
			list[i].Value, _ = pim.Decode(kind, key, list[i].Field.Line)
		}
	}
	return list
}
