package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// fill adds notes and returns their titles by id.
func (s *scene) fill(ctx context.Context, h *handset, text string, n int) (map[string]string, error) {
	want := map[string]string{}
	for i := range n {
		title := fmt.Sprintf("%s %d", text, i)
		id, err := h.add(ctx, "notes", "title="+title)
		if err != nil {
			return nil, err
		}
		want[id] = title
	}
	return want, nil
}

// drillCorrupt damages the cloud's file in ways that a disk does, lets the
// operator's tool set it aside, and has devices fill the holes.
func drillCorrupt(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	want, err := s.fill(ctx, hs[0], "before the damage", 5)
	if err != nil {
		return err
	}
	damages := []struct {
		name   string
		damage func(b []byte) []byte
	}{
		{"64 flipped bits", func(b []byte) []byte {
			for range 64 {
				b[100+s.rand.IntN(len(b)-100)] ^= 1 << s.rand.IntN(8)
			}
			return b
		}},
		{"a truncated file", func(b []byte) []byte { return b[:len(b)/4+s.rand.IntN(len(b)/2)] }},
		{"a schema that can not be read", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("CREATE TABLE"), []byte("CREATE TABXE"))
		}},
		{"garbage", func(b []byte) []byte {
			for i := range b {
				b[i] = byte(s.rand.Uint32())
			}
			return b
		}},
	}
	rounds := 1
	if s.long {
		rounds = 5
	}
	for range rounds {
		for _, d := range damages {
			if err := settled(ctx, hs...); err != nil {
				return err
			}
			if err := s.cloud.off(); err != nil {
				return err
			}
			file := filepath.Join(s.cloud.data, "cloud.db")
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := os.WriteFile(file, d.damage(b), 0o600); err != nil {
				return err
			}
			if out, err := s.run(ctx, roleCloud, "verify", "--data", s.cloud.data); err == nil {
				return fmt.Errorf("verify did not find %s:\n%s", d.name, out)
			}
			var repaired struct {
				Problems, Left []struct{ What string }
				Salvaged       *struct {
					Aside string `json:"set_aside"`
				}
			}
			out, err := s.run(ctx, roleCloud, "verify", "--repair", "--data", s.cloud.data, "--json")
			if err != nil {
				return err
			}
			if err := json.Unmarshal(out, &repaired); err != nil {
				return err
			}
			if len(repaired.Problems) == 0 || len(repaired.Left) > 0 {
				return fmt.Errorf("repair of %s: %s", d.name, out)
			}
			if repaired.Salvaged != nil {
				if _, err := os.Stat(filepath.Join(repaired.Salvaged.Aside, "cloud.db")); err != nil {
					return fmt.Errorf("the damaged file was not kept: %w", err)
				}
			}
			if err := s.cloud.on(ctx); err != nil {
				return err
			}
			if err := settled(ctx, hs...); err != nil {
				return err
			}
			s.say("%s: %d problems found, set aside and filled", d.name, len(repaired.Problems))
		}
	}
	return s.everyNote(ctx, want, hs...)
}

// drillCloudBackup backs a cloud up while it serves, restores it, and shows that
// a damaged back-up is refused before anything is touched.
func drillCloudBackup(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	want, err := s.fill(ctx, hs[0], "before the back-up", 5)
	if err != nil {
		return err
	}
	backup := s.path("cloud-backup")
	if _, err := s.run(ctx, roleCloud, "backup", backup, "--data", s.cloud.data); err != nil {
		return err
	}
	s.say("backed up and verified while it served")
	more, err := s.fill(ctx, hs[1], "after the back-up", 5)
	if err != nil {
		return err
	}
	for id, title := range more {
		want[id] = title
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	if err := s.cloud.off(); err != nil {
		return err
	}
	if err := s.cloud.destroy(); err != nil {
		return err
	}
	damaged := s.path("damaged-backup")
	if err := copyTree(backup, damaged); err != nil {
		return err
	}
	file := filepath.Join(damaged, "cloud.db")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[s.rand.IntN(len(b))] ^= 1
	if err := os.WriteFile(file, b, 0o600); err != nil {
		return err
	}
	if _, err := s.run(ctx, roleCloud, "restore", damaged, "--data", s.cloud.data); err == nil {
		return fmt.Errorf("a damaged back-up was restored")
	}
	if _, err := os.Stat(s.cloud.data); !os.IsNotExist(err) {
		return fmt.Errorf("a damaged back-up left something behind: %v", err)
	}
	s.say("a back-up with one flipped bit is refused, nothing was touched")
	if _, err := s.run(ctx, roleCloud, "restore", backup, "--data", s.cloud.data); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	return s.everyNote(ctx, want, hs...)
}
