package endtoend

import (
	"sync"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// chunkLog follows the chunks that pass a proxy in both directions.
type chunkLog struct {
	t  *testing.T
	mu sync.Mutex // guards what follows

	stored map[record.ChunkID]bool // the cloud said so
	sent   map[record.ChunkID]int
	given  map[record.ChunkID]int
	again  int // sent though the cloud had said that it is stored
	cutUp  int // cut when so many were sent; 0 never
	cutAt  int // cut when so many were given; 0 never
}

func newChunkLog(t *testing.T) *chunkLog {
	return &chunkLog{t: t, stored: map[record.ChunkID]bool{}, sent: map[record.ChunkID]int{}, given: map[record.ChunkID]int{}}
}

func (l *chunkLog) up(m syncproto.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := m.(*syncproto.Chunk)
	if !ok {
		return true
	}
	id := chunkID(l.t, c)
	if l.stored[id] {
		l.again++
	}
	l.sent[id]++
	if len(l.sent) == l.cutUp {
		l.cutUp = 0
		return false
	}
	return true
}

func (l *chunkLog) down(m syncproto.Message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch m := m.(type) {
	case *syncproto.Stored:
		for _, id := range m.Chunks {
			l.stored[id] = true
		}
	case *syncproto.Chunk:
		l.given[chunkID(l.t, m)]++
		if len(l.given) == l.cutAt {
			l.cutAt = 0
			return false
		}
	}
	return true
}

func total(m map[record.ChunkID]int) (n int) {
	for _, c := range m {
		n += c
	}
	return n
}

func TestPictureOfFiveMegabytesResumesAtAChunk(t *testing.T) {
	const size = 5_000_000
	const chunks = (size + localstore.ChunkBytes - 1) / localstore.ChunkBytes
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	pa, pb := newProxy(t, cloud.Addr), newProxy(t, cloud.Addr)
	a := person.join(t, "a", cloud.URL, pa.through)
	b := person.join(t, "b", cloud.URL, pb.through)
	picture := a.picture("beach", size)

	up := newChunkLog(t)
	up.cutUp = chunks / 2
	pa.watch(up.up, up.down)
	a.run()
	a.waitLive()
	if up.cutUp != 0 {
		t.Fatal("the connection was not cut")
	}
	// What was under way at the cut was not stored, or its ack was lost: at most a window.
	if extra := total(up.sent) - chunks; up.again != 0 || extra < 0 || extra > syncproto.ChunkWindowMax {
		t.Errorf("%d chunks sent for %d, %d of them after they were stored", total(up.sent), chunks, up.again)
	}
	t.Logf("up: %d chunk messages for %d chunks, cut at %d", total(up.sent), chunks, chunks/2)

	down := newChunkLog(t)
	down.cutAt = chunks / 2
	pb.watch(down.up, down.down)
	b.run()
	b.waitLive()
	if down.cutAt != 0 {
		t.Fatal("the connection was not cut")
	}
	// What had arrived is kept. What was between the two ends comes again: at
	// most what one want asks for.
	if extra := total(down.given) - chunks; extra < 0 || extra > 16 {
		t.Errorf("%d chunks given for %d", total(down.given), chunks)
	}
	t.Logf("down: %d chunk messages for %d chunks, cut at %d", total(down.given), chunks, chunks/2)
	same(t, a, b)
	sameBytes(t, "picture on b", b.pictureBytes("beach"), picture)
}

func TestPictureReachesALiveDeviceThatWaitsForIt(t *testing.T) {
	cloud := cloudtest.Start(t, cloudtest.Options{})
	person := newAccount(t)
	a, b := person.join(t, "a", cloud.URL), person.join(t, "b", cloud.URL)
	a.run()
	b.run()
	a.waitLive()
	b.waitLive()
	picture := a.picture("now", 300_000)
	start := time.Now()
	deadline := start.Add(10 * time.Second)
	for {
		st, err := b.agent.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if st.Kinds[record.Pictures].Live == 1 && st.Blobs.Missing == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it did not arrive: %+v", st)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("arrived whole after %v", time.Since(start))
	sameBytes(t, "picture on b", b.pictureBytes("now"), picture)
	a.waitLive()
	b.waitLive()
	same(t, a, b)
}
