package seal_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

// TestNoncesOfAMillionVersions seals a million versions of two accounts (twenty
// thousand with -short), every tenth of them a repeat, and finds no nonce that
// stands before two different texts: nonces are made from the version's id and a MAC of header and
// text, so that what repeats is the same bytes, and nothing else is equal.
func TestNoncesOfAMillionVersions(t *testing.T) {
	t.Parallel()
	total := 1_000_000
	if testing.Short() {
		total = 20_000
	}
	type nonce [chacha20poly1305.NonceSizeX]byte
	var mu sync.Mutex
	seen := make(map[nonce][sha256.Size]byte, total)
	repeats := 0
	workers := runtime.GOMAXPROCS(0)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for n := w; n < total; n += workers {
				n := n
				if n%10 == 9 {
					n -= 4 // sealed before, or being sealed just now
				}
				s, err := sealedOf(n, total)
				if err != nil {
					t.Error(err)
					return
				}
				whole := sha256.Sum256(append(s.Header, s.Body...))
				h, err := seal.ParseHeader(s.Header)
				if err != nil {
					t.Error(err)
					return
				}
				at := nonce(append(h.VersionID[:], s.Body[:8]...)) // SPEC.md "Sealing"
				mu.Lock()
				before, was := seen[at]
				seen[at] = whole
				if was {
					repeats++
				}
				mu.Unlock()
				if was && before != whole {
					t.Errorf("version %d: its nonce stands before another text, too", n)
					return
				}
			}
		})
	}
	wait.Wait()
	if want := total / 10; repeats != want || len(seen) != total-want {
		t.Errorf("%d nonces and %d repeats of %d versions", len(seen), repeats, total)
	}
}

// sealedOf seals version n of a made-up history: accounts, kinds, records and
// replicas come round, texts differ by little, some by nothing.
func sealedOf(n, total int) (seal.Sealed, error) {
	k := nonceKeys[n%2]
	var id record.ID
	binary.BigEndian.PutUint64(id[:], uint64(n/2%5000))
	dot := record.Dot{Counter: uint64(n / 7)}
	binary.BigEndian.PutUint64(dot.Replica[:], uint64(1+n%7))
	v := record.Set(record.New(), []record.Edit{
		{Key: "SUMMARY", Line: fmt.Appendf(nil, "SUMMARY:%d", n/100), Pos: 0},
	}, &minter{dot})
	return k.SealVersion(record.Kinds[n*len(record.Kinds)/total], id, v) // kind by kind, as a sync goes
}

var nonceKeys = [2]*seal.Keys{testKeys(1), testKeys(2)}
