package seal

import (
	"crypto/sha256"
	"errors"
	"slices"
)

// StatementsMax bounds the statements of an account that devices issued, and
// once more those that the root issued: nobody but who has the words can use up
// the room for what the words say.
const StatementsMax = 512

// ErrStatementsFull is the error of a set that has no room for another statement.
var ErrStatementsFull = errors.New("too many statements about the devices of this account")

// Statements is what is known about the devices of one account: a set of
// verified statements that only grows. Every device and the cloud hold one; two
// that hold the same decide the same (Trust). It is not safe for use by more
// than one goroutine at a time.
//
// A statement belongs into the set if its issuer is the root, or a device that
// a chain of certificates leads to which the root has not cut; all others are
// void. So nobody but an owner's device can fill it.
type Statements struct {
	account Account
	all     map[StatementID]Statement
	trust   *Trust // of all; nil after a change
}

// NewStatements returns an empty set.
func NewStatements(account Account) *Statements {
	return &Statements{account: account, all: map[StatementID]Statement{}}
}

// Account returns the account that the set is about.
func (s *Statements) Account() Account { return s.account }

// Clone returns a copy that changes alone.
func (s *Statements) Clone() *Statements {
	c := NewStatements(s.account)
	for id, st := range s.all {
		c.all[id] = st
	}
	c.trust = s.trust
	return c
}

// Add verifies statements and takes up what is new, whatever their order, and
// returns that. A statement whose issuer is unknown, or was cut by the root, is
// left out: it changes nothing. The error is ErrStatement if one is not signed by
// its issuer or is of another account, and ErrStatementsFull; what is good of
// the rest was taken up then, too.
func (s *Statements) Add(statements ...Statement) (added []Statement, err error) {
	var waiting []Statement
	for _, st := range statements {
		if _, known := s.all[st.ID()]; known {
			continue
		}
		if verr := st.Verify(s.account); verr != nil {
			err = verr
			continue
		}
		waiting = append(waiting, st)
	}
	for {
		left := waiting[:0:0]
		for _, st := range waiting {
			if !s.Trust().standing(st.Issuer()) {
				left = append(left, st)
				continue
			}
			fresh, aerr := s.put(st)
			if aerr != nil {
				err = aerr
				continue
			}
			if fresh {
				added = append(added, st)
			}
		}
		if len(left) == len(waiting) || len(left) == 0 {
			return added, err
		}
		waiting = left
	}
}

// put takes up a verified statement of a standing issuer.
func (s *Statements) put(st Statement) (fresh bool, err error) {
	id := st.ID()
	if _, known := s.all[id]; known {
		return false, nil
	}
	root := st.Issuer() == DeviceKey(s.account)
	if s.count(root) >= StatementsMax {
		s.prune()
		if s.count(root) >= StatementsMax {
			return false, ErrStatementsFull
		}
	}
	s.all[id] = st
	s.trust = nil
	return true, nil
}

func (s *Statements) count(root bool) (n int) {
	for _, st := range s.all {
		if (st.Issuer() == DeviceKey(s.account)) == root {
			n++
		}
	}
	return n
}

// prune forgets what has no effect any more because the root cut its issuer.
func (s *Statements) prune() {
	t := s.Trust()
	for id, st := range s.all {
		if !t.standing(st.Issuer()) {
			delete(s.all, id)
		}
	}
}

// List returns the statements that have an issuer which the root has not cut,
// issuers before what they issued, otherwise in the order of their ids: Add
// takes them in any number of portions.
func (s *Statements) List() []Statement {
	t := s.Trust()
	type place struct {
		id    StatementID
		depth int
	}
	var places []place
	for id, st := range s.all {
		if d, ok := t.depth[st.Issuer()]; ok {
			places = append(places, place{id, d})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.depth != b.depth {
			return a.depth - b.depth
		}
		return compareIDs(a.id, b.id)
	})
	out := make([]Statement, len(places))
	for i, p := range places {
		out[i] = s.all[p.id]
	}
	return out
}

// Lacking returns what is in List and not in other's.
func (s *Statements) Lacking(other *Statements) []Statement {
	return slices.DeleteFunc(s.List(), func(st Statement) bool {
		_, known := other.all[st.ID()]
		return known
	})
}

// Has reports whether the set holds the statement.
func (s *Statements) Has(id StatementID) bool {
	_, ok := s.all[id]
	return ok
}

// StatementsDigest tells equal sets from others: the first half of the SHA-256
// of the ids of List in ascending order; zero for nothing.
type StatementsDigest [16]byte

// Digest returns the set's digest.
func (s *Statements) Digest() StatementsDigest {
	list := s.List()
	if len(list) == 0 {
		return StatementsDigest{}
	}
	ids := make([]StatementID, len(list))
	for i, st := range list {
		ids[i] = st.ID()
	}
	slices.SortFunc(ids, compareIDs)
	h := sha256.New()
	for _, id := range ids {
		h.Write(id[:])
	}
	return StatementsDigest(h.Sum(nil)[:len(StatementsDigest{})])
}
