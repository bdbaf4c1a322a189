package cloud

import (
	"errors"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// perform carries out one Do action and returns its answer.
func (c *session) perform(a syncproto.CloudAction) syncproto.CloudEvent {
	began := time.Now()
	name, ev, err := c.act(a)
	c.server.metrics.timed(name, began)
	if err == nil {
		return ev
	}
	var wait *waitError
	if errors.As(err, &wait) {
		c.server.metrics.waits.WithLabelValues("bulk").Inc()
		return syncproto.Refused{Seconds: seconds(wait.wait)}
	}
	code := syncproto.CodeOf(err)
	switch code {
	case syncproto.CodeRefused, syncproto.CodeUnknownAccount, syncproto.CodeBadMessage, syncproto.CodeBusy:
	case syncproto.CodeQuota:
		c.server.metrics.failures.WithLabelValues(code.String()).Inc()
		c.server.conf.Log.Warn("an account holds all that it may; --quota gives each more")
	default:
		c.server.metrics.failures.WithLabelValues(code.String()).Inc()
		c.server.conf.Log.Error("storage", "operation", name, "error", err)
	}
	return syncproto.Failed{Code: code}
}

// waitError says that an account has to come back later.
type waitError struct{ wait time.Duration }

func (e *waitError) Error() string { return "come back in " + e.wait.String() }

// store runs a write of bytes when it is the account's turn.
func (c *session) store(bytes int, write func() error) error {
	account := c.machine.Account()
	if wait := c.server.reseeds.write(account, bytes, time.Now()); wait > 0 {
		return &waitError{wait}
	}
	defer func() { c.server.reseeds.served(account, time.Now()) }()
	turn, err := c.server.committing.take(c.ctx, account, max(int64(bytes), commitBytesLeast), bytes)
	if err != nil {
		return err
	}
	defer turn.release()
	return write()
}

// reads takes the memory for an answer that is read from the store, until it was
// sent.
func (c *session) reads() (err error) {
	if c.answer == nil {
		c.answer, err = c.server.sending.take(c.ctx, c.machine.Account(), sendBytes, smallBytes)
	}
	return err
}

func (c *session) act(a syncproto.CloudAction) (name string, ev syncproto.CloudEvent, err error) {
	store := c.server.conf.Store
	switch a := a.(type) {
	case syncproto.DoTrust:
		ev, err = c.trust(a)
		return "trust", ev, err
	case syncproto.DoList:
		got, err := c.learn(a.Told)
		return "list", got, err
	case syncproto.DoClaim:
		ev, err = c.claim(a)
		return "claim", ev, err
	case syncproto.DoCommit:
		ev, err = c.commit(a)
		return "commit", ev, err
	case syncproto.DoReadLog:
		if err = c.reads(); err != nil {
			return "read log", nil, err
		}
		ev, err = store.ReadLog(c.ctx, c.machine.Account(), a.Kind, a.After, a.BytesMax)
		return "read log", ev, err
	case syncproto.DoWalk:
		if err = c.reads(); err != nil {
			return "walk", nil, err
		}
		ev, err = store.Walk(c.ctx, c.machine.Account(), a.Kind, a.After, a.RecordsMax, a.BytesMax)
		return "walk", ev, err
	case syncproto.DoFetch:
		if err = c.reads(); err != nil {
			return "fetch", nil, err
		}
		ev, err = store.Fetch(c.ctx, c.machine.Account(), a.Kind, a.Refs)
		return "fetch", ev, err
	case syncproto.DoProve:
		ev, err = store.Prove(c.ctx, c.machine.Account(), c.machine.Device(), c.machine.Replica(), a.Held, a.Recount)
		return "prove", ev, err
	case syncproto.DoSetAside:
		ev, err = c.setAside(a)
		return "set aside", ev, err
	case syncproto.DoAnswerRange:
		ev, err = c.answerRange(a)
		return "range", ev, err
	case syncproto.DoFindMissing:
		ids, err := store.Chunks().Missing(c.ctx, c.machine.Account(), a.Chunks)
		return "find chunks", syncproto.ChunksMissing{Chunks: ids}, err
	case syncproto.DoStoreChunks:
		bytes := 0
		for i := range a.Chunks {
			bytes += len(a.Chunks[i].Body)
		}
		err = c.store(bytes, func() error { return store.Chunks().Put(c.ctx, c.machine.Account(), a.Chunks) })
		if err == nil {
			c.server.metrics.chunks.WithLabelValues("in").Add(float64(len(a.Chunks)))
			for i := range a.Chunks {
				syncproto.Free(a.Chunks[i].Body)
			}
		}
		return "store chunks", syncproto.ChunksStored{}, err
	case syncproto.DoReadChunk:
		if err = c.reads(); err != nil {
			return "read chunk", nil, err
		}
		chunk, err := store.Chunks().Get(c.ctx, c.machine.Account(), a.ID)
		if chunk != nil {
			c.server.metrics.chunks.WithLabelValues("out").Inc()
		}
		return "read chunk", syncproto.ChunkRead{Chunk: chunk}, err
	case syncproto.DoOpenMailbox, syncproto.DoEnterMailbox, syncproto.DoPost, syncproto.DoShutMailbox:
		ev, err = c.mailbox(a)
		return "mailbox", ev, err
	}
	return "unknown", nil, errors.New("an action without a driver")
}

// claim ends older sessions of the replica, and only then claims: an
// older session can not write after a newer one was told what is here.
func (c *session) claim(a syncproto.DoClaim) (syncproto.CloudEvent, error) {
	if !c.server.hub.enter(c, a.Account, a.Replica) {
		return nil, &syncproto.Error{Code: syncproto.CodeBusy}
	}
	c.inHub = true
	got, err := c.server.conf.Store.Claim(c.ctx, a, c.server.hub.others(c, a.Account)...)
	if err != nil {
		return nil, err
	}
	if got.Statements, err = c.entered(); err != nil {
		return nil, err
	}
	got.Same = got.Same && got.Statements == a.Statements // another session may have brought some meanwhile
	verdict := [...]string{"accepted", "stale", "unknown"}[got.State]
	c.server.metrics.claims.WithLabelValues(verdict).Inc()
	return got, nil
}

func (c *session) commit(a syncproto.DoCommit) (syncproto.CloudEvent, error) {
	bytes := 0
	for i := range a.Versions {
		bytes += len(a.Versions[i].Header) + len(a.Versions[i].Body)
	}
	var got syncproto.Committed
	err := c.store(bytes, func() (err error) {
		got, err = c.server.conf.Store.Commit(c.ctx, c.machine.Account(), a.Versions)
		return err
	})
	if err != nil {
		return nil, err
	}
	var moved []record.Kind
	stored := 0
	for _, k := range got.Kinds {
		if k.Head > k.Prev {
			moved = append(moved, k.Kind)
		}
	}
	for _, s := range got.Seqs {
		if s > 0 {
			stored++
		}
	}
	if len(moved) > 0 {
		c.server.hub.moved(c, c.machine.Account(), moved)
	}
	v := c.server.metrics.versions
	v.WithLabelValues("stored").Add(float64(stored))
	v.WithLabelValues("rejected").Add(float64(len(got.Rejects)))
	v.WithLabelValues("known").Add(float64(len(a.Versions) - stored - len(got.Rejects)))
	return got, nil
}

func (c *session) setAside(a syncproto.DoSetAside) (syncproto.CloudEvent, error) {
	got, err := c.server.conf.Store.SetAside(c.ctx, c.machine.Account(), a.Kind, a.Refs)
	if err != nil {
		return nil, err
	}
	c.server.conf.Log.Warn("a device reported versions that do not open", "kind", string(a.Kind), "count", len(a.Refs))
	// The reporting session hears of it too: what came back may be new to it.
	c.server.hub.moved(nil, c.machine.Account(), []record.Kind{a.Kind})
	return got, nil
}

func (c *session) answerRange(a syncproto.DoAnswerRange) (syncproto.CloudEvent, error) {
	var answer rangeset.Message
	err := c.server.conf.Store.View(c.ctx, c.machine.Account(), a.Ask.Kind, func(set rangeset.Set) (err error) {
		answer, err = rangeset.Answer(set, a.Ask.Message())
		return err
	})
	if errors.Is(err, rangeset.ErrMessage) {
		return nil, &syncproto.Error{Code: syncproto.CodeBadMessage}
	}
	if err != nil {
		return nil, err
	}
	return syncproto.RangeAnswered{Answer: syncproto.NewRange(a.Ask.ID, a.Ask.Kind, answer)}, nil
}
