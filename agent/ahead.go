package agent

import (
	"context"

	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// loader reads and seals chunks for the loop, and those that will be asked for
// next while the loop waits for the cloud. Their ids name their content, so that
// what was sealed ahead can not be out of date.
type loader struct {
	store  *localstore.Store
	keys   *seal.Keys
	sealed map[record.ChunkID]seal.Sealed // ahead
	done   chan struct{}                  // closed when the goroutine that fills sealed has ended; nil without one
}

// wait returns when the work ahead has ended.
func (l *loader) wait() {
	if l.done != nil {
		<-l.done
		l.done = nil
	}
}

// load gives chunks, sealed, in their order; those that are gone or damaged are
// left out, and counted.
func (l *loader) load(ctx context.Context, ids []record.ChunkID) (out []syncproto.LoadedChunk, bad int, err error) {
	l.wait()
	for _, id := range ids {
		sealed, ready := l.sealed[id]
		if !ready {
			if sealed, ready, err = l.read(ctx, id); err != nil {
				return nil, 0, err
			}
		}
		delete(l.sealed, id)
		if ready {
			out = append(out, syncproto.LoadedChunk{ID: id, Sealed: sealed})
		} else {
			bad++
		}
	}
	return out, bad, nil
}

// ahead begins to read and seal chunks that load will be asked for. What fails
// now fails then.
func (l *loader) ahead(ctx context.Context, ids []record.ChunkID) {
	l.wait()
	if len(ids) == 0 {
		l.sealed = nil
		return
	}
	had := l.sealed
	l.sealed = make(map[record.ChunkID]seal.Sealed, len(ids))
	l.done = make(chan struct{})
	go func() {
		defer close(l.done)
		for _, id := range ids {
			sealed, ready := had[id]
			if !ready {
				sealed, ready, _ = l.read(ctx, id)
			}
			if ready {
				l.sealed[id] = sealed
			}
		}
	}()
}

// read reads and seals one chunk. It reports whether it is here, whole.
func (l *loader) read(ctx context.Context, id record.ChunkID) (sealed seal.Sealed, ok bool, err error) {
	err = l.store.EachChunk(ctx, []record.ChunkID{id}, func(_ record.ChunkID, plain []byte) error {
		if ok = plain != nil; ok {
			sealed = l.keys.SealKnownChunk(id, plain, syncproto.Buffer(len(plain)))
		}
		return nil
	})
	return sealed, ok, err
}
