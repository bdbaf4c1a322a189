package localstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"sidekeep/localstore/record"
)

// The state column holds what the document does not: dots, vector, siblings,
// tombstones. Numbers are unsigned LEB128 varints.
//
//	state  = 0x01 vector keys
//	vector = count (replica[8] counter)*
//	keys   = count (len key count entry+)*            keys ascending, entries in dot order
//	entry  = replicaIndex counter flags pos [len line blob] [vector]
//	flags  = 1 rescued | 2 line and blob stand in the document | 4 seen vector follows
const stateFormat = 1

const (
	stateRescued = 1 << iota
	stateInDocument
	stateSeen
)

// encodeState gives the state of v beside a document that shows these fields.
func encodeState(v *record.Version, shown []record.Field) []byte {
	inDocument := fieldsByKey(shown)
	replicas := v.Vector.Replicas()
	b := append(make([]byte, 0, 256), stateFormat)
	b = appendVector(b, v.Vector)
	b = binary.AppendUvarint(b, uint64(len(v.Fields)))
	keys := make([]string, 0, len(v.Fields))
	for k := range v.Fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		es := v.Fields[k]
		b = binary.AppendUvarint(b, uint64(len(k)))
		b = append(b, k...)
		b = binary.AppendUvarint(b, uint64(len(es)))
		field := inDocument.get(k)
		for i := range es {
			replica, _ := slices.BinarySearchFunc(replicas, es[i].Dot.Replica, record.ReplicaID.Compare)
			b = appendEntry(b, &es[i], uint64(replica), field)
		}
	}
	return b
}

// fieldIndex finds fields by their keys.
type fieldIndex struct {
	fields []record.Field
	byKey  map[string]*record.Field // nil while they are few
}

const fewFields = 24

func fieldsByKey(fields []record.Field) fieldIndex {
	x := fieldIndex{fields: fields}
	if len(fields) > fewFields {
		x.byKey = make(map[string]*record.Field, len(fields))
		for i := range fields {
			x.byKey[fields[i].Key] = &fields[i]
		}
	}
	return x
}

// get returns nil for a key that no field has.
func (x *fieldIndex) get(key string) *record.Field {
	if x.byKey != nil {
		return x.byKey[key]
	}
	for i := len(x.fields) - 1; i >= 0; i-- {
		if x.fields[i].Key == key {
			return &x.fields[i]
		}
	}
	return nil
}

func appendEntry(b []byte, e *record.Entry, replica uint64, shown *record.Field) []byte {
	var flags byte
	if e.Rescued {
		flags |= stateRescued
	}
	if shown != nil && bytes.Equal(shown.Line, e.Line) && shown.Blob.Equal(e.Blob) {
		flags |= stateInDocument
	}
	if e.Seen != nil {
		flags |= stateSeen
	}
	b = binary.AppendUvarint(b, replica)
	b = binary.AppendUvarint(b, e.Dot.Counter)
	b = append(b, flags)
	b = binary.AppendUvarint(b, uint64(e.Pos))
	if flags&stateInDocument == 0 {
		b = binary.AppendUvarint(b, uint64(len(e.Line)))
		b = append(b, e.Line...)
		b = appendBlob(b, e.Blob)
	}
	if e.Seen != nil {
		b = appendVector(b, e.Seen)
	}
	return b
}

func appendVector(b []byte, v record.Vector) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	for _, r := range v.Replicas() {
		b = append(b, r[:]...)
		b = binary.AppendUvarint(b, v[r])
	}
	return b
}

// decodeState gives the version of a state and the fields of its document.
func decodeState(b []byte, fields []record.Field) (*record.Version, error) {
	inDocument := fieldsByKey(fields)
	p := parser{b: b}
	if f := p.take(1); p.bad || f[0] != stateFormat {
		return nil, fmt.Errorf("column state has an unknown form: %w", ErrDamaged)
	}
	v := &record.Version{Vector: p.vector()}
	replicas := v.Vector.Replicas()
	n := p.number()
	v.Fields = make(map[string][]record.Entry, min(n, uint64(len(p.b))))
	for ; n > 0 && !p.bad; n-- {
		key := string(p.bytes())
		field := inDocument.get(key)
		m := p.number()
		es := make([]record.Entry, 0, min(m, uint64(len(p.b))))
		for ; m > 0 && !p.bad; m-- {
			es = append(es, p.entry(replicas, field))
		}
		v.Fields[key] = es
	}
	if p.bad || len(p.b) > 0 {
		return nil, fmt.Errorf("column state: %w", ErrDamaged)
	}
	return v, nil
}

func (p *parser) vector() record.Vector {
	n := p.number()
	v := make(record.Vector, min(n, uint64(len(p.b)/9)))
	for ; n > 0 && !p.bad; n-- {
		var r record.ReplicaID
		copy(r[:], p.take(uint64(len(r))))
		v[r] = p.number()
	}
	return v
}

func (p *parser) entry(replicas []record.ReplicaID, field *record.Field) record.Entry {
	var e record.Entry
	if i := p.number(); i < uint64(len(replicas)) {
		e.Dot.Replica = replicas[i]
	} else {
		p.bad = true
	}
	e.Dot.Counter = p.number()
	flags := p.take(1)
	e.Pos = uint32(p.number())
	if p.bad {
		return e
	}
	e.Rescued = flags[0]&stateRescued != 0
	if flags[0]&stateInDocument != 0 {
		if field == nil { // the document lost it: found by the version id
			p.bad = true
			return e
		}
		e.Line, e.Blob = field.Line, field.Blob
	} else {
		e.Line = p.bytes()
		e.Blob = p.blob()
	}
	if flags[0]&stateSeen != 0 {
		e.Seen = p.vector()
	}
	return e
}
