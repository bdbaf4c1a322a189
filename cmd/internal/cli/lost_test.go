package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
)

// witness is a replica that states something.
type witness struct {
	id      record.ReplicaID
	counter uint64
}

func (o *witness) Next() record.Dot {
	o.counter++
	return record.Dot{Replica: o.id, Counter: o.counter}
}

// A device stated a write that no cloud gives: status says that the cloud
// withholds it, until a person calls it lost.
func TestCallLost(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	run := func(want int, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		if code := Main(append([]string{"--home", dir}, args...), strings.NewReader(""), &out, &errs); code != want {
			t.Fatalf("%s: exit code %d, want %d: %s", args, code, want, &errs)
		}
		return out.String(), errs.String()
	}
	state := func() (s statusJSON) {
		t.Helper()
		out, _ := run(ExitDone, "status", "--json")
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	run(ExitDone, "init", "--cloud", "ws://127.0.0.1:9")
	a := &app{home: dir}
	h, err := a.openHome()
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.openStore(t.Context(), h, nil)
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// What the witness of another replica looks like when it comes: SPEC.md section 20.
	keys, by := h.identity.Keys(), &witness{id: record.ReplicaID{7}}
	id := keys.RecordID(record.Witness, by.id.String())
	text := fmt.Sprintf(`WITNESS:{"v":1,"replica":%q,"device":%q,"name":"old phone","agent":"1","at":%d,"kinds":{},"seen":{%q:5}}`,
		by.id, h.identity.Device(), time.Now().Unix(), by.id)
	v := record.Set(record.New(), []record.Edit{{Key: "WITNESS", Line: []byte(text)}}, by)
	encoded, err := record.Encode(v)
	must(err)
	claim, err := s.BeginClaim(t.Context())
	must(err)
	must(s.ClaimAccepted(t.Context(), claim.Pending[len(claim.Pending)-1]))
	_, err = s.Apply(t.Context(), record.Witness, []localstore.Incoming{{ID: id, VersionID: keys.VersionID(record.Witness, id, encoded), Version: v}}, nil)
	must(err)
	lacking, err := s.CompareWitnesses(t.Context(), true)
	if err != nil || lacking != 1 {
		t.Fatalf("%d replicas are lacking, %v", lacking, err)
	}
	s.EndSession()
	must(s.Close())

	if st := state(); st.Trust.State != "withholds" || len(st.Trust.Withheld) != 1 || st.Trust.Withheld[0].Name != "old phone" {
		t.Errorf("before: %+v", st.Trust)
	}
	if out, _ := run(ExitDone, "status"); !strings.Contains(out, "the cloud withholds: old phone had seen") || !strings.Contains(out, "sidekeep sync --call-lost") {
		t.Errorf("status says %s", out)
	}
	if _, errs := run(ExitUnreachable, "sync", "--call-lost", "--timeout", "2s"); !strings.Contains(errs, "called lost: what 1 statement named") {
		t.Errorf("--call-lost says %s", errs)
	}
	if st := state(); st.Trust.State == "withholds" || len(st.Trust.Withheld) != 0 {
		t.Errorf("after: %+v", st.Trust)
	}
}
