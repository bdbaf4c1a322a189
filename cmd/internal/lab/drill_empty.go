package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"sidekeep/localstore/record"
)

// drillEmpty destroys the cloud's data and starts an empty one on the same
// address. The handset says so, gives back kind after kind, pictures last, and
// goes on wherever it or the cloud is killed meanwhile.
func drillEmpty(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	one, two := hs[0], hs[1]
	if err := s.importMore(ctx, one, 1500, 1<<20); err != nil {
		return err
	}
	want, err := s.fill(ctx, two, "written before the loss", 3)
	if err != nil {
		return err
	}
	if err := settled(ctx, one, two); err != nil {
		return err
	}
	before, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	if err := two.off(); err != nil {
		return err
	}
	if err := s.reseedInOrder(ctx, one, before); err != nil {
		return err
	}
	rounds := 1
	if s.long {
		rounds = 12
	}
	inside := map[string]int{}
	for range rounds {
		if err := s.reseedKilled(ctx, one, before, 6, inside); err != nil {
			return err
		}
	}
	if inside[one.name] == 0 || inside[s.cloud.name] == 0 {
		return fmt.Errorf("no kill fell into the giving back: %v", inside)
	}
	s.say("given back %d times through kills in its midst: %d of the handset, %d of the cloud", rounds, inside[one.name], inside[s.cloud.name])
	if err := two.on(); err != nil {
		return err
	}
	if err := settled(ctx, one, two); err != nil {
		return err
	}
	three := s.handset("handset 3")
	if err := errors.Join(three.join(ctx, s.cloud.url(), s.words), three.on()); err != nil {
		return err
	}
	if err := settled(ctx, one, two, three); err != nil {
		return err
	}
	if s.long {
		if err := s.sameExports(ctx, one, three); err != nil {
			return err
		}
	}
	return s.everyNote(ctx, want, one, two, three)
}

