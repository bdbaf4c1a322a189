package model

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

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
	pushed map[syncproto.RequestID][]known // that wait for an acknowledgement
	moved  int                             // versions that went through, either way
	over   bool                            // the device's end
	asked  int                             // how often it asked again for pieces that the cloud lacks
}

// wantsMax is how often a session asks again for pieces of pictures: one that
// stays live would do so until somebody brings them.
const wantsMax = 20

var errCut = errors.New("the connection was cut")

// connect begins a session of a handset that has none.
func (h *handset) connect(once bool) error {
	c, err := h.w.cloud.server.Step()
	if err != nil {
		return err
	}
	d, err := h.agent.Step(h.w.ctx, once)
	if err != nil {
		return h.refused(err)
	}
	h.edited = false // a session begins with what there is
	h.link = &link{h: h, device: d, cloud: c, pushed: map[syncproto.RequestID][]known{}}
	return h.link.after(news{})
}

// after takes what an event of the device led to.
func (l *link) after(n news) error {
	h := l.h
	l.up = append(l.up, l.device.Sent()...)
	l.timers = append(l.timers, l.device.Timers()...)
	done, retry, local, remote := l.device.Done()
	if local != nil && !errors.Is(local, localstore.ErrForkLimit) {
		if !h.failing {
			return fmt.Errorf("%s: the store failed: %w", h.name, local)
		}
		h.w.counts["saw a full disk"]++
		n.aborted, n.partly = true, true
	}
	l.over = done
	if done && retry == syncproto.RetryAtOnce || errors.Is(remote, agent.ErrForked) {
		n.aborted = true
		h.w.counts["saw a fork"]++
		if !h.w.disaster {
			return fmt.Errorf("C4: %s forks, and no file was ever copied, put back or lost", h.name)
		}
	}
	if err := h.settled(n); err != nil {
		return err
	}
	return h.claims()
}

// news says what a message to the device tells it.
func (l *link) news(b []byte) news {
	n := news{versions: map[record.ID][]record.VersionID{}, acked: map[record.ID]record.Vector{}}
	m, err := syncproto.Decode(b)
	if err != nil {
		return n
	}
	switch m := m.(type) {
	case *syncproto.Batch:
		for _, it := range m.Items {
			o, err := l.h.w.keys.OpenVersion(seal.Sealed{Header: it.Header, Body: it.Body})
			if err == nil && l.h.w.ledger.versions[o.VersionID] != nil {
				n.versions[o.ID] = append(n.versions[o.ID], o.VersionID)
			}
		}
	case *syncproto.Ack:
		for i, k := range l.pushed[m.ID] {
			if !slices.ContainsFunc(m.Rejects, func(r syncproto.Reject) bool { return r.Index == uint64(i) }) {
				n.acked[k.id] = n.acked[k.id].Join(k.version.Vector)
			}
		}
	}
	return n
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
		return true, l.h.w.cloud.scan() // reading finds what is damaged
	})
	if l.h.edited && !l.over {
		steps = append(steps, func() (bool, error) { // the agent hears of the edit
			l.h.edited = false
			l.device.Handle(syncproto.DeviceChanged{})
			return true, l.after(news{})
		})
	}
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
		if t == syncproto.TimerWant {
			if l.asked++; l.asked > wantsMax {
				return false, nil
			}
		}
		l.timers = l.timers[1:]
		l.device.Handle(syncproto.DeviceTimer{Timer: t})
		return true, l.after(news{})
	}
	return false, nil
}

func (l *link) deliverUp() (bool, error) {
	b := l.up[0]
	l.up = l.up[1:]
	m, err := syncproto.Decode(b)
	if err != nil {
		return true, fmt.Errorf("%s sent what does not decode: %w", l.h.name, err)
	}
	pushed, err := l.pushes(m)
	if err != nil {
		return true, err
	}
	l.cloud.Receive(b)
	down := l.cloud.Sent()
	l.down = append(l.down, down...)
	c := l.h.w.cloud
	if _, ok := m.(*syncproto.Aside); ok {
		l.moved++
		return true, c.scan()
	}
	if _, push := m.(*syncproto.Push); !push || len(down) == 0 { // or the session was over
		return true, c.scan()
	}
	for _, b := range down {
		m, err := syncproto.Decode(b)
		if err != nil {
			return true, err
		}
		switch m := m.(type) {
		case *syncproto.Ack:
			if len(m.Rejects) > 0 {
				return true, fmt.Errorf("the cloud rejected what %s pushed: %+v", l.h.name, m.Rejects)
			}
		case *syncproto.ErrorMessage:
			switch {
			case m.Code == syncproto.CodeSuperseded:
				return true, c.scan()
			case c.failing: // it must have kept nothing
				l.h.w.counts["saw a full cloud"]++
				return true, c.committed(nil)
			}
			return true, fmt.Errorf("the cloud failed on what %s pushed: %v", l.h.name, m.Code)
		}
	}
	return true, c.committed(pushed)
}

// pushes lists what a message gives to the cloud.
func (l *link) pushes(m syncproto.Message) ([]known, error) {
	p, ok := m.(*syncproto.Push)
	if !ok {
		return nil, nil
	}
	var all []known
	for _, v := range p.Versions {
		h, err := seal.ParseHeader(v.Header)
		if err != nil {
			return nil, fmt.Errorf("%s pushed a bad header: %w", l.h.name, err)
		}
		if h.Kind == record.Witness {
			continue
		}
		k := l.h.w.ledger.versions[h.VersionID]
		if k == nil {
			return nil, fmt.Errorf("version %s of %s was pushed, and no device has it", short(h.VersionID[:]), name(h.ID))
		}
		all = append(all, *k)
		l.moved++
	}
	l.pushed[p.ID] = all
	return all, nil
}

func (l *link) deliverDown() (bool, error) {
	b := l.down[0]
	l.down = l.down[1:]
	n := l.news(b)
	for id, vids := range n.versions {
		for _, vid := range vids { // what a sample reads back is here already
			if here := l.h.rows.records[id].vid; here == nil || *here != vid {
				l.moved++
			}
		}
	}
	l.device.Receive(b)
	return true, l.after(n)
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
	err := l.after(news{})
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
		case h.failing:
			return moved, nil
		case retry == syncproto.RetryAtOnce:
		default:
			return moved, nil
		}
	}
	return moved, fmt.Errorf("%s: forks without end", h.name)
}
