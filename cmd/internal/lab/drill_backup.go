package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// drillBackup backs a handset up while it works, loses the cloud and every
// handset, and begins again from the file and the words, without network.
func drillBackup(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	one, two := hs[0], hs[1]
	want := map[string]string{}
	note := func(h *handset, text string) error {
		id, err := h.add(ctx, "notes", "title="+text)
		want[id] = text
		return err
	}
	if err := note(one, "before the back-up"); err != nil {
		return err
	}
	file := s.path("backup.age")
	var made struct{ Records, Chunks int }
	if err := one.ask(ctx, &made, "backup", file); err != nil {
		return err
	}
	s.say("backed up %d records and %d pieces of pictures while the agent runs; opened again and proven", made.Records, made.Chunks)
	if err := note(two, "after the back-up"); err != nil {
		return err
	}
	if err := settled(ctx, one, two); err != nil {
		return err
	}
	one.crash()

	words := s.path("words.txt")
	if err := os.WriteFile(words, []byte(s.words+"\n"), 0o600); err != nil {
		return err
	}
	three := s.handset("handset 3")
	if err := s.evilBackups(ctx, three, file, words); err != nil {
		return err
	}
	if err := s.cloud.off(); err != nil {
		return err
	}
	if _, err := three.do(ctx, "restore", file, "--words-file", words, "--name", three.name); err != nil {
		return err
	}
	items, err := three.list(ctx, "contacts")
	if err != nil {
		return err
	}
	s.say("restored on a new handset without network: %d contacts to call at once", len(items))
	if err := note(three, "on the new handset"); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	if err := three.on(); err != nil {
		return err
	}
	if err := settled(ctx, two, three); err != nil {
		return err
	}
	s.say("it met the cloud: what happened since the back-up is there, too")

	// Now everything but the file and the words is lost.
	for _, h := range []*handset{two, three} {
		h.crash()
	}
	if err := s.cloud.off(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.cloud.data); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	four := s.handset("handset 4")
	if _, err := four.do(ctx, "restore", file, "--words-file", words, "--name", four.name); err != nil {
		return err
	}
	if err := four.on(); err != nil {
		return err
	}
	five := s.handset("handset 5")
	if err := settled(ctx, four); err != nil {
		return err
	}
	if err := five.join(ctx, s.cloud.url(), s.words); err != nil {
		return err
	}
	if err := five.on(); err != nil {
		return err
	}
	if err := settled(ctx, four, five); err != nil {
		return err
	}
	s.say("cloud and handsets lost: a new cloud and another handset are filled from the file")
	for id, text := range want {
		if text != "before the back-up" {
			delete(want, id)
		}
	}
	return s.everyNote(ctx, want, four, five)
}

// evilBackups tries back-ups that must be refused before anything is touched.
func (s *scene) evilBackups(ctx context.Context, h *handset, file, words string) error {
	good, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	flipped := append([]byte{}, good...)
	flipped[s.rand.IntN(len(flipped)-300)+300] ^= 1 << s.rand.IntN(8)
	for name, b := range map[string][]byte{
		"cut short": good[:s.rand.IntN(len(good))],
		"flipped":   flipped,
		"foreign":   []byte("nothing that sidekeep wrote\n"),
	} {
		path := s.path("evil.age")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return err
		}
		if _, err := h.do(ctx, "restore", path, "--words-file", words); err == nil {
			return fmt.Errorf("a back-up that is %s was restored", name)
		}
		if left, err := filepath.Glob(filepath.Join(filepath.Dir(h.home), "*"+filepath.Base(h.home)+"*")); err != nil || len(left) > 0 {
			return errors.Join(err, fmt.Errorf("refusing a back-up that is %s left %v", name, left))
		}
	}
	s.say("back-ups that are cut short, flipped or foreign were refused, and nothing touched")
	return nil
}
