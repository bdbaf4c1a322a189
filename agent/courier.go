package agent

import (
	"context"
	"fmt"
	"io"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// Tell gives statements to the cloud for an identity that no store belongs to any
// more, in a session of its own that moves no data. Of c it needs Identity and
// what concerns the connection. Errors are those of SyncOnce.
func Tell(ctx context.Context, c Config, list ...seal.Statement) error {
	conn, t, err := dialGuest(ctx, c, syncproto.MessageBytesMax)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	// A replica that the cloud does not know, and a token that nobody gave: the
	// cloud stores nothing about it.
	claim := syncproto.DeviceClaim{Pending: make([]syncproto.Token, 1)}
	var nonce syncproto.Nonce
	for _, b := range [][]byte{claim.Replica[:], claim.Last[:], claim.Pending[0][:], nonce[:]} {
		if _, err := io.ReadFull(c.Rand, b); err != nil {
			return fmt.Errorf("draw a claim: %w", err)
		}
	}
	m := syncproto.NewDeviceSession(syncproto.DeviceConfig{Identity: c.Identity, Origin: t.origin, Claim: claim, Admission: c.Admission})
	for event := syncproto.DeviceEvent(syncproto.DeviceOpened{Nonce: nonce}); ; {
		for _, a := range m.Handle(event) {
			switch a := a.(type) {
			case syncproto.DeviceSend:
				if err := conn.send(ctx, a.Message); err != nil {
					return err
				}
			case syncproto.DeviceClose:
				return unserved(a.Err)
			default: // statements: the cloud tells why this device is not trusted
				return ErrRefused
			}
		}
		in, err := conn.receive(ctx)
		if err != nil {
			return err
		}
		if _, ok := in.(*syncproto.Welcome); ok {
			break
		}
		event = syncproto.DeviceReceived{Message: in}
	}
	said := &syncproto.Statements{}
	for _, st := range list {
		said.List = append(said.List, st.Marshal())
	}
	if err := conn.send(ctx, said); err != nil {
		return err
	}
	for { // its answer says that it is durable
		in, err := conn.receive(ctx)
		if err != nil {
			return err
		}
		switch m := in.(type) {
		case *syncproto.Statements:
			if !m.More {
				conn.leave()
				return nil
			}
		case *syncproto.ErrorMessage:
			return unserved(&syncproto.Error{Code: m.Code, Detail: "said by the cloud"})
		}
	}
}
