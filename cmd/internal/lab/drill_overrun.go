package lab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

const (
	overrunPushBytes = 200_000
	overrunPlaces    = 4 // accounts that may write in bulk at once
	// overrunAheadMost is how many pushes of others may be acknowledged between a
	// live edit and its ack in the median: those that are being committed when it
	// comes, and those that go with it.
	overrunAheadMost = 16
)

// drillOverrun destroys the cloud while a crowd of accounts is connected. All come
// back at once and give their data back: one with a hundred times the data of the
// others, on many devices.
func drillOverrun(ctx context.Context, s *scene) error {
	accounts, each, big, devices, memory := 8, 12, 120, 24, 96
	if s.long {
		accounts, each, big, devices, memory = 60, 12, 1200, 50, 128
	}
	s.cloud = s.server("cloud")
	s.cloud.args = []string{"--memory", fmt.Sprintf("%dMiB", memory), "--reseeds", fmt.Sprint(overrunPlaces)}
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	o := &overrun{scene: s}
	for i := range accounts {
		c, err := newCaller()
		if err != nil {
			return err
		}
		crew := &crew{first: c, pushes: each, devices: 2}
		if i == 0 {
			crew.pushes, crew.devices = big, devices
		}
		for n := range crew.pushes {
			v, err := c.note(noteID(n), overrunPushBytes)
			if err != nil {
				return err
			}
			crew.sealed = append(crew.sealed, v)
		}
		o.crews = append(o.crews, crew)
	}
	// Real processes, and the cloud fails as it did in 2009.
	s.cloud.crash()
	if err := s.cloud.destroy(); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	s.say("the cloud came back empty; %d accounts with %d devices have %d pushes of %d kB to give back, one account %d of them",
		accounts, 2*(accounts-1)+devices, each*(accounts-1)+big, overrunPushBytes/1000, big)
	if err := o.run(ctx); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	s.say("the two handsets gave everything back meanwhile, and are in sync")
	peak, err := s.cloud.memory()
	if err != nil {
		return err
	}
	s.say("the cloud's memory: %d MiB at its peak, of %d MiB", peak>>20, memory)
	if peak > int64(memory)<<20 {
		return fmt.Errorf("the cloud took %d MiB, more than --memory %d MiB", peak>>20, memory)
	}
	return o.allStored(ctx)
}

// crew is an account of the crowd: its devices share the work.
type crew struct {
	first   *caller
	pushes  int
	devices int
	sealed  []syncproto.SealedVersion // its notes, made before it all begins
	left    chan int                  // numbers of those that are not acknowledged
	acked   atomic.Int64              // by the cloud
}

type overrun struct {
	*scene
	crews []*crew
	acks  atomic.Int64 // of reseed pushes of all crews

	mu    sync.Mutex // guards what follows
	waits []uint64   // seconds that devices were told to wait
	// For each acknowledged push of the crews but the first: how many of the first
	// were acknowledged since it was sent.
	behind []int64
}

// run lets all crews return at once, and a healthy account edit meanwhile.
func (o *overrun) run(ctx context.Context) error {
	most := 5 * time.Minute
	if o.long { // on a busy machine bulks last longer, and so do waits
		most = 15 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	living, stopLiving := context.WithCancel(ctx)
	defer stopLiving()
	live := make(chan error, 1)
	go func() { live <- o.live(ctx, living) }()
	var all sync.WaitGroup
	failed := make(chan error, 1000)
	for i, c := range o.crews {
		c.left = make(chan int, c.pushes)
		for n := range c.pushes {
			c.left <- n
		}
		for d := range c.devices {
			device := c.first
			if d > 0 {
				device = c.first.sibling()
			}
			seed := o.rand.Uint64()
			all.Go(func() {
				if err := o.giveBack(ctx, c, device, seed); err != nil {
					failed <- fmt.Errorf("account %d: %w", i, err)
				}
			})
		}
	}
	all.Wait()
	stopLiving()
	if err := <-live; err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
	}
	waits := o.waits
	if len(waits) == 0 {
		return errors.New("nobody was told to wait")
	}
	slices.Sort(waits)
	o.say("all is given back; devices were told to wait %d times, from %d s to %d s (median %d s), and obeyed",
		len(waits), waits[0], waits[len(waits)-1], waits[len(waits)/2])
	return o.shares()
}

// shares compares how many turns the account with the most had before a push of
// another was acknowledged. An account has at most its devices' windows before it,
// and the cloud gives each as many turns as the other, so that is how many the
// largest may have, and what was under way. All that the largest has under way may
// be acknowledged at once when this process reads late.
func (o *overrun) shares() error {
	slices.Sort(o.behind)
	n := len(o.behind)
	if n == 0 {
		return errors.New("no push of a small account was acknowledged")
	}
	median, worst := o.behind[n/2], o.behind[n-1]
	o.say("before each of %d pushes of the small accounts were acknowledged %d of the one with %d devices in the median, %d at most",
		n, median, o.crews[0].devices, worst)
	own := int64(o.crews[1].devices * syncproto.PushWindowMax)
	if median > 2*own {
		return fmt.Errorf("%d pushes of the largest account went before one of another in the median, %d may", median, 2*own)
	}
	if most := own + int64(o.crews[0].devices*syncproto.PushWindowMax); worst > most {
		return fmt.Errorf("%d pushes of the largest account went before one of another, %d may", worst, most)
	}
	return nil
}

