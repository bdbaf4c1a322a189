package sqlitestore

import (
	"context"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// quota bounds what an account may hold, in bytes of headers and bodies: the
// versions of its log, those kept for 30 days, and its chunks. How much that is,
// is counted from the rows when an account first matters after a start, and again
// when it seems full, because what expires is not subtracted; in between, what
// was committed is added. Writes of one account that are committed together may
// pass the bound by their own size, which has a limit.
type quota struct {
	max int64 // 0 means no bound
	now func() int64

	mu   sync.Mutex // guards used
	used map[seal.Account]*usage
}

type usage struct {
	bytes   int64
	counted int64 // when the rows were counted
}

// quotaCountEvery is how often, in seconds, a full account's rows are counted again.
const quotaCountEvery = int64(time.Minute / time.Second)

// room returns how many bytes an account may still write, by q's rows: far more
// than any write if there is no bound.
func (u *quota) room(q querier, account seal.Account) (int64, error) {
	if u.max == 0 {
		return 1 << 62, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	a := u.used[account]
	if a == nil || a.bytes >= u.max && u.now() >= a.counted+quotaCountEvery {
		bytes, err := accountBytes(q, account)
		if err != nil {
			return 0, err
		}
		a = &usage{bytes: bytes, counted: u.now()}
		u.used[account] = a
	}
	return u.max - a.bytes, nil
}

// added counts bytes that were committed.
func (u *quota) added(account seal.Account, bytes int64) {
	if u.max == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if a := u.used[account]; a != nil {
		a.bytes += bytes
	}
}

// allows reports whether a version of so many bytes fits into what is left. A
// tombstone holds what it deleted until that is purged, and what it replaces is
// kept for 30 days: somebody whose account is full can delete all of it, up to
// twice the bound.
func (u *quota) allows(left int64, bytes int, dead bool) bool {
	if dead {
		left += u.max
	}
	return int64(bytes) <= left
}

func accountBytes(q querier, account seal.Account) (total int64, err error) {
	for _, sum := range []string{
		"SELECT coalesce(sum(length(header) + length(body)), 0) FROM version WHERE account = ?",
		"SELECT coalesce(sum(length(header) + length(body)), 0) FROM dominated WHERE account = ?",
		"SELECT coalesce(sum(length(header) + size), 0) FROM chunk WHERE account = ?",
	} {
		var bytes int64
		if err := q.row(sum, account[:]).Scan(&bytes); err != nil {
			return 0, err
		}
		total += bytes
	}
	return total, nil
}

// chunkRoom refuses an account that may not hold more.
func (s *Store) chunkRoom(ctx context.Context, account seal.Account) error {
	if s.quota.max == 0 {
		return nil
	}
	return s.read(ctx, func(q snapshot) error {
		left, err := s.quota.room(q, account)
		if err == nil && left <= 0 {
			err = &syncproto.Error{Code: syncproto.CodeQuota}
		}
		return err
	})
}
