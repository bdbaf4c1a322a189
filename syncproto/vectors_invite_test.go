package syncproto

import (
	"testing"

	"sidekeep/syncproto/seal"
)

func makeInvite(t testing.TB) []vector {
	box := seal.Mailbox{0xab, 1, 2, 3}
	m := &vectorMaker{t: t, to: "cloud", state: "waits for hello"}
	m.message("enter", &Enter{Versions: []uint64{ProtocolVersion}, Mailbox: box}, taken("enter mailbox"))
	m.message("enter, more versions", &Enter{Versions: []uint64{ProtocolVersion, ProtocolVersion + 1}, Mailbox: box}, taken("enter mailbox"))
	m.message("enter, unknown version", &Enter{Versions: []uint64{7}, Mailbox: box}, closed(CodeVersion))
	m.message("enter, no versions", &Enter{Versions: []uint64{}, Mailbox: box}, closed(CodeBadMessage))
	m.filled("enter, more than 1 KiB", m.encode(&Enter{Versions: []uint64{ProtocolVersion}, Mailbox: box}), PreAuthBytesMax, closed(CodeTooLarge))
	m.message("post before enter", &Post{[]byte{1}}, closed(CodeOutOfOrder))
	m.message("offer before hello", &Offer{Mailbox: box, Note: []byte{1}}, closed(CodeOutOfOrder))
	m.state = "waits for auth"
	m.message("enter after hello", &Enter{Versions: []uint64{ProtocolVersion}, Mailbox: box}, closed(CodeOutOfOrder))
	m.state = "guest"
	m.message("guest's post", &Post{[]byte{1, 2, 3}}, taken("hand on"))
	m.message("guest's post, more than 1 KiB", &Post{make([]byte, PreAuthBytesMax)}, closed(CodeTooLarge))
	m.message("guest's bye", &Bye{}, closed(CodeNone))
	m.message("guest's offer", &Offer{Mailbox: box, Note: []byte{1}}, closed(CodeOutOfOrder))
	m.message("guest's hello", new(vectorHello(t)), closed(CodeOutOfOrder))
	m.state = "open"
	m.message("offer", &Offer{Mailbox: box, Note: []byte{1}}, taken("open mailbox"))
	m.message("offer, empty note", &Offer{Mailbox: box, Note: []byte{}}, closed(CodeBadMessage))
	m.message("offer, note too long", &Offer{Mailbox: box, Note: make([]byte, PostBytesMax+1)}, closed(CodeTooLarge))
	m.message("post", &Post{make([]byte, PostBytesMax)}, taken("hand on"))
	m.message("post, empty", &Post{[]byte{}}, closed(CodeBadMessage))
	m.message("shut", &Shut{}, taken("shut mailbox"))
	m.message("enter in a session", &Enter{Versions: []uint64{ProtocolVersion}, Mailbox: box}, closed(CodeOutOfOrder))

	m.to, m.state = "device", "working, mailbox offered"
	m.message("opened", &Opened{Seconds: 600}, taken("hand on"))
	m.message("opened, for too long", &Opened{Seconds: 601}, closed(CodeBadMessage))
	m.message("opened, for no time", &Opened{}, closed(CodeBadMessage))
	m.message("post of the guest", &Post{[]byte{1}}, taken("hand on"))
	m.message("shut, timeout", &Shut{CodeTimeout}, taken("hand on"))
	m.state = "working"
	m.message("opened without an offer", &Opened{Seconds: 600}, taken(""))
	m.message("post without an offer", &Post{[]byte{1}}, taken(""))
	m.state = "auth sent"
	m.message("post before welcome", &Post{[]byte{1}}, closed(CodeOutOfOrder))
	return m.all
}
