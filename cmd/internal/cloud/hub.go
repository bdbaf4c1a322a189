package cloud

import (
	"maps"
	"slices"
	"sync"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// hub knows the sessions of each account.
type hub struct {
	mu    sync.Mutex
	rooms map[seal.Account]map[*session]record.ReplicaID
}

func newHub() *hub { return &hub{rooms: map[seal.Account]map[*session]record.ReplicaID{}} }

// supersedeGrace is how long an older session of a replica may take to say
// goodbye before its connection is cut.
const supersedeGrace = time.Second

// AccountSessionsMax bounds the sessions of one account at once.
const AccountSessionsMax = 64

// enter adds a session, after every older session of the same replica has ended.
// It reports false, and adds nothing, if the account has too many.
func (h *hub) enter(s *session, account seal.Account, replica record.ReplicaID) bool {
	for {
		h.mu.Lock()
		var older *session
		for o, r := range h.rooms[account] {
			if r == replica && o != s {
				older = o
			}
		}
		if older == nil && len(h.rooms[account]) >= AccountSessionsMax {
			h.mu.Unlock()
			return false
		}
		if older == nil {
			if h.rooms[account] == nil {
				h.rooms[account] = map[*session]record.ReplicaID{}
			}
			h.rooms[account][s] = replica
			h.mu.Unlock()
			return true
		}
		h.mu.Unlock()
		older.supersede()
	}
}

// others lists the replicas of the other sessions of an account.
func (h *hub) others(s *session, account seal.Account) (replicas []record.ReplicaID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for o, r := range h.rooms[account] {
		if o != s {
			replicas = append(replicas, r)
		}
	}
	return replicas
}

// leave takes a session out, and reports whether it was the account's last.
func (h *hub) leave(s *session, account seal.Account) (last bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.rooms[account], s)
	if len(h.rooms[account]) > 0 {
		return false
	}
	delete(h.rooms, account)
	return true
}

// moved tells the other sessions of an account that kinds have new versions.
func (h *hub) moved(from *session, account seal.Account, kinds []record.Kind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.rooms[account] {
		if s != from {
			s.hint.add(kinds)
		}
	}
}

// told gives statements to the other sessions of an account. Those whose device
// is trusted no more end.
func (h *hub) told(from *session, account seal.Account, added []seal.Statement, all *seal.Statements) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.rooms[account] {
		if s != from {
			s.hint.tell(added, all.Digest(), !all.Trust().Trusted(s.machine.Device()))
		}
	}
}

// accounts lists those that have a session.
func (h *hub) accounts() []seal.Account {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.rooms))
}

// movedAll tells all sessions of all accounts that the state of kinds changed.
func (h *hub) movedAll(kinds []record.Kind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, room := range h.rooms {
		for s := range room {
			s.hint.add(kinds)
		}
	}
}

// hint collects what moved. It holds each kind, and each statement, once, however
// slow the session is that reads it.
type hint struct {
	mu    sync.Mutex
	kinds map[record.Kind]bool
	said  syncproto.Moved // but for the kinds
	ready chan struct{}   // one slot
	ended chan struct{}   // closed when the session's device is trusted no more
}

func newHint() *hint {
	return &hint{kinds: map[record.Kind]bool{}, ready: make(chan struct{}, 1), ended: make(chan struct{})}
}

func (h *hint) add(kinds []record.Kind) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range kinds {
		h.kinds[k] = true
	}
	h.wake()
}

// tell adds statements, set being all that there are then.
func (h *hint) tell(added []seal.Statement, set seal.StatementsDigest, ended bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said.Statements, h.said.Set = append(h.said.Statements, added...), set
	if ended && !h.said.Ended {
		h.said.Ended = true
		close(h.ended)
	}
	h.wake()
}

func (h *hint) wake() {
	select {
	case h.ready <- struct{}{}:
	default:
	}
}

func (h *hint) take() syncproto.Moved {
	h.mu.Lock()
	defer h.mu.Unlock()
	said := h.said
	h.said.Statements = nil
	for k := range h.kinds {
		said.Kinds = append(said.Kinds, k)
	}
	clear(h.kinds)
	return said
}
