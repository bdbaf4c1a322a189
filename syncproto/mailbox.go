package syncproto

import (
	"slices"

	"sidekeep/syncproto/seal"
)

// Offer asks the cloud to open a mailbox for an invite (SPEC.md section
// "Invites"). Only an authenticated device may; a new offer takes the place of
// the one before. The answer is opened, or shut.
type Offer struct {
	Mailbox seal.Mailbox `cbor:"1,keyasint"`
	Note    []byte       `cbor:"2,keyasint"` // handed to whoever enters
}

// Type returns TypeOffer.
func (*Offer) Type() Type { return TypeOffer }

func (m *Offer) check() error { return checkPost(m.Note) }

// Opened says that the mailbox is open, and for how long.
type Opened struct {
	Seconds uint64 `cbor:"1,keyasint"`
}

// Type returns TypeOpened.
func (*Opened) Type() Type { return TypeOpened }

func (m *Opened) check() error {
	if m.Seconds == 0 || m.Seconds > MailboxSeconds {
		return errorf(CodeBadMessage, "a mailbox for %d seconds", m.Seconds)
	}
	return nil
}

// Enter is the first message of a new device that has an invite's code: it has
// no account to say hello with. The answer is a post with the offer's note.
type Enter struct {
	Versions []uint64     `cbor:"1,keyasint"` // that the device speaks
	Mailbox  seal.Mailbox `cbor:"2,keyasint"`
}

// Type returns TypeEnter.
func (*Enter) Type() Type { return TypeEnter }

func (m *Enter) check() error {
	switch {
	case len(m.Versions) == 0:
		return errorf(CodeBadMessage, "no versions")
	case len(m.Versions) > VersionsMax:
		return errorf(CodeTooLarge, "%d versions", len(m.Versions))
	}
	return nil
}

func (m *Enter) speaks() bool { return slices.Contains(m.Versions, ProtocolVersion) }

// Post is what one end of a mailbox tells the other, sealed. The cloud hands it
// on as it is.
type Post struct {
	Sealed []byte `cbor:"1,keyasint"`
}

// Type returns TypePost.
func (*Post) Type() Type { return TypePost }

func (m *Post) check() error { return checkPost(m.Sealed) }

func checkPost(b []byte) error {
	switch {
	case len(b) == 0:
		return errorf(CodeBadMessage, "an empty post")
	case len(b) > PostBytesMax:
		return errorf(CodeTooLarge, "a post of %d bytes", len(b))
	}
	return nil
}

// Shut closes the mailbox of an authenticated device: said by the cloud, with
// the reason, or by the device, which withdraws its offer or refuses the guest.
type Shut struct {
	Code Code `cbor:"1,keyasint,omitempty"` // CodeNone: the other end left
}

// Type returns TypeShut.
func (*Shut) Type() Type { return TypeShut }

func (m *Shut) check() error { return nil }
