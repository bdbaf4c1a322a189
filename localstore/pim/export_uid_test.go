package pim

import (
	"bytes"
	"strings"
	"testing"

	"sidekeep/localstore/record"
)

// RFC 6350 section 6.7.9: VERSION comes immediately after BEGIN.
func TestAddedUIDStandsAfterVersion(t *testing.T) {
	fields := []record.Field{{Key: "VERSION", Line: []byte("VERSION:4.0")}, {Key: "FN", Line: []byte("FN:Ada")}, {Key: "NOTE", Line: []byte("NOTE:x")}}
	one := func(yield func(Item, error) bool) { yield(Item{ID: record.ID{2}, Fields: fields}, nil) }
	var out bytes.Buffer
	err := Export(&out, record.Contacts, one, ExportOptions{RecordID: func(record.Kind, string) record.ID { return record.ID{1} }})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:sidekeep-02") {
		t.Fatalf("%q", out.String())
	}
}
