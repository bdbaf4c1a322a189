package localstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sidekeep/localstore/record"
)

// TokensMax is how many unanswered claim tokens are kept and sent (C1).
const TokensMax = 8

// staleForksMax is how often a day a bare stale claim makes the device fork.
const staleForksMax = 3

// Why a device forks.
const (
	ForkStale   = "stale claim"        // the bare word of the cloud, of a claim or a counter: at most three times a day
	ForkUnknown = "unknown replica"    // the cloud does not know the replica
	ForkCounter = "higher own counter" // a version that opened has seen more than was minted here
	forkMoved   = "moved"              // the file is another one, or on another machine
)

// BeginClaim draws a token and commits it before it returns (C1). While no
// claim was ever accepted, or a fork is pending, it also draws a fresh replica
// id (C4). It ends the session's right to mint.
func (s *Store) BeginClaim(ctx context.Context) (c Claim, err error) {
	s.claimed.Store(false)
	s.sentMu.Lock()
	s.sent = map[record.VersionID]sentVersion{}
	s.sentMu.Unlock()
	err = s.write(ctx, false, func(t *tx) error {
		c, err = t.beginClaim()
		return err
	})
	if err != nil {
		return Claim{}, fmt.Errorf("begin claim: %w", err)
	}
	return c, nil
}

func (t *tx) beginClaim() (c Claim, err error) {
	known, err := t.metaBytes(metaReplica, c.Replica[:])
	if err != nil {
		return c, err
	}
	reason, err := t.metaText(metaFork)
	if err != nil {
		return c, err
	}
	counter, err := t.metaInt(metaCounter)
	if err != nil {
		return c, err
	}
	c.Counter = uint64(counter)
	if !known || reason != "" {
		if err := t.freshReplica(&c); err != nil {
			return c, err
		}
	} else {
		if err := t.setMeta(metaCandidate, nil); err != nil {
			return c, err
		}
		c.Last = new(Token)
		if found, err := t.metaBytes(metaToken, c.Last[:]); err != nil {
			return c, err
		} else if !found {
			c.Last = nil
		}
	}
	var fresh Token
	if err := t.s.random(fresh[:]); err != nil {
		return c, err
	}
	err = errors.Join(
		t.exec("INSERT INTO token (token) VALUES (?)", fresh[:]),
		t.exec("DELETE FROM token WHERE n <= (SELECT max(n) FROM token) - ?", TokensMax))
	if err != nil {
		return c, err
	}
	c.Pending, err = t.tokens()
	return c, err
}

// freshReplica draws a replica id for one hello. Tokens sent under other ids mean nothing for it.
func (t *tx) freshReplica(c *Claim) error {
	if err := t.s.random(c.Replica[:]); err != nil {
		return err
	}
	return errors.Join(
		t.setMeta(metaCandidate, c.Replica[:]),
		t.exec("DELETE FROM token"))
}

func (c *session) tokens() ([]Token, error) {
	var tokens []Token
	err := c.each(func(scan func(...any) error) error {
		var b []byte
		if err := scan(&b); err != nil {
			return err
		}
		var k Token
		copy(k[:], b)
		tokens = append(tokens, k)
		return nil
	}, "SELECT token FROM token ORDER BY n")
	return tokens, err
}

