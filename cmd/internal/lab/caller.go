package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
	"sidekeep/syncproto/ws"
)

// caller is a device as far as a cloud can tell, without a database: it signs,
// seals and speaks. Thousands of them fit into the lab's own process.
type caller struct {
	id      *seal.Identity
	keys    *seal.Keys
	replica record.ReplicaID
	last    syncproto.Token
	counter uint64

	conn    *ws.Conn
	raw     net.Conn // below conn
	request syncproto.RequestID
}

// callerPatience is for one answer of a cloud that has much to do.
const callerPatience = 2 * time.Minute

// waitError is a cloud's wait.
type waitError struct{ seconds uint64 }

func (e *waitError) Error() string { return fmt.Sprintf("the cloud asks to wait %d s", e.seconds) }

// newCaller returns a device of a new account.
func newCaller() (*caller, error) {
	secret, err := seal.NewSecret(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := seal.NewIdentity(secret, rand.Reader)
	if err != nil {
		return nil, err
	}
	c := &caller{id: id, keys: id.Keys()}
	rand.Read(c.replica[:])
	return c, nil
}

// sibling returns another device of the same account.
func (c *caller) sibling() *caller {
	o := &caller{id: c.id, keys: c.keys}
	rand.Read(o.replica[:])
	return o
}

// enter opens a session. A cloud that says wait gives a *waitError.
func (c *caller) enter(ctx context.Context, s *server) error {
	var raw net.Conn
	dial := func(ctx context.Context, network, addr string) (_ net.Conn, err error) {
		raw, err = new(net.Dialer).DialContext(ctx, network, addr)
		return raw, err
	}
	conn, err := ws.Dial(ctx, s.url()+"/sync", ws.DialOptions{DialContext: dial})
	if err != nil {
		return err
	}
	c.leave()
	c.conn, c.raw = conn, raw
	var token syncproto.Token
	rand.Read(token[:])
	h := &syncproto.Hello{Versions: []uint64{syncproto.ProtocolVersion}, Account: c.id.Account, Device: c.id.Device(), Replica: c.replica,
		Last: c.last, Pending: []syncproto.Token{token}, Counter: c.counter, Create: true}
	rand.Read(h.Nonce[:])
	challenge, err := c.ask(ctx, h)
	if err != nil {
		return err
	}
	ch, ok := challenge.(*syncproto.Challenge)
	if !ok {
		return fmt.Errorf("the cloud answers a hello with %s", challenge.Type())
	}
	hello, err := syncproto.Encode(h)
	if err != nil {
		return err
	}
	said, err := syncproto.Encode(ch)
	if err != nil {
		return err
	}
	signature := c.id.Authenticate(seal.AuthInput{DeviceNonce: h.Nonce, CloudNonce: ch.Nonce, Account: h.Account, Device: h.Device,
		Replica: h.Replica, Token: token, Transcript: seal.Transcript(hello, said), Origin: s.url()})
	welcome, err := c.ask(ctx, &syncproto.Auth{Signature: [64]byte(signature), Chain: syncproto.NewLinks(c.id.Chain)})
	if err != nil {
		return err
	}
	w, ok := welcome.(*syncproto.Welcome)
	if !ok {
		return fmt.Errorf("the cloud answers auth with %s", welcome.Type())
	}
	if w.Claim != syncproto.ClaimAccepted {
		// The lab's cloud was emptied: another replica, as a handset does.
		rand.Read(c.replica[:])
		c.last = syncproto.Token{}
		return errors.New("the cloud does not know this replica")
	}
	c.last = token
	return nil
}

func (c *caller) leave() {
	if c.conn != nil {
		c.conn.CloseNow()
		c.conn = nil
	}
}

// ask sends a message and returns the next that comes.
func (c *caller) ask(ctx context.Context, m syncproto.Message) (syncproto.Message, error) {
	if err := c.send(ctx, m); err != nil {
		return nil, err
	}
	return c.next(ctx)
}

func (c *caller) send(ctx context.Context, m syncproto.Message) error {
	b, err := syncproto.Encode(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callerPatience)
	defer cancel()
	return c.conn.Write(ctx, b)
}

func (c *caller) next(ctx context.Context) (syncproto.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, callerPatience)
	defer cancel()
	b, err := c.conn.Read(ctx)
	if err != nil {
		return nil, err
	}
	m, err := syncproto.Decode(b)
	if err != nil {
		return nil, err
	}
	switch m := m.(type) {
	case *syncproto.Wait:
		return nil, &waitError{m.Seconds}
	case *syncproto.ErrorMessage:
		return nil, &syncproto.Error{Code: m.Code, Detail: "from the cloud"}
	}
	return m, nil
}

// note seals a note with a text of so many random bytes.
func (c *caller) note(id record.ID, bytes int) (syncproto.SealedVersion, error) {
	text := make([]byte, bytes)
	rand.Read(text)
	v := record.Set(record.New(), []record.Edit{{Key: "DESCRIPTION", Line: append([]byte("DESCRIPTION:"), text...)}}, c)
	s, err := c.keys.SealVersion(record.Notes, id, v)
	return syncproto.SealedVersion{Header: s.Header, Body: s.Body}, err
}

// Next implements record.Minter.
func (c *caller) Next() record.Dot {
	c.counter++
	return record.Dot{Replica: c.replica, Counter: c.counter}
}

// push sends a version without waiting for its ack.
func (c *caller) push(ctx context.Context, v syncproto.SealedVersion) error {
	c.request++
	return c.send(ctx, &syncproto.Push{ID: c.request, Versions: []syncproto.SealedVersion{v}})
}

// acked waits for the next ack.
func (c *caller) acked(ctx context.Context) error {
	m, err := c.next(ctx)
	if err != nil {
		return err
	}
	ack, ok := m.(*syncproto.Ack)
	if !ok {
		return fmt.Errorf("the cloud answers a push with %s", m.Type())
	}
	if len(ack.Rejects) > 0 {
		return fmt.Errorf("the cloud rejects a version: %s", ack.Rejects[0].Code)
	}
	return nil
}
