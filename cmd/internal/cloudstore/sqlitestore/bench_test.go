package sqlitestore

import (
	"crypto/rand"
	"fmt"
	"sync/atomic"
	"testing"

	"sidekeep/cmd/internal/cloudstore/storetest"
	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// BenchmarkCommit pushes single versions from many accounts at once: what group
// commit is for.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			s, err := Open(ctx, b.TempDir(), Options{Rand: rand.Reader})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.SetParallelism(max(1, writers/2)) // of GOMAXPROCS goroutines each
			var account atomic.Uint32
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				a := storetest.NewAuthor(b)
				if _, err := s.Claim(ctx, a.Claim(true)); err != nil {
					b.Error(err)
				}
				n := account.Add(1)
				for i := uint32(0); pb.Next(); i++ {
					v := a.Seal(record.Notes, record.ID{byte(n), byte(i >> 16), byte(i >> 8), byte(i)}, a.Edit(record.New(), "SUMMARY:x"))
					if _, err := s.Commit(ctx, a.Account, []syncproto.CloudVersion{v}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
