package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/cmd/internal/liar"
	"sidekeep/localstore/record"
)

// What a hostile cloud may cost one sync of a handset.
const (
	lieTimeout      = 4 * time.Second // given to sync
	lieTimeMost     = lieTimeout + 10*time.Second
	lieSessionsMost = 40
	lieMessagesMost = 80_000
	lieBytesMost    = 96 << 20 // the largest frame of a lie in each of some 13 sessions: jitter decides how many there are
)

// shortLies are those of the short form: at least one of each sort.
var shortLies = []string{
	"forged tombstones", "replay of every old version", "payloads swapped between records", "false sums", "false counts", "endless empty pages",
	"a frame of 7 MiB", "malformed CBOR", "acknowledged, not stored", "never acknowledged", "another device's claim", "chunks of another blob",
}

// deceives is a lie that a digest can not tell from the truth: the cloud holds
// nothing, and says back what the device says. It is believed until the next
// honest session, or until a sample shows it: one a day, and at random, so that
// the few things that were made before one lie are seldom part of it.
const deceives = "echoes digests, stores nothing"

// drillHostile has handsets sync with a cloud that lies in one way after the
// other, each lie followed by an honest session.
func drillHostile(ctx context.Context, s *scene) error {
	hs, err := s.begin(ctx, "writer", "handset 1", "handset 2", "handset 3", "handset 4")
	if err != nil {
		return err
	}
	writer, hs := hs[0], hs[1:]
	var lies []liar.Lie
	for _, l := range liar.Lies {
		if s.long || slices.Contains(shortLies, l.Name) {
			lies = append(lies, l)
		}
	}
	var fronts []*hostile
	origins := []string{"--origin", s.cloud.url()}
	for _, h := range hs {
		if err := h.off(); err != nil {
			return err
		}
		front, err := s.hostile("hostile-"+h.name, s.cloud)
		if err != nil {
			return err
		}
		fronts = append(fronts, front)
		origins = append(origins, "--origin", front.url())
	}
	if err := s.cloud.off(); err != nil {
		return err
	}
	s.cloud.args = origins // as if the man in the middle were its own front
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	told, err := s.tellAll(ctx, writer, hs[:3], fronts, lies)
	if err != nil {
		return err
	}
	s.say("%d lies: time, sessions and bytes bounded (at most %.1f s, %d sessions, %d KB), nothing lost, in sync at the next honest session, and that is true",
		len(lies), told.took.Seconds(), told.Sessions, (told.BytesUp+told.BytesDown)>>10)
	if err := settled(ctx, writer); err != nil {
		return err
	}
	for _, h := range hs {
		if _, err := h.do(ctx, "sync"); err != nil {
			return err
		}
	}
	return s.verifyAll(ctx, append(hs, writer)...)
}

// lieCost is what lies cost at most.
type lieCost struct {
	liar.Counts
	took time.Duration
}

func (c *lieCost) add(o lieCost) {
	c.took = max(c.took, o.took)
	c.Sessions = max(c.Sessions, o.Sessions)
	if o.BytesUp+o.BytesDown > c.BytesUp+c.BytesDown {
		c.BytesUp, c.BytesDown = o.BytesUp, o.BytesDown
	}
}

