package model

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"sidekeep/agent"
	"sidekeep/cmd/internal/cloud"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// link is one connection between a handset and the cloud. Messages wait in it
// until they are delivered.
type link struct {
	h      *handset
	device *agent.Stepper
	cloud  *cloud.Stepper
	up     [][]byte
	down   [][]byte
	timers []syncproto.DeviceTimerID
	moved  int  // versions that went through, either way
	over   bool // the device's end
}

var errCut = errors.New("the connection was cut")

// connect begins a session of a handset that has none.
func (h *handset) connect(once bool) error {
	c, err := h.w.cloud.server.Step()
	if err != nil {
		return err
	}
	d, err := h.agent.Step(h.w.ctx, once)
	if err != nil {
		return err
	}
	h.link = &link{h: h, device: d, cloud: c}
	return h.link.after(nil)
}

// after takes what an event of the device led to.
func (l *link) after(in map[record.ID][]record.VersionID) error {
	l.up = append(l.up, l.device.Sent()...)
	l.timers = append(l.timers, l.device.Timers()...)
	done, retry, local, _ := l.device.Done()
	if local != nil && !errors.Is(local, localstore.ErrForkLimit) {
		return fmt.Errorf("%s: the store failed: %w", l.h.name, local)
	}
	l.over = done
	if done && retry == syncproto.RetryAtOnce {
		l.h.w.counts["forks"]++
	}
	if err := l.h.settled(in, done && retry == syncproto.RetryAtOnce); err != nil {
		return err
	}
	return l.h.claims()
}

// work delivers one message, or lets one side go on; it reports whether there
// was anything to do. pick chooses among what is possible.
func (l *link) work(pick func(n int) int) (bool, error) {
	type step func() (bool, error)
	var steps []step
	if len(l.up) > 0 && !l.cloud.Over() {
		steps = append(steps, l.deliverUp, l.deliverUp)
	}
	if len(l.down) > 0 && !l.over {
		steps = append(steps, l.deliverDown, l.deliverDown)
	}
	steps = append(steps, func() (bool, error) {
		if len(l.up) > 0 || !l.cloud.Work() {
			return false, nil
		}
		l.down = append(l.down, l.cloud.Sent()...)
		return true, nil
	})
	for len(steps) > 0 {
		i := pick(len(steps))
		if did, err := steps[i](); did || err != nil {
			return did, err
		}
		steps = append(steps[:i:i], steps[i+1:]...)
	}
	switch {
	case l.over: // the farewell is out
		l.h.drop()
		return false, nil
	case l.cloud.Over():
		return true, l.lose(0)
	case len(l.timers) > 0:
		t := l.timers[0]
		l.timers = l.timers[1:]
		l.device.Handle(syncproto.DeviceTimer{Timer: t})
		return true, l.after(nil)
	}
	return false, nil
}

func (l *link) deliverUp() (bool, error) {
	b := l.up[0]
	l.up = l.up[1:]
	pushed := map[record.ID][]record.VersionID{}
	push, aside := false, false
	m, err := syncproto.Decode(b)
	if err != nil {
		return true, fmt.Errorf("%s sent what does not decode: %w", l.h.name, err)
	}
	switch m := m.(type) {
	case *syncproto.Push:
		push = true
		for _, v := range m.Versions {
			h, err := seal.ParseHeader(v.Header)
			if err != nil {
				return true, fmt.Errorf("%s pushed a bad header: %w", l.h.name, err)
			}
			if h.Kind == record.Witness {
				continue
			}
			pushed[h.ID] = append(pushed[h.ID], h.VersionID)
			l.moved++
		}
	case *syncproto.Aside:
		aside = true
		l.moved++
	}
	l.cloud.Receive(b)
	down := l.cloud.Sent()
	l.down = append(l.down, down...)
	c := l.h.w.cloud
	if aside {
		return true, c.scan()
	}
	if !push {
		return true, nil
	}
	for _, b := range down {
		if m, err := syncproto.Decode(b); err == nil {
			if a, ok := m.(*syncproto.Ack); ok && len(a.Rejects) > 0 {
				return true, fmt.Errorf("the cloud rejected what %s pushed: %+v", l.h.name, a.Rejects)
			} else if e, ok := m.(*syncproto.ErrorMessage); ok {
				if e.Code == syncproto.CodeSuperseded {
					return true, c.scan()
				}
				return true, fmt.Errorf("the cloud failed on what %s pushed: %v", l.h.name, e.Code)
			}
		}
	}
	if len(down) == 0 {
		return true, nil // the session was over
	}
	return true, c.committed(pushed)
}

func (l *link) deliverDown() (bool, error) {
	b := l.down[0]
	l.down = l.down[1:]
	in := map[record.ID][]record.VersionID{}
	if m, err := syncproto.Decode(b); err == nil {
		if batch, ok := m.(*syncproto.Batch); ok {
			for _, it := range batch.Items {
				o, err := l.h.w.keys.OpenVersion(seal.Sealed{Header: it.Header, Body: it.Body})
				if err == nil && l.h.w.ledger.versions[o.VersionID] != nil {
					in[o.ID] = append(in[o.ID], o.VersionID)
					// What a sample reads back is here already.
					if r, ok := l.h.rows[o.ID]; !ok || r.vid == nil || *r.vid != o.VersionID {
						l.moved++
					}
				}
			}
		}
	}
	l.device.Receive(b)
	return true, l.after(in)
}

// lose cuts the connection after some of what was sent has arrived.
func (l *link) lose(arrives int) error {
	for ; arrives > 0 && len(l.up) > 0 && !l.cloud.Over(); arrives-- {
		if _, err := l.deliverUp(); err != nil {
			return err
		}
	}
	l.cloud.Lost()
	l.device.Lost(errCut)
	err := l.after(nil)
	l.h.link = nil
	l.device.Close()
	return err
}

// finish works until nothing is left to do or the session is over, or limit
// steps are done; 0 is no limit. It reports whether the limit was reached.
func (l *link) finish(rng *rand.Rand, limit int) (bool, error) {
	for i := 1; ; i++ {
		did, err := l.work(rng.IntN)
		if err != nil || !did || l.h.link != l {
			return false, err
		}
		if limit > 0 && i >= limit {
			return true, nil
		}
		if i > 20_000 {
			return false, fmt.Errorf("%s: a session does not come to rest", l.h.name)
		}
	}
}

// sync opens a session for once, and again after a fork, and works until it is
// over or limit steps are done: then the connection is cut. It returns the
// versions that moved.
func (h *handset) sync(rng *rand.Rand, limit, arrives int) (moved int, err error) {
	if h.link != nil {
		if err := h.link.lose(arrives); err != nil {
			return 0, err
		}
	}
	for range 12 {
		if err := h.connect(true); err != nil {
			return moved, err
		}
		l := h.link
		cut, err := l.finish(rng, limit)
		moved += l.moved
		if err != nil {
			return moved, err
		}
		if cut {
			return moved, l.lose(arrives)
		}
		done, retry, local, remote := l.device.Done()
		if !done && h.link == l {
			return moved, fmt.Errorf("%s: a session stands still", h.name)
		}
		switch {
		case errors.Is(local, localstore.ErrForkLimit), errors.Is(remote, agent.ErrForked):
			h.w.clock = h.w.clock.Add(day)
		case retry == syncproto.RetryAtOnce:
		default:
			return moved, nil
		}
	}
	return moved, fmt.Errorf("%s: forks without end", h.name)
}
