package cloud_test

import (
	"testing"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

func TestPushPullLive(t *testing.T) {
	c := cloudtest.Start(t, cloudtest.Options{})
	a := newDevice(t).enter(c)
	id := record.ID{1}
	v1 := a.edit(record.New(), "FN:Ada")
	ack := a.push(a.seal(record.Contacts, id, v1))
	if len(ack.Rejects) > 0 || ack.Head != 1 || len(ack.Kinds) != 1 || ack.Kinds[0].Count != 1 || ack.Kinds[0].Prev != 0 || ack.Kinds[0].Head != 1 {
		t.Fatalf("ack %+v", ack)
	}

	b := a.sibling().enter(c)
	items, last := b.pull(record.Contacts, 0)
	if len(items) != 1 || last.Next != 1 || last.State == nil || *last.State != stateOf(ack, record.Contacts) {
		t.Fatalf("pulled %d items, %+v", len(items), last)
	}
	if o := b.open(items[0].Header, items[0].Body); o.ID != id || string(o.Version.Fields["FN"][0].Line) != "FN:Ada" {
		t.Fatalf("opened %+v", o)
	}

	b.send(&syncproto.Live{ID: b.next(), Kinds: []syncproto.Held{{Kind: record.Contacts, After: 1, Count: 1, Sum: last.State.Sum}}})
	if p := expect[*syncproto.Proof](b); len(p.Kinds) != 1 || p.Kinds[0].Count != 1 {
		t.Fatalf("proof %+v", p)
	}

	// One edit while live: one message up, one ack, one message down.
	v2 := a.edit(v1, "FN:Ada Lovelace")
	ack = a.push(a.seal(record.Contacts, id, v2))
	batch := expect[*syncproto.Batch](b)
	if batch.ID != 0 || len(batch.Items) != 1 || batch.Items[0].Seq != 2 || batch.Next != 2 || *batch.State != stateOf(ack, record.Contacts) {
		t.Fatalf("live batch %+v, ack %+v", batch, ack)
	}
}

// stateOf returns an ack's state of a kind as others see it.
func stateOf(ack *syncproto.Ack, kind record.Kind) syncproto.KindState {
	for _, k := range ack.Kinds {
		if k.Kind == kind {
			k.Prev = 0
			return k
		}
	}
	return syncproto.KindState{}
}
