package cloud

import (
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// mailboxes are the open mailboxes of invites. They live in memory only: each as
// long as the session that opened it, MailboxSeconds at most, for one guest.
// Nothing in them tells one account about another, and a mailbox that was used
// can not be told from one that never was.
type mailboxes struct {
	mu        sync.Mutex // guards what follows, and every mailbox
	open      map[seal.Mailbox]*mailbox
	ofAccount map[seal.Account]int
}

func newMailboxes() *mailboxes {
	return &mailboxes{open: map[seal.Mailbox]*mailbox{}, ofAccount: map[seal.Account]int{}}
}

// mailbox joins two sessions.
type mailbox struct {
	id      seal.Mailbox
	account seal.Account
	note    []byte
	owner   *mailEnd
	guest   *mailEnd // nil before somebody entered
	timer   *time.Timer
}

// mailEnd is a session's end of a mailbox. The zero value has no mailbox. Only
// the session's goroutine uses box; out is filled by the other end.
type mailEnd struct {
	box   *mailbox
	posts int
	// out holds all that can come: PostsMax posts and one shut.
	out chan syncproto.CloudEvent
}

func newMailEnd(b *mailbox) *mailEnd {
	return &mailEnd{box: b, out: make(chan syncproto.CloudEvent, syncproto.PostsMax+1)}
}

// offer opens a mailbox, or reports that there are too many.
func (ms *mailboxes) offer(account seal.Account, a syncproto.DoOpenMailbox, lives time.Duration) (*mailEnd, bool) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if len(ms.open) >= syncproto.MailboxesMax || ms.ofAccount[account] >= syncproto.AccountMailboxesMax || ms.open[a.ID] != nil {
		return nil, false
	}
	b := &mailbox{id: a.ID, account: account, note: a.Note}
	b.owner = newMailEnd(b)
	ms.open[a.ID] = b
	ms.ofAccount[account]++
	b.timer = time.AfterFunc(lives, func() { ms.shut(b, nil, syncproto.CodeTimeout) })
	return b.owner, true
}

// enter lets a guest into a mailbox. A second one shuts it for all: one of them
// is not who the code was meant for.
func (ms *mailboxes) enter(id seal.Mailbox) (*mailEnd, []byte, bool) {
	ms.mu.Lock()
	b := ms.open[id]
	if b == nil {
		ms.mu.Unlock()
		return nil, nil, false
	}
	if b.guest != nil {
		ms.mu.Unlock()
		ms.shut(b, nil, syncproto.CodeIntercepted)
		return nil, nil, false
	}
	defer ms.mu.Unlock()
	b.guest = newMailEnd(b)
	return b.guest, b.note, true
}

// post hands a post to the other end. Too many, or one before there is another
// end, shut the mailbox.
func (ms *mailboxes) post(e *mailEnd, sealed []byte) {
	ms.mu.Lock()
	b := e.box
	if ms.open[b.id] != b {
		ms.mu.Unlock()
		return
	}
	other := b.guest
	if e == b.guest {
		other = b.owner
	}
	e.posts++
	if other == nil || e.posts > syncproto.PostsMax {
		ms.mu.Unlock()
		ms.shut(b, nil, syncproto.CodeOutOfOrder)
		return
	}
	other.out <- syncproto.Posted{Sealed: sealed} // has room for all posts of this end
	ms.mu.Unlock()
}

// shut closes a mailbox and tells its ends, but for the one that knows.
func (ms *mailboxes) shut(b *mailbox, knows *mailEnd, code syncproto.Code) {
	ms.mu.Lock()
	defer ms.mu.Unlock()
	if ms.open[b.id] != b {
		return
	}
	delete(ms.open, b.id)
	if ms.ofAccount[b.account]--; ms.ofAccount[b.account] == 0 {
		delete(ms.ofAccount, b.account)
	}
	b.timer.Stop()
	for _, e := range []*mailEnd{b.owner, b.guest} {
		if e != nil && e != knows {
			e.out <- syncproto.MailboxShut{Code: code} // the one that fits beside the posts
		}
	}
}

// mailbox carries out what the machine asks of the session's mailbox.
func (c *session) mailbox(a syncproto.CloudAction) (syncproto.CloudEvent, error) {
	ms := c.server.mailboxes
	switch a := a.(type) {
	case syncproto.DoOpenMailbox:
		c.leaveMailbox()
		end, ok := ms.offer(c.machine.Account(), a, c.server.conf.MailboxTime)
		if !ok {
			return nil, &syncproto.Error{Code: syncproto.CodeBusy}
		}
		c.mail = end
		return syncproto.MailboxOpened{Seconds: max(1, uint64(c.server.conf.MailboxTime/time.Second))}, nil
	case syncproto.DoEnterMailbox:
		end, note, ok := ms.enter(a.ID)
		if !ok {
			return nil, &syncproto.Error{Code: syncproto.CodeRefused}
		}
		c.mail = end
		c.guard.authenticated() // the device that opened the mailbox vouches for one connection
		return syncproto.MailboxEntered{Note: note}, nil
	case syncproto.DoPost:
		if c.mail != nil {
			ms.post(c.mail, a.Sealed)
		}
	case syncproto.DoShutMailbox:
		c.leaveMailbox()
	}
	return syncproto.MailboxDone{}, nil
}

// leaveMailbox ends the session's mailbox, if it has one.
func (c *session) leaveMailbox() {
	if c.mail != nil {
		c.server.mailboxes.shut(c.mail.box, c.mail, syncproto.CodeNone)
		c.mail = nil
	}
}

// mailArrives is the channel of what comes through the session's mailbox; nil
// when it has none.
func (c *session) mailArrives() <-chan syncproto.CloudEvent {
	if c.mail == nil {
		return nil
	}
	return c.mail.out
}