// giveBack is one device of a crew: it takes notes of the account until none is
// left, and comes back when it was told to.
func (o *overrun) giveBack(ctx context.Context, c *crew, d *caller, seed uint64) error {
	defer d.leave()
	chance := rand.New(rand.NewPCG(seed, 0))
	for c.acked.Load() < int64(c.pushes) {
		pause := time.Duration(chance.IntN(300)) * time.Millisecond
		err := o.session(ctx, c, d)
		var wait *waitError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &wait):
			if wait.seconds == 0 || wait.seconds > 3600 {
				return fmt.Errorf("told to wait %d s", wait.seconds)
			}
			o.mu.Lock()
			o.waits = append(o.waits, wait.seconds)
			o.mu.Unlock()
			pause += time.Duration(wait.seconds) * time.Second
		case err == nil:
			pause = 50 * time.Millisecond // another device has the rest in hand
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// sentPush is a push that has no ack yet.
type sentPush struct {
	note int
	big  int64 // acks that the largest account had when it was sent
}

// session pushes with the window of the protocol until nothing is left to take.
func (o *overrun) session(ctx context.Context, c *crew, d *caller) error {
	var sent []sentPush
	defer func() {
		for _, p := range sent {
			c.left <- p.note
		}
	}()
	if err := d.enter(ctx, o.cloud); err != nil {
		return err
	}
	big := o.crews[0]
	for {
		for more := true; more && len(sent) < syncproto.PushWindowMax; {
			select {
			case n := <-c.left:
				sent = append(sent, sentPush{n, big.acked.Load()})
				if err := d.push(ctx, c.sealed[n]); err != nil {
					// A wait may stand before the end of the connection.
					if told := d.acked(ctx); told != nil {
						return told
					}
					return err
				}
			default:
				more = false
			}
		}
		if len(sent) == 0 {
			return nil
		}
		if err := d.acked(ctx); err != nil {
			return err
		}
		if c != big {
			o.mu.Lock()
			o.behind = append(o.behind, big.acked.Load()-sent[0].big)
			o.mu.Unlock()
		}
		sent = sent[1:]
		c.acked.Add(1)
		o.acks.Add(1)
	}
}

func noteID(n int) (id record.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	return id
}

// live edits one record of a healthy account without a pause until living ends,
// and counts what of others is acknowledged before each edit is.
func (o *overrun) live(ctx, living context.Context) error {
	d, err := newCaller()
	if err != nil {
		return err
	}
	defer d.leave()
	if err := d.enter(ctx, o.cloud); err != nil {
		return err
	}
	var ahead []int64
	var took []time.Duration
	for n := 0; living.Err() == nil; n++ {
		before, began := o.acks.Load(), time.Now()
		v, err := d.note(noteID(n%100), 100)
		if err != nil {
			return err
		}
		if err := d.push(ctx, v); err != nil {
			return fmt.Errorf("live edit: %w", err)
		}
		if err := d.acked(ctx); err != nil {
			return fmt.Errorf("live edit: %w", err)
		}
		if n := o.acks.Load() - before; o.acks.Load() > 0 {
			ahead, took = append(ahead, n), append(took, time.Since(began))
		}
		select {
		case <-living.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	if len(ahead) == 0 {
		return errors.New("there was no live edit during the reseed")
	}
	slices.Sort(ahead)
	slices.Sort(took)
	worst := ahead[len(ahead)-1]
	o.say("%d live edits of a healthy account meanwhile: before each were acknowledged %d pushes of others in the median, %d at most (%v in the median, %v at most)",
		len(ahead), ahead[len(ahead)/2], worst, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if median := ahead[len(ahead)/2]; median > overrunAheadMost {
		return fmt.Errorf("%d pushes of others were acknowledged before a live edit, %d may be", median, overrunAheadMost)
	}
	// Each device has two pushes under way: those may all be before it, but not
	// those that come later.
	if under := int64(2 * (o.crews[0].devices + 2*overrunPlaces)); worst > 2*under {
		return fmt.Errorf("%d pushes of others were acknowledged before a live edit; %d are under way at once", worst, under)
	}
	return nil
}

// allStored compares what the cloud reports with what was acknowledged.
func (o *overrun) allStored(ctx context.Context) error {
	var report struct {
		Accounts []struct {
			Account string
			Kinds   []struct {
				Kind     record.Kind
				Versions int
			}
		}
	}
	if err := o.cloud.ask(ctx, &report, "report"); err != nil {
		return err
	}
	held := map[string]int{}
	for _, a := range report.Accounts {
		for _, k := range a.Kinds {
			if k.Kind == record.Notes {
				held[a.Account] = k.Versions
			}
		}
	}
	for i, c := range o.crews {
		// A push whose ack was lost is repeated, as another version of the note.
		if n := held[c.first.id.Account.String()]; n < c.pushes {
			return fmt.Errorf("the cloud holds %d notes of account %d, which has %d", n, i, c.pushes)
		}
	}
	o.say("the cloud holds all notes of all %d accounts", len(o.crews))
	return nil
}

// memory returns the most memory that the cloud's process had at once, in bytes.
func (s *server) memory() (int64, error) { return s.status("VmHWM:") }

// status returns a line of the process's status, which is in kB there, in bytes.
func (s *server) status(name string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.proc.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		var kB int64
		if rest, ok := strings.CutPrefix(line, name); ok {
			if _, err := fmt.Sscan(rest, &kB); err != nil {
				return 0, err
			}
			return kB << 10, nil
		}
	}
	return 0, fmt.Errorf("no %s in the status of the process", name)
}
