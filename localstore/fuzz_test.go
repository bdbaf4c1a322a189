package localstore

import (
	"bytes"
	"errors"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// The columns of table record can hold anything: another program can write them.
func FuzzColumns(f *testing.F) {
	v := record.New()
	v.Vector[record.ReplicaID{1}] = 9
	v.Fields["FN"] = []record.Entry{{Dot: record.Dot{Replica: record.ReplicaID{1}, Counter: 3}, Pos: 8, Line: []byte("FN:a")}}
	v.Fields[record.KeyDeleted] = []record.Entry{{Dot: record.Dot{Replica: record.ReplicaID{1}, Counter: 9}, Seen: record.Vector{{1}: 3}}}
	fields := shown(record.Contacts, v)
	d, err := makeDocument(record.Contacts, fields)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.doc, d.par, []byte{}, encodeState(v, fields))
	f.Add(`{"N":["a",1,null,{"x":2}],"TEL.a":true,"":"x","!deleted":"1","A":null}`, `{"TEL.a":"item1.TEL;TYPE=\"a"}`, appendRaw(nil, &record.Field{Key: "N", Line: []byte("N:a;1"), Blob: &record.Blob{Size: 1, Chunks: make([]record.ChunkID, 1)}}), []byte{1, 0, 0})
	f.Add(`[1]`, `{`, []byte{9}, []byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 127})
	f.Fuzz(func(t *testing.T, doc, par string, raw, state []byte) {
		d := document{doc, par, raw}
		d.sanitise()
		lines, err := d.lines(record.Contacts)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v", err)
			}
			return
		}
		fields := make([]record.Field, len(lines))
		for i := range lines {
			fields[i] = lines[i].Field
			if err := checkKey(fields[i].Key); err != nil {
				t.Fatalf("key %q: %v", fields[i].Key, err)
			}
		}
		again, err := makeDocument(record.Contacts, fields)
		if err != nil {
			t.Fatal(err)
		}
		known, err := redrawn(record.Contacts, fields, &d, lines, nil)
		if err != nil || known.doc != again.doc || known.par != again.par || !bytes.Equal(known.raw, again.raw) {
			t.Fatalf("drawn with the lines it came from, the document is another: %v\n%v\n%v", err, known, again)
		}
		back, err := again.fields(record.Contacts)
		if err != nil || !sameFields(back, fields) {
			t.Fatalf("document does not give its fields back: %v\n%v\n%v", err, fields, back)
		}
		pim.ColumnsOf(record.Contacts, fields)
		if v, err := decodeState(state, fields); err == nil {
			if enc, err := record.Encode(v); err == nil {
				if v2, err := decodeState(encodeState(v, shown(record.Contacts, v)), shown(record.Contacts, v)); err != nil {
					t.Fatalf("state is not read back: %v", err)
				} else if enc2, err := record.Encode(v2); err != nil || string(enc) != string(enc2) {
					t.Fatalf("state changed: %v", err)
				}
			}
		}
	})
}
