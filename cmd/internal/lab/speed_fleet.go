package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"sidekeep/localstore/rangeset"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// fleetRate is how many edits a second the fleet makes, together.
const fleetRate = 3300

// fleetResult is what the fleet's process prints.
type fleetResult struct {
	Edits   int     `json:"edits"`
	Seconds float64 `json:"seconds"`
	Median  float64 `json:"median_ms"`
	P99     float64 `json:"p99_ms"`
}

// fleet measures many accounts that edit at once: from the moment an edit is due
// until the cloud has acknowledged it. The handsets are light: the session
// machine of a real one, without a database.
func (s *speedRun) fleet(ctx context.Context) error {
	s.say("%d accounts edit for %d s", s.o.Accounts, s.o.Seconds)
	r := s.row(fmt.Sprintf("fleet: %d accounts", s.o.Accounts), 0)
	cloud := meter{s.cloud.proc}
	cloud.resetRSS()
	cpu := cloud.cpu()
	out, err := s.run(ctx, roleFleet, s.cloud.url(), strconv.Itoa(s.o.Accounts), strconv.Itoa(s.o.Seconds))
	if err != nil {
		return err
	}
	var f fleetResult
	if err := json.Unmarshal(out, &f); err != nil {
		return err
	}
	r.Records, r.Seconds, r.Median, r.P99, r.Rate = f.Edits, f.Seconds, f.Median, f.P99, float64(f.Edits)/f.Seconds
	r.Cloud = party{CPU: cloud.cpu() - cpu, RSS: cloud.rss(), Disk: diskBytes(s.cloud.data)}
	return nil
}

// fleetMain plays the fleet: URL, accounts, seconds.
func fleetMain(args []string, stdout, stderr io.Writer) int {
	var accounts, seconds int
	if len(args) == 3 {
		accounts, _ = strconv.Atoi(args[1])
		seconds, _ = strconv.Atoi(args[2])
	}
	if accounts < 1 || seconds < 1 {
		fmt.Fprintln(stderr, "fleet: URL ACCOUNTS SECONDS")
		return 2
	}
	f := &fleet{url: args[0], period: time.Duration(accounts) * time.Second / fleetRate, open: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second+time.Duration(seconds)*time.Second)
	defer cancel()
	var work, ready sync.WaitGroup
	gate := make(chan struct{}, 16) // handshakes at once
	for range accounts {
		ready.Add(1)
		work.Go(func() {
			gate <- struct{}{}
			h, err := newFleetHandset(ctx, f)
			<-gate
			ready.Done()
			if err == nil {
				err = h.edit(ctx)
			}
			if err != nil {
				f.fail(err)
			}
		})
	}
	ready.Wait()
	f.begun = time.Now()
	f.end = f.begun.Add(time.Duration(seconds) * time.Second)
	close(f.open)
	work.Wait()
	if f.err != nil {
		fmt.Fprintln(stderr, "fleet:", f.err)
		return 1
	}
	result := fleetResult{Edits: len(f.ms), Seconds: time.Since(f.begun).Seconds(), Median: percentile(f.ms, 0.5), P99: percentile(f.ms, 0.99)}
	if err := json.NewEncoder(stdout).Encode(result); err != nil {
		fmt.Fprintln(stderr, "fleet:", err)
		return 1
	}
	return 0
}

// fleet is what its handsets share.
type fleet struct {
	url        string
	period     time.Duration // between the edits of one handset
	open       chan struct{} // closed when all are connected
	begun, end time.Time     // set before open is closed

	mu  sync.Mutex // guards what follows
	ms  []float64
	err error
}

func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// fleetHandset is an account of one record, its device, and its session.
type fleetHandset struct {
	f       *fleet
	conn    *ws.Conn
	machine *syncproto.DeviceSession
	keys    *seal.Keys
	replica record.ReplicaID
	counter uint64

	version *record.Version
	stored  record.VersionID // the cloud has acknowledged it
	next    *syncproto.MintedVersion
	live    bool
	acked   bool
}

// newFleetHandset makes an account and waits until its session is live.
func newFleetHandset(ctx context.Context, f *fleet) (*fleetHandset, error) {
	secret, err := seal.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		return nil, err
	}
	h := &fleetHandset{f: f, keys: id.Keys(), version: record.New()}
	rand.Read(h.replica[:])
	var token syncproto.Token
	var nonce syncproto.Nonce
	rand.Read(token[:])
	rand.Read(nonce[:])
	h.machine = syncproto.NewDeviceSession(syncproto.DeviceConfig{
		Identity: id, Origin: f.url, Create: true, Claim: syncproto.DeviceClaim{Replica: h.replica, Pending: []syncproto.Token{token}},
	})
	if h.conn, err = ws.Dial(ctx, f.url+"/sync", ws.DialOptions{ReadLimit: syncproto.MessageBytesMax}); err != nil {
		return nil, err
	}
	if err := h.handle(ctx, syncproto.DeviceOpened{Nonce: nonce}); err != nil {
		return nil, err
	}
	return h, h.read(ctx, func() bool { return h.live })
}