// tellAll has some handsets meet the lies side by side, and one more live with a
// lie while its agent runs.
func (s *scene) tellAll(ctx context.Context, writer *handset, hs []*handset, fronts []*hostile, lies []liar.Lie) (most lieCost, err error) {
	var mu sync.Mutex
	var faults []error
	var wg sync.WaitGroup
	for i, h := range hs {
		wg.Go(func() {
			for j := i; j < len(lies) && ctx.Err() == nil; j += len(hs) {
				cost, err := s.tell(ctx, writer, h, fronts[i], lies[j], j)
				mu.Lock()
				if err != nil {
					faults = append(faults, fmt.Errorf("%s: %w", lies[j].Name, err))
				}
				most.add(cost)
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		err := s.backOff(ctx, fronts[len(hs)])
		mu.Lock()
		faults = append(faults, err)
		mu.Unlock()
	})
	wg.Wait()
	return most, errors.Join(faults...)
}

// tell has one handset, with something to give and something to get, sync with a
// cloud that lies, and then with the honest one.
func (s *scene) tell(ctx context.Context, writer, h *handset, front *hostile, l liar.Lie, n int) (cost lieCost, err error) {
	picture := fmt.Sprintf("%s-%d.jpg", h.home, n)
	if err := os.WriteFile(picture, sample.Photo(picture), 0o644); err != nil {
		return cost, err
	}
	if _, err := h.do(ctx, "import", picture); err != nil {
		return cost, err
	}
	if _, err := h.add(ctx, record.Contacts, fmt.Sprintf("name=Made before lie %d", n)); err != nil {
		return cost, err
	}
	if _, err := writer.add(ctx, record.Notes, fmt.Sprintf("title=to be fetched through lie %d", n)); err != nil {
		return cost, err
	}
	before, err := h.documents(ctx)
	if err != nil {
		return cost, err
	}
	if err := errors.Join(front.on(ctx, l.Name), h.point(front.url())); err != nil {
		return cost, err
	}
	began := time.Now()
	_, lied := h.do(ctx, "sync", "--timeout", lieTimeout.String())
	cost.took = time.Since(began)
	if cost.Counts, err = front.off(); err != nil {
		return cost, err
	}
	if cost.took > lieTimeMost || cost.Sessions > lieSessionsMost || cost.Up+cost.Down > lieMessagesMost || cost.BytesUp+cost.BytesDown > lieBytesMost {
		return cost, fmt.Errorf("it cost %v and %+v", cost.took, cost.Counts)
	}
	if code := exitCodeOf(lied); lied != nil && code != 3 && code != 4 && code != 7 {
		return cost, fmt.Errorf("sync ended otherwise than a failed sync does: %w", lied)
	}
	if lied == nil { // in sync, it said
		if _, err := s.cloud.acknowledged(ctx, h); err != nil && l.Name != deceives {
			return cost, fmt.Errorf("called in sync falsely: %w", err)
		}
	}
	if err := h.keeps(ctx, before); err != nil {
		return cost, err
	}
	if err := h.point(s.cloud.url()); err != nil {
		return cost, err
	}
	// Another handset, that a liar deceives just now, may have stated under seal what
	// only it has: until its own honest sync this one says that the cloud withholds.
	err = until(ctx, "an honest sync after it", time.Minute, func() (string, error) {
		_, err := h.do(ctx, "sync")
		if err != nil && strings.Contains(err.Error(), "withholds what another device has seen") {
			return err.Error(), nil
		}
		return "", err
	})
	if err != nil {
		return cost, err
	}
	if _, err := s.cloud.acknowledged(ctx, h); err != nil {
		return cost, fmt.Errorf("after an honest sync: %w", err)
	}
	return cost, h.keeps(ctx, before)
}

// keeps checks that a handset shows all that it did, as it did.
func (h *handset) keeps(ctx context.Context, before map[string]string) error {
	now, err := h.documents(ctx)
	if err != nil {
		return err
	}
	for id, doc := range before {
		if now[id] != doc {
			return fmt.Errorf("record %s is not what it was before", id)
		}
	}
	return nil
}

// backOff has an agent run before a cloud that says nonsense each time: it comes
// back ever more rarely.
func (s *scene) backOff(ctx context.Context, front *hostile) error {
	h := s.handset("handset 4")
	limit, most := 5*time.Second, 12
	if s.long {
		limit, most = time.Minute, 20
	}
	if _, err := h.add(ctx, record.Notes, "title=to be given to whom it may concern"); err != nil {
		return err
	}
	if err := errors.Join(front.on(ctx, "malformed CBOR"), h.point(front.url()), h.on()); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(limit):
	}
	status, err := h.live(ctx)
	if err != nil {
		return err
	}
	if no := status.unproven(); no == "" {
		return errors.New("an agent before a cloud that says nonsense calls itself in sync")
	}
	if err := h.off(); err != nil {
		return err
	}
	counts, err := front.off()
	if err != nil {
		return err
	}
	if counts.Sessions < 2 || counts.Sessions > most {
		return fmt.Errorf("an agent before a cloud that says nonsense came %d times in %v", counts.Sessions, limit)
	}
	s.say("an agent before a cloud that says nonsense each time came back %d times in %v", counts.Sessions-1, limit)
	return h.point(s.cloud.url())
}
