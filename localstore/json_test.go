package localstore

import (
	"reflect"
	"testing"
)

// FuzzPlainMembers holds that what plainMembers reads is what encoding/json reads.
func FuzzPlainMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"FN":"Ann"}`, `{"N":["a","b",""],"TEL.k1":"+45","NOTE":"one\ntwo\\ \"three\" \/"}`, `{"A":[]}`, `{"A":"x","A":"y"}`,
		`{"A":null}`, `{"A":1}`, `{"A":{"B":"c"}}`, `{"A":["b",["c"]]}`, `{"A":"\u00e6"}`, `{"Æ":"ø"}`, `{ "A" : "b" }`,
		`{"A":"b",}`, `{"A":["b",]}`, `{"A":"b"`, `{"A":"b"}}`, `{"A":"b\"}`, `{"A"}`, `{,}`, `{"A":"` + "\xff" + `"}`, `{"A":"` + "\n" + `"}`, `[]`, ``, `{`, `{"A":"b"} {"C":"d"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fast, ok := plainMembers(text)
		if !ok {
			return
		}
		slow, err := anyMembers(text)
		if err != nil {
			t.Fatalf("plainMembers reads %q, encoding/json does not: %v", text, err)
		}
		if len(fast)+len(slow) > 0 && !reflect.DeepEqual(fast, slow) {
			t.Fatalf("%q: plainMembers reads %v, encoding/json %v", text, fast, slow)
		}
	})
}

// TestPlainMembersReadsOwn holds that what this package writes needs no more.
func TestPlainMembersReadsOwn(t *testing.T) {
	value := []any{"", "a\nb", `\"`, "æ\t\r"}
	text, err := appendValue([]byte(`{"K":`), value)
	must(t, err)
	list, ok := plainMembers(string(text) + "}")
	if !ok || !reflect.DeepEqual(list, []member{{"K", value}}) {
		t.Fatalf("%s is read as %v, %v", text, list, ok)
	}
}