// importMore imports so many contacts and one picture of size bytes, so that
// giving back takes long enough to be interrupted.
func (s *scene) importMore(ctx context.Context, h *handset, contacts, size int) error {
	var cards strings.Builder
	for i := range contacts {
		fmt.Fprintf(&cards, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:more-%d\r\nFN:Person %d\r\nTEL;TYPE=CELL:+49 30 %07d\r\nEND:VCARD\r\n", i, i, i)
	}
	noise := make([]byte, size)
	fill := rand.NewChaCha8([32]byte{byte(s.rand.Uint32())})
	fill.Read(noise) // never fails
	// A PNG that nothing but its head is read of.
	head := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x04\x00\x00\x00\x04\x00\x08\x02\x00\x00\x00\xf0\x7f\xbc\xd4"
	files := map[string][]byte{s.path("more.vcf"): []byte(cards.String()), s.path("more.png"): append([]byte(head), noise...)}
	for path, data := range files {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	_, err := h.do(ctx, "import", s.path("more.vcf"), s.path("more.png"))
	return err
}

// lose destroys the cloud's data and starts an empty cloud.
func (s *scene) lose(ctx context.Context) error {
	s.cloud.crash()
	return errors.Join(s.cloud.destroy(), s.cloud.on(ctx))
}

// reseedInOrder loses the cloud while one handset runs, and looks at the cloud's
// file as it fills. A new handset is refused meanwhile.
func (s *scene) reseedInOrder(ctx context.Context, h *handset, before rows) error {
	if err := h.off(); err != nil {
		return err
	}
	if err := s.lose(ctx); err != nil {
		return err
	}
	early := s.handset("too early")
	err := early.join(ctx, s.cloud.url(), s.words)
	if err == nil {
		_, err = early.do(ctx, "sync")
	}
	if exitCodeOf(err) != 7 || !strings.Contains(err.Error(), "lost its data") {
		return fmt.Errorf("a new handset at the empty cloud: %w", err)
	}
	s.say("a new handset is refused by the empty cloud, and told both possible reasons")
	if err := h.on(); err != nil {
		return err
	}
	looks, partly := 0, 0
	err = until(ctx, "the cloud has everything again", 40*time.Second, func() (string, error) {
		for range 200 { // without a pause: until waits between
			now, err := s.cloud.rows(ctx)
			if err != nil {
				return "", err
			}
			looks++
			if n := now.total(); n > 0 && now.differs(before) != "" {
				partly++
			}
			if err := now.inOrder(before); err != nil {
				return "", err
			}
			if now.differs(before) == "" {
				return "", nil
			}
		}
		return "not yet", nil
	})
	if err != nil {
		return err
	}
	if partly == 0 {
		return errors.New("the cloud was never seen half full, so that its order was not seen")
	}
	if err := settled(ctx, h); err != nil {
		return err
	}
	now, err := s.cloud.rows(ctx)
	if err != nil {
		return err
	}
	kinds := slices.Clone(record.Kinds[:])
	slices.SortFunc(kinds, func(a, b record.Kind) int { return now.First[a] - now.First[b] })
	if !inOrder(kinds) {
		return fmt.Errorf("the cloud's log begins its kinds in the order %v", kinds)
	}
	text, err := h.do(ctx, "status")
	if err != nil {
		return err
	}
	for _, kind := range record.Kinds {
		if line := fmt.Sprintf("the cloud had lost %d of %s; it has them again, proven", before.Versions[kind], kind); !strings.Contains(string(text), line) {
			return fmt.Errorf("the status does not say %q:\n%s", line, text)
		}
	}
	s.say("the handset says what the cloud lost, and that it has it again; %d looks, %d of them at a cloud half full, found every kind whole before a lower one began", looks, partly)
	return nil
}

// inOrder checks that nothing of a kind is there before all of higher priority
// is, and no piece of a picture before contacts are proven.
func (r *rows) inOrder(all rows) error {
	for i, kind := range record.Kinds {
		if i == 0 || r.Versions[kind] == 0 {
			continue
		}
		if above := record.Kinds[i-1]; r.Versions[above] < all.Versions[above] {
			return fmt.Errorf("the cloud has %d of %s and only %d of %d of %s", r.Versions[kind], kind, r.Versions[above], all.Versions[above], above)
		}
	}
	if r.Chunks == 0 {
		return nil
	}
	if r.total() < all.total() {
		return fmt.Errorf("the cloud has %d chunks and only %d of %d records", r.Chunks, r.total(), all.total())
	}
	if n := r.Proven[record.Contacts]; n != all.Versions[record.Contacts] {
		return fmt.Errorf("the cloud has %d chunks, and contacts are proven only to %d", r.Chunks, n)
	}
	return nil
}

// reseedKilled loses the cloud and kills the handset or the cloud at points that
// chance spreads over the giving back. inside counts the kills that found the
// cloud between empty and full.
func (s *scene) reseedKilled(ctx context.Context, h *handset, before rows, kills int, inside map[string]int) error {
	if err := s.lose(ctx); err != nil {
		return err
	}
	everything := before.total() + before.Chunks
	for i := range kills {
		point := (i*everything + s.rand.IntN(everything)) / kills
		var found int
		err := until(ctx, fmt.Sprintf("the cloud has %d rows", point), 40*time.Second, func() (string, error) {
			for range 200 {
				now, err := s.cloud.rows(ctx)
				if err != nil {
					return "", err
				}
				if found = now.total() + now.Chunks; found >= point {
					return "", nil
				}
			}
			h.hurry(ctx)
			return fmt.Sprint(found), h.agent.ended()
		})
		if err != nil {
			return err
		}
		victim := h.name
		if s.rand.IntN(2) == 0 {
			h.crash()
			err = h.on()
		} else {
			victim = s.cloud.name
			s.cloud.crash()
			err = s.cloud.on(ctx)
		}
		if err != nil {
			return err
		}
		if found > 0 && found < everything {
			inside[victim]++
		}
	}
	h.hurry(ctx)
	if err := s.cloud.filled(ctx, before); err != nil {
		return err
	}
	return settled(ctx, h)
}

// sameExports checks that two handsets give out the same files.
func (s *scene) sameExports(ctx context.Context, a, b *handset) error {
	x, err := a.export(ctx, a.home+"-export")
	if err != nil {
		return err
	}
	y, err := b.export(ctx, b.home+"-export")
	if err != nil {
		return err
	}
	files, size, err := sameExports(x, y)
	if err == nil {
		s.say("%s and %s export the same %d files, %d bytes", a.name, b.name, files, size)
	}
	return err
}
