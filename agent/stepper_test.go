package agent

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// The trash is emptied only while every kind is proven equal to the cloud's (W6).
func TestTrashWaitsForProof(t *testing.T) {
	for _, proven := range []bool{false, true} {
		ctx := t.Context()
		secret, err := seal.NewSecret(bytes.NewReader(bytes.Repeat([]byte{7}, 64)))
		must(t, err)
		identity, err := seal.NewIdentity(secret, bytes.NewReader(bytes.Repeat([]byte{9}, 256)))
		must(t, err)
		store, err := localstore.Open(ctx, t.TempDir(), localstore.Options{Hasher: identity.Keys()})
		must(t, err)
		defer store.Close()
		claim, err := store.BeginClaim(ctx)
		must(t, err)
		must(t, store.ClaimAccepted(ctx, claim.Pending[0]))
		mint := func() {
			out, err := store.Mint(ctx, record.Notes, 0, 10, 1<<20, nil)
			must(t, err)
			must(t, store.Acked(ctx, []localstore.Ref{{ID: out[0].ID, VersionID: out[0].VersionID}}))
		}
		id := record.ID{1}
		must(t, store.Put(ctx, record.Notes, id, []record.Field{{Key: "SUMMARY", Line: []byte("SUMMARY:old")}}))
		mint()
		must(t, store.Delete(ctx, id))
		mint()
		must(t, store.Ran(ctx, 31*24*time.Hour))
		own, err := store.Digest(ctx, record.Notes)
		must(t, err)

		a, err := New(Config{Store: store, Identity: identity, CloudURL: "ws://127.0.0.1:1"})
		must(t, err)
		st, err := a.Step(ctx, false)
		must(t, err)
		receive := func(m syncproto.Message) {
			b, err := syncproto.Encode(m)
			must(t, err)
			st.Receive(b)
		}
		state := syncproto.KindState{Kind: record.Notes, Count: own.Count, Sum: own.Sum, Head: 2}
		if !proven {
			state.Count++ // there is something that is not here yet
		}
		receive(&syncproto.Challenge{Version: syncproto.ProtocolVersion, Nonce: syncproto.Nonce{2}})
		receive(&syncproto.Welcome{Epoch: syncproto.Epoch{1}, Head: 2, Kinds: []syncproto.KindState{state}, Limits: syncproto.DefaultLimits(), Time: 1})
		if n := len(st.Kinds()); n == 0 {
			_, _, local, remote := st.Done()
			t.Fatalf("no session: %v %v", local, remote)
		}
		for _, b := range st.Sent() { // the cloud takes what this device states
			m, err := syncproto.Decode(b)
			must(t, err)
			if push, ok := m.(*syncproto.Push); ok {
				stated, err := store.Digest(ctx, record.Witness)
				must(t, err)
				receive(&syncproto.Ack{ID: push.ID, Head: 3, Kinds: []syncproto.KindState{{Kind: record.Witness, Count: stated.Count, Sum: stated.Sum, Head: 3}}})
			}
		}
		st.Expire()
		if err := store.Undelete(ctx, id); errors.Is(err, localstore.ErrPurged) != proven {
			t.Errorf("proven: %v: undelete after the trash was to be emptied: %v", proven, err)
		}
		st.Close()
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