// edit edits at its pace until the end, and notes how long each took.
func (h *fleetHandset) edit(ctx context.Context) error {
	defer h.conn.CloseNow()
	<-h.f.open
	var ms []float64
	for due := h.f.begun.Add(mrand.N(h.f.period)); due.Before(h.f.end); due = due.Add(h.f.period) {
		time.Sleep(time.Until(due))
		line := fmt.Sprintf("NOTE:edited at %d\\, and the rest of the line is as long as notes often are", due.UnixNano())
		edits := []record.Edit{{Key: "NOTE", Line: []byte(line), Pos: 4}}
		if h.counter == 0 {
			edits = append(edits, record.Edit{Key: "FN", Line: []byte("FN:Somebody Important"), Pos: 0},
				record.Edit{Key: "TEL.k1", Line: []byte("TEL;TYPE=cell:+49-171-5550123"), Pos: 1},
				record.Edit{Key: "EMAIL.k1", Line: []byte("EMAIL;TYPE=home:somebody@example.org"), Pos: 2})
		}
		h.version = record.Set(h.version, edits, h)
		sealed, err := h.keys.SealVersion(record.Contacts, record.ID{1}, h.version)
		if err != nil {
			return err
		}
		header, err := seal.ParseHeader(sealed.Header)
		if err != nil {
			return err
		}
		h.next = &syncproto.MintedVersion{Ref: syncproto.NewRef(header.ID, header.VersionID), Order: int64(h.counter), Sealed: sealed}
		h.acked = false
		if err := h.handle(ctx, syncproto.DeviceChanged{}); err != nil {
			return err
		}
		if err := h.read(ctx, func() bool { return h.acked }); err != nil {
			return err
		}
		ms = append(ms, float64(time.Since(due).Microseconds())/1000)
	}
	h.f.mu.Lock()
	h.f.ms = append(h.f.ms, ms...)
	h.f.mu.Unlock()
	return nil
}

// Next mints the next dot.
func (h *fleetHandset) Next() record.Dot {
	h.counter++
	return record.Dot{Replica: h.replica, Counter: h.counter}
}

// read hands messages to the machine until done.
func (h *fleetHandset) read(ctx context.Context, done func() bool) error {
	for !done() {
		b, err := h.conn.Read(ctx)
		if err != nil {
			return err
		}
		m, err := syncproto.Decode(b)
		if err != nil {
			return err
		}
		if err := h.handle(ctx, syncproto.DeviceReceived{Message: m}); err != nil {
			return err
		}
	}
	return nil
}

// handle does what the machine asks for. The store is one record.
func (h *fleetHandset) handle(ctx context.Context, e syncproto.DeviceEvent) error {
	for e != nil {
		actions := h.machine.Handle(e)
		e = nil
		for _, action := range actions {
			switch a := action.(type) {
			case syncproto.DeviceSend:
				b, err := syncproto.Encode(a.Message)
				if err != nil {
					return err
				}
				if err := h.conn.Write(ctx, b); err != nil {
					return err
				}
			case syncproto.DeviceClose:
				return fmt.Errorf("the session ended: %w", a.Err)
			case syncproto.DeviceStateChanged:
				h.live = a.Live
			case syncproto.StoreBegin:
				e = syncproto.LocalBegan{Kinds: []syncproto.LocalKind{{Kind: record.Contacts}}}
			case syncproto.StoreMint:
				e = h.mint()
			case syncproto.StoreAcked:
				h.acked = true
			case syncproto.StoreOffer:
				e = syncproto.LocalOffered{}
			case syncproto.StoreMissing:
				e = syncproto.LocalMissing{}
			case syncproto.StoreStatements:
				e = syncproto.LocalStatements{Trusted: true}
			case syncproto.StoreTestify:
				e = syncproto.LocalTestified{}
			case syncproto.StoreCompare:
				e = syncproto.LocalCompared{}
			case syncproto.StorePick:
				e = syncproto.LocalPicked{}
			case syncproto.StoreOpen:
				e = syncproto.LocalOpened{}
			case syncproto.StoreSampled:
				e = syncproto.LocalSampled{}
			case syncproto.StoreCloud, syncproto.DeviceWelcomed, syncproto.DeviceProved, syncproto.DeviceSetTimer:
			default:
				return fmt.Errorf("a handset of the fleet was asked for %T", a)
			}
		}
	}
	return nil
}

// mint gives the version that waits, once.
func (h *fleetHandset) mint() syncproto.LocalMinted {
	m := syncproto.LocalMinted{Kind: record.Contacts}
	if h.next != nil {
		m.Versions = append(m.Versions, *h.next)
		h.stored = h.next.Ref.Version()
		h.next = nil
	}
	if h.counter > 0 {
		m.Own = rangeset.Digest{Count: 1, Sum: h.stored}
	}
	return m
}
