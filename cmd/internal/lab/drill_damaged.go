package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// drillDamaged breaks the database of a handset in every way that flash does.
func drillDamaged(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	one, two := hs[0], hs[1]
	const page = 2048
	ways := []struct {
		name  string
		spoil func([]byte) []byte
	}{
		{"with noise in a tenth of its pages", func(b []byte) []byte {
			for range len(b) / page / 10 {
				p := b[s.rand.IntN(len(b)/page)*page:][:page]
				for i := range p {
					p[i] = byte(s.rand.Uint32())
				}
			}
			return b
		}},
		{"cut in the middle", func(b []byte) []byte { return b[:len(b)/2+s.rand.IntN(page)] }},
		{"with zeros for its first page", func(b []byte) []byte { clear(b[:page]); return b }},
		{"that is empty", func([]byte) []byte { return nil }},
	}
	rounds := 1
	if s.long {
		rounds = 5
	}
	want := map[string]string{}
	for round := range rounds {
		for _, way := range ways {
			if err := two.off(); err != nil {
				return err
			}
			path := filepath.Join(two.home, "data", "sidekeep.db")
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text := fmt.Sprintf("while the other was broken %d: %s", round, way.name)
			id, err := one.add(ctx, "notes", "title="+text)
			if err != nil {
				return err
			}
			want[id] = text
			damaged := way.spoil(bytes.Clone(b))
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				return err
			}
			if err := two.on(); err != nil {
				return err
			}
			if err := settled(ctx, one, two); err != nil {
				return fmt.Errorf("%s: %w", way.name, err)
			}
			kept, err := filepath.Glob(filepath.Join(two.home, "data", "damaged-*", "sidekeep.db"))
			if err != nil || len(kept) == 0 {
				return fmt.Errorf("%s: the damaged database was not kept: %v %w", way.name, kept, err)
			}
			s.say("a database %s: set aside, salvaged, filled from the cloud", way.name)
		}
	}
	return s.everyNote(ctx, want, one, two)
}
