package cloud_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"testing"
	"time"

	"sidekeep/cmd/internal/cloud/cloudtest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// device is an account's device as far as a cloud can tell: it signs, seals and
// speaks, message by message.
type device struct {
	t       *testing.T
	id      *seal.Identity
	keys    *seal.Keys
	replica record.ReplicaID
	last    syncproto.Token
	pending []syncproto.Token
	counter uint64
	create  bool
	origin  string // "" means the cloud's address

	conn    *ws.Conn
	dialer  func(ctx context.Context, network, addr string) (net.Conn, error) // nil means the system's
	welcome *syncproto.Welcome
	request syncproto.RequestID
}

// newDevice returns a device of a new account.
func newDevice(t *testing.T) *device {
	t.Helper()
	secret, err := seal.NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := deviceOf(t, secret)
	d.create = true
	return d
}

func deviceOf(t *testing.T, secret seal.Secret) *device {
	t.Helper()
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, id: id, keys: id.Keys()}
	rand.Read(d.replica[:])
	return d
}

// sibling returns another device of the same account, certified by d.
func (d *device) sibling() *device {
	d.t.Helper()
	o := &device{t: d.t, keys: d.keys}
	id := *d.id
	id.Chain = slices.Clone(id.Chain)
	o.id = &id
	rand.Read(o.replica[:])
	return o
}

func (d *device) dial(c *cloudtest.Cloud) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if d.conn != nil {
		d.conn.CloseNow()
	}
	conn, err := ws.Dial(ctx, c.URL+"/sync", ws.DialOptions{DialContext: d.dialer})
	if err != nil {
		d.t.Fatal(err)
	}
	d.conn = conn
	d.t.Cleanup(func() { conn.CloseNow() })
}

// hello sends a hello with a fresh token.
func (d *device) hello() *syncproto.Hello {
	d.t.Helper()
	var token syncproto.Token
	rand.Read(token[:])
	d.pending = append(d.pending, token)
	h := &syncproto.Hello{Versions: []uint64{syncproto.ProtocolVersion}, Account: d.id.Account, Device: d.id.Device(), Replica: d.replica,
		Last: d.last, Pending: d.pending, Counter: d.counter, Create: d.create}
	rand.Read(h.Nonce[:])
	d.send(h)
	return h
}

// auth answers a challenge.
func (d *device) auth(h *syncproto.Hello, c *syncproto.Challenge, origin string) {
	d.t.Helper()
	hb, _ := syncproto.Encode(h)
	cb, _ := syncproto.Encode(c)
	sig := d.id.Authenticate(seal.AuthInput{DeviceNonce: h.Nonce, CloudNonce: c.Nonce, Account: h.Account, Device: h.Device,
		Replica: h.Replica, Token: h.Newest(), Transcript: seal.Transcript(hb, cb), Origin: origin})
	d.send(&syncproto.Auth{Signature: [64]byte(sig), Chain: syncproto.NewLinks(d.id.Chain)})
}

// connect opens a session and returns the cloud's answer to auth.
func (d *device) connect(c *cloudtest.Cloud) syncproto.Message {
	d.t.Helper()
	d.dial(c)
	h := d.hello()
	m := d.recv()
	challenge, ok := m.(*syncproto.Challenge)
	if !ok {
		return m
	}
	origin := d.origin
	if origin == "" {
		origin = c.URL
	}
	d.auth(h, challenge, origin)
	m = d.recv()
	if w, ok := m.(*syncproto.Welcome); ok {
		d.welcome = w
		if w.Claim == syncproto.ClaimAccepted {
			d.last, d.pending = h.Newest(), nil
		}
	}
	return m
}

// enter opens a session whose claim must hold.
func (d *device) enter(c *cloudtest.Cloud) *device {
	d.t.Helper()
	m := d.connect(c)
	w, ok := m.(*syncproto.Welcome)
	if !ok || w.Claim != syncproto.ClaimAccepted {
		d.t.Fatalf("no session: %T %+v", m, m)
	}
	return d
}

func (d *device) send(m syncproto.Message) {
	d.t.Helper()
	b, err := syncproto.Encode(m)
	if err != nil {
		d.t.Fatal(err)
	}
	d.sendRaw(b)
}

func (d *device) sendRaw(b []byte) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.conn.Write(ctx, b); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) recv() syncproto.Message {
	d.t.Helper()
	m, err := d.try(10 * time.Second)
	if err != nil {
		d.t.Fatalf("receive: %v", err)
	}
	return m
}

func (d *device) try(patience time.Duration) (syncproto.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b, err := d.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	return syncproto.Decode(b)
}

// expect receives a message of type M.
func expect[M syncproto.Message](d *device) M {
	d.t.Helper()
	m := d.recv()
	got, ok := m.(M)
	if !ok {
		d.t.Fatalf("received %s %+v, want %T", m.Type(), m, got)
	}
	return got
}

// closed checks that the cloud says code and closes.
func (d *device) closed(code syncproto.Code) {
	d.t.Helper()
	if e := expect[*syncproto.ErrorMessage](d); e.Code != code {
		d.t.Errorf("error %s, want %s", e.Code, code)
	}
	if _, err := d.try(10 * time.Second); err == nil || errors.Is(err, context.DeadlineExceeded) {
		d.t.Errorf("the connection is still open: %v", err)
	}
}

func (d *device) next() syncproto.RequestID {
	d.request++
	return d.request
}

// Next implements record.Minter.
func (d *device) Next() record.Dot {
	d.counter++
	return record.Dot{Replica: d.replica, Counter: d.counter}
}

// edit writes one field of a version.
func (d *device) edit(v *record.Version, line string) *record.Version {
	return record.Set(v, []record.Edit{{Key: "FN", Line: []byte(line)}}, d)
}

func (d *device) seal(kind record.Kind, id record.ID, v *record.Version) syncproto.SealedVersion {
	d.t.Helper()
	s, err := d.keys.SealVersion(kind, id, v)
	if err != nil {
		d.t.Fatal(err)
	}
	return syncproto.SealedVersion{Header: s.Header, Body: s.Body}
}

func (d *device) push(vs ...syncproto.SealedVersion) *syncproto.Ack {
	d.t.Helper()
	d.send(&syncproto.Push{ID: d.next(), Versions: vs})
	return expect[*syncproto.Ack](d)
}

// pull reads a kind from a cursor to its end.
func (d *device) pull(kind record.Kind, after syncproto.Seq) (items []syncproto.BatchItem, last *syncproto.Batch) {
	d.t.Helper()
	for {
		d.send(&syncproto.Pull{ID: d.next(), Kind: kind, After: after, BytesMax: syncproto.BatchBytesMax})
		b := expect[*syncproto.Batch](d)
		items = append(items, b.Items...)
		if !b.More {
			return items, b
		}
		after = b.Next
	}
}

func (d *device) open(header, body []byte) seal.Opened {
	d.t.Helper()
	o, err := d.keys.OpenVersion(seal.Sealed{Header: header, Body: body})
	if err != nil {
		d.t.Fatal(err)
	}
	return o
}
