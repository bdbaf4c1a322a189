package lab

import (
	"fmt"
	"sync"

	"sidekeep/localstore/record"
)

// ledger remembers, for records that one writer owns, which values were tried
// and which were acknowledged. Values of a record are numbered 1, 2, 3, ...; a
// write that was cut short may have happened or not, one that was acknowledged
// must stand until a later one does.
type ledger struct {
	mu      sync.Mutex
	entries map[string]*entry // by record id
}

type entry struct {
	kind      record.Kind
	tried     int  // the last number that was tried
	acked     int  // the last number that was acknowledged
	deleted   bool // the last try was a deletion
	deletedOK bool // and it was acknowledged
}

func newLedger() *ledger { return &ledger{entries: map[string]*entry{}} }

func (l *ledger) try(id string, kind record.Kind, number int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	if e == nil {
		e = &entry{kind: kind}
		l.entries[id] = e
	}
	e.tried = number
}

func (l *ledger) ack(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[id]
	e.acked = e.tried
}

func (l *ledger) tryDelete(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id].deleted = true
}

func (l *ledger) ackDelete(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries[id].deletedOK = true
}

// acknowledged counts the records with an acknowledged write.
func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.entries {
		if e.acked > 0 {
			n++
		}
	}
	return n
}

// found is what a handset shows of a record: its number, 0 if it is not there.
type found struct {
	number  int
	deleted bool
}

// lost returns what of the ledger is not as it must be on a handset: that of the
// writer (own), or another. What was made and deleted before a sync never
// leaves the handset that did both, so that another may not know it.
func (l *ledger) lost(shown map[string]found, own bool) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wrong []string
	for id, e := range l.entries {
		f, known := shown[id]
		switch {
		case !known && e.acked > 0 && (own || !e.deleted):
			wrong = append(wrong, fmt.Sprintf("%s %s is gone, write %d was acknowledged", e.kind, id, e.acked))
		case !known:
		case f.number < e.acked || f.number > e.tried:
			wrong = append(wrong, fmt.Sprintf("%s %s shows write %d, %d was acknowledged, %d was tried last", e.kind, id, f.number, e.acked, e.tried))
		case f.deleted && !e.deleted:
			wrong = append(wrong, fmt.Sprintf("%s %s is deleted, nobody did that", e.kind, id))
		case !f.deleted && e.deletedOK:
			wrong = append(wrong, fmt.Sprintf("%s %s is back, its deletion was acknowledged", e.kind, id))
		}
	}
	return wrong
}