// ClaimAccepted records that the cloud accepted the claim whose newest token is
// k. If a fork was pending, all own dots that were not acknowledged move to the
// new replica id in the same transaction (C5). From here on Mint and Apply work.
//
// It is not synced to flash unless the replica id is new: what is minted is synced
// after it, and until then a cloud that stored k knows it as one without an answer.
func (s *Store) ClaimAccepted(ctx context.Context, k Token) error {
	var fresh record.ReplicaID
	candidate := false
	err := s.read(ctx, func(c *session) (err error) {
		candidate, err = c.metaBytes(metaCandidate, fresh[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("accept claim: %w", err)
	}
	err = s.write(ctx, !candidate, func(t *tx) error {
		tokens, err := t.tokens()
		if err != nil {
			return err
		}
		if !slices.Contains(tokens, k) {
			return errors.New("the token is not one that was drawn")
		}
		if candidate {
			if err := t.takeReplica(ctx, fresh); err != nil {
				return fmt.Errorf("take replica id: %w", err)
			}
		}
		return errors.Join(t.setMeta(metaToken, k[:]), t.exec("DELETE FROM token"))
	})
	if err != nil {
		return fmt.Errorf("accept claim: %w", err)
	}
	s.claimed.Store(true)
	return nil
}

// takeReplica makes fresh the replica id of this device and moves the dots that
// the cloud has not acknowledged from the old one to it (C5). Only versions in
// the outbox can have such dots.
func (t *tx) takeReplica(ctx context.Context, fresh record.ReplicaID) error {
	var old record.ReplicaID
	had, err := t.metaBytes(metaReplica, old[:])
	if err != nil {
		return err
	}
	if had {
		rows, err := t.rowsOf("WHERE o.n IS NOT NULL")
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.forkRow(r, old, fresh); err != nil {
				return err
			}
		}
		if err := t.forkHeld(old, fresh); err != nil {
			return err
		}
		if err := t.dropOwnWitness(old); err != nil {
			return err
		}
		t.unsee()
		counter, err := t.metaInt(metaCounter)
		if err != nil {
			return err
		}
		t.receive(record.Vector{old: uint64(counter)})
		t.s.Log.Info("took a new replica id", "moved", len(rows))
	}
	return errors.Join(
		t.setMeta(metaReplica, fresh[:]),
		t.setMeta(metaCandidate, nil),
		t.setMeta(metaFork, nil))
}

func (t *tx) forkRow(r *row, old, fresh record.ReplicaID) error {
	v, fields, _, err := t.s.version(r)
	if err != nil {
		return err
	}
	next := record.Fork(v, old, fresh, r.acked)
	if next != v {
		encoded, err := record.Encode(next)
		if err != nil {
			return t.demote(r) // a full vector: the content goes out as a new version
		}
		id := t.s.hash.VersionID(r.kind, r.id, encoded)
		// Only dots moved, but which sibling is shown may change with them: the
		// record is stored as one that came, unless an edit waits on top.
		if r.dirty {
			err = errors.Join(
				t.replaceVersion(r, next, id),
				t.exec("UPDATE record SET vid = ?, state = ? WHERE n = ?", id[:], encodeState(next, fields), r.n))
		} else {
			err = t.versioned(r, next, id)
		}
		if err != nil {
			return err
		}
	}
	return t.exec("UPDATE outbox SET acked = 0 WHERE n = ?", r.n)
}

// EndSession ends the right to mint and apply until the next ClaimAccepted.
func (s *Store) EndSession() { s.claimed.Store(false) }

// Fork makes the next BeginClaim use a fresh replica id (C3), and ends the
// right to mint. It returns ErrForkLimit for a fourth ForkStale within a day.
func (s *Store) Fork(ctx context.Context, reason string) error {
	s.claimed.Store(false)
	err := s.write(ctx, false, func(t *tx) error {
		if reason == ForkStale {
			if err := t.countStaleFork(); err != nil {
				return err
			}
		}
		s.Log.Warn("a new replica id will be taken", "reason", reason)
		return errors.Join(t.setMeta(metaFork, reason), t.problem("fork", "this device takes a new replica id: "+reason, nil))
	})
	if err != nil {
		return fmt.Errorf("fork: %w", err)
	}
	return nil
}

func (t *tx) countStaleFork() error {
	list, err := t.metaText(metaForkDays)
	if err != nil {
		return err
	}
	var times []int64
	if list != "" {
		if err := json.Unmarshal([]byte(list), &times); err != nil {
			return fmt.Errorf("meta %s: %w", metaForkDays, ErrDamaged)
		}
	}
	now := t.s.Now().Unix()
	const day = int64(24 * time.Hour / time.Second)
	times = slices.DeleteFunc(times, func(at int64) bool { return now-at >= day })
	if len(times) >= staleForksMax {
		return ErrForkLimit
	}
	b, err := json.Marshal(append(times, now))
	if err != nil {
		return err
	}
	return t.setMeta(metaForkDays, string(b))
}

// checkProvenance forks when the file is not the one, or not where, it was used (C3).
func (s *Store) checkProvenance(ctx context.Context) error {
	file, err := fileIdentity(s.path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(s.Machine))
	machine := ""
	if s.Machine != "" {
		machine = hex.EncodeToString(sum[:8])
	}
	var was struct{ File, Machine string }
	var known bool
	err = s.read(ctx, func(c *session) error {
		text, err := c.metaText(metaProvenance)
		if err != nil || text == "" {
			return err
		}
		known = true
		return json.Unmarshal([]byte(text), &was)
	})
	if err != nil {
		return fmt.Errorf("read provenance: %w", err)
	}
	moved := known && (was.File != file || was.Machine != "" && machine != "" && was.Machine != machine)
	if known && !moved && (machine == "" || was.Machine == machine) {
		return nil
	}
	was.File = file
	if machine != "" {
		was.Machine = machine
	}
	b, err := json.Marshal(was)
	if err != nil {
		return err
	}
	return s.write(ctx, false, func(t *tx) error {
		if moved {
			s.Log.Warn("the database was copied or moved: a new replica id will be taken")
			if err := errors.Join(t.setMeta(metaFork, forkMoved), t.problem("fork", "the database was copied or moved: this device takes a new replica id", nil)); err != nil {
				return err
			}
		}
		return t.setMeta(metaProvenance, string(b))
	})
}
