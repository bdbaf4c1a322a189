package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/localstore/record"
	"sidekeep/testdata"
)

// diskMiB is the size of the small disks, 10 MiB of which are less than what a
// handset wants free before it fetches pictures.
const diskMiB = 48

// noDisk says that a drill can not have a disk of its own, and what stands in.
func (s *scene) noDisk(err error, instead string) error {
	s.say("no small disk can be made here (%v); %s", err, instead)
	return nil
}

// drillFullDisk has a handset join with little room, fills its disk, and makes it
// read-only.
func drillFullDisk(ctx context.Context, s *scene) error {
	h := s.handset("small handset")
	d, err := s.smallDisk(h.home, diskMiB)
	h.home = filepath.Join(h.home, "home")
	if err != nil {
		return s.noDisk(err, "TestFullDisk of localstore and TestPicturesWaitForRoom of cmd/internal/endtoend limit the database and the space that is told")
	}
	hs, err := s.begin(ctx, "handset 1")
	if err != nil {
		return err
	}
	if err := s.littleRoom(ctx, h, d); err != nil {
		return err
	}
	if err := settled(ctx, hs[0], h); err != nil {
		return err
	}
	rounds := 1
	if s.long {
		rounds = 8
	}
	want := map[string]string{}
	for round := range rounds {
		if err := s.noRoom(ctx, hs[0], h, d, round, want); err != nil {
			return fmt.Errorf("full, round %d: %w", round, err)
		}
	}
	if err := s.readOnlyDisk(ctx, h, d); err != nil {
		return err
	}
	if err := h.on(); err != nil {
		return err
	}
	if err := settled(ctx, hs[0], h); err != nil {
		return err
	}
	return s.everyNote(ctx, want, hs[0], h)
}

// littleRoom has the handset join with too little room for pictures: it takes
// every record, and the pictures when there is room.
func (s *scene) littleRoom(ctx context.Context, h *handset, d *disk) error {
	if err := d.leave(10 << 20); err != nil {
		return err
	}
	if err := errors.Join(h.join(ctx, s.cloud.url(), s.words), h.on()); err != nil {
		return err
	}
	err := until(ctx, "the handset has every record", 30*time.Second, func() (string, error) {
		st, err := h.live(ctx)
		if err != nil {
			return err.Error(), nil
		}
		for kind, n := range testdata.SampleCounts {
			if k := st.Kinds[record.Kind(kind)]; k.Live != n || !k.InSync {
				return fmt.Sprintf("%s: %+v", kind, k), nil
			}
		}
		if st.Blobs.Missing == 0 {
			return "", errors.New("pictures were fetched although there is little room")
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	err = until(ctx, "its status says that pictures wait", 20*time.Second, func() (string, error) {
		text, err := h.do(ctx, "status")
		if err != nil || !strings.Contains(string(text), "pictures are not fetched until there is room") {
			return fmt.Sprintf("%v\n%s", err, text), nil
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	if err := d.clear(); err != nil {
		return err
	}
	if !s.long { // by itself it looks every half minute
		h.hurry(ctx)
	}
	if err := settled(ctx, h); err != nil {
		return err
	}
	s.say("with little room every record came and no picture; with room the pictures came, too")
	return nil
}

// noRoom fills the disk while the agent runs: to the last byte, or nearly, in turns.
func (s *scene) noRoom(ctx context.Context, other, h *handset, d *disk, round int, want map[string]string) error {
	room := int64(0)
	if round%2 == 0 {
		room = 200_000
	}
	if err := d.leave(room); err != nil {
		return err
	}
	before, err := h.documents(ctx)
	if err != nil {
		return err
	}
	// An app writes until it is refused: what was taken stays, the rest is not there.
	taken := 0
	for i := range 400 {
		id := fmt.Sprintf("%032x", round<<16|i|1<<40)
		title := fmt.Sprintf("in the last room %d-%d", round, i)
		err = h.app(ctx, fmt.Sprintf("INSERT INTO notes (id, title, body) VALUES ('%s', '%s', '%s')", id, title, strings.Repeat("x", 20_000)))
		if err != nil {
			break
		}
		want[id], before[id] = title, ""
		taken++
	}
	if err == nil || !strings.Contains(err.Error(), "full") {
		return fmt.Errorf("an app wrote 8 MB to a full disk: %w", err)
	}
	if room > 0 && taken == 0 {
		return fmt.Errorf("an app could write nothing in %d bytes: %w", room, err)
	}
	long := strings.Repeat("y", 90_000)
	_, err = h.add(ctx, record.Notes, "title=refused", "body="+long)
	if exitCodeOf(err) != 1 || !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), "make some space") {
		return fmt.Errorf("a command on a full disk: %w", err)
	}
	now, err := h.documents(ctx)
	if err != nil {
		return err
	}
	for id, doc := range before {
		if now[id] == "" || doc != "" && now[id] != doc {
			return fmt.Errorf("record %s changed on a full disk", id)
		}
	}
	// Others write meanwhile, more than what may still fit.
	more, err := s.fill(ctx, other, fmt.Sprintf("while a disk was full %d", round), 2)
	if err != nil {
		return err
	}
	for id, title := range more {
		want[id] = title
	}
	picture := s.path(fmt.Sprintf("full-%d.jpg", round))
	if err := os.WriteFile(picture, sample.Photo(picture), 0o644); err != nil {
		return err
	}
	if _, err := other.do(ctx, "import", picture); err != nil {
		return err
	}
	if err := settled(ctx, other); err != nil {
		return err
	}
	if err := h.agent.ended(); err != nil {
		return fmt.Errorf("the agent does not live through a full disk: %w", err)
	}
	h.crash() // and the battery is pulled
	if err := h.on(); err != nil {
		return err
	}
	if err := d.clear(); err != nil {
		return err
	}
	err = until(ctx, "the agent runs", 20*time.Second, func() (string, error) {
		if h.agent.ended() != nil { // it could not start without room
			if err := h.on(); err != nil {
				return "", err
			}
		}
		if _, err := h.live(ctx); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	h.hurry(ctx)
	if err := settled(ctx, other, h); err != nil {
		return err
	}
	if now, err = h.documents(ctx); err != nil {
		return err
	}
	for id, doc := range now {
		if strings.Contains(doc, "refused") {
			return fmt.Errorf("record %s, whose write was refused, is there", id)
		}
	}
	s.say("a full disk: %d writes taken, then refused whole, and told; with room again all is in sync", taken)
	return nil
}

// readOnlyDisk makes the disk refuse every write.
func (s *scene) readOnlyDisk(ctx context.Context, h *handset, d *disk) error {
	if err := h.off(); err != nil {
		return err
	}
	before, err := h.documents(ctx)
	if err != nil {
		return err
	}
	if err := d.readOnly(true); err != nil {
		return err
	}
	for _, try := range []struct {
		args []string
		says string
	}{{[]string{"add", "notes", "title=refused"}, "the database can not be written"}, {[]string{"sync"}, "read-only file system"}} {
		_, err := h.do(ctx, try.args...)
		if exitCodeOf(err) != 1 || !strings.Contains(err.Error(), try.says) {
			return fmt.Errorf("%v on a read-only disk: %w", try.args, err)
		}
	}
	if err := d.readOnly(false); err != nil {
		return err
	}
	if err := h.keeps(ctx, before); err != nil {
		return err
	}
	s.say("a read-only disk: told, nothing changed")
	return nil
}

// drillFullCloud fills the cloud's disk, makes it read-only, and kills the cloud
// in the midst of its commits. After each the handset's acknowledgements are
// compared with the cloud's file.
func drillFullCloud(ctx context.Context, s *scene) error {
	s.cloud = s.server("cloud")
	d, err := s.smallDisk(s.cloud.data, diskMiB)
	if err != nil {
		s.noDisk(err, "TestCloudOnAFullDisk of cmd/internal/endtoend needs one, too; only the kills in mid-commit are played")
	}
	hs, err := s.begin(ctx, "handset 1", "handset 2")
	if err != nil {
		return err
	}
	want := map[string]string{}
	if d != nil {
		rounds := 1
		if s.long {
			rounds = 6
		}
		for round := range rounds {
			if err := s.fullCloud(ctx, hs, d, round, want); err != nil {
				return fmt.Errorf("full, round %d: %w", round, err)
			}
		}
		if err := s.readOnlyCloud(ctx, hs[0], d); err != nil {
			return err
		}
	}
	kills := 6
	if s.long {
		kills = 60
	}
	if err := s.killCommits(ctx, hs[0], kills); err != nil {
		return err
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	return s.everyNote(ctx, want, hs...)
}

// fullCloud gives a cloud without room records and pictures.
func (s *scene) fullCloud(ctx context.Context, hs []*handset, d *disk, round int, want map[string]string) error {
	h := hs[0]
	if err := d.leave(0); err != nil {
		return err
	}
	more, err := s.fill(ctx, h, fmt.Sprintf("given to a full cloud %d", round), 3)
	if err != nil {
		return err
	}
	for id, title := range more {
		want[id] = title
	}
	if err := s.importMore(ctx, h, 200*(round+1), 3<<20); err != nil {
		return err
	}
	err = until(ctx, "the handset is told that the cloud is full", 30*time.Second, func() (string, error) {
		st, err := h.live(ctx)
		if err != nil {
			return err.Error(), nil
		}
		if st.unproven() == "" {
			return "", errors.New("in sync with a cloud that has no room")
		}
		if !strings.Contains(st.Cloud.Error, "storage is full") {
			return fmt.Sprintf("it says %q", st.Cloud.Error), nil
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	if _, err := h.do(ctx, "sync", "--timeout", "2s"); exitCodeOf(err) != 4 {
		return fmt.Errorf("sync with a full cloud: %w", err)
	}
	looked, err := s.cloud.acknowledged(ctx, h)
	if err != nil {
		return err
	}
	s.cloud.crash()
	after, err := s.cloud.acknowledged(ctx, h) // and on the disk
	if err != nil {
		return err
	}
	if err := d.clear(); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	for _, h := range hs {
		h.hurry(ctx)
	}
	if err := settled(ctx, hs...); err != nil {
		return err
	}
	s.say("a cloud without room says so; of %d (killed: %d) acknowledged versions and pieces it has every one; with room all is in sync", looked, after)
	return nil
}

// readOnlyCloud starts the cloud on a disk that takes no writes.
func (s *scene) readOnlyCloud(ctx context.Context, h *handset, d *disk) error {
	if err := s.cloud.off(); err != nil {
		return err
	}
	if err := d.readOnly(true); err != nil {
		return err
	}
	_, err := s.run(ctx, roleCloud, "serve", "--data", s.cloud.data, "--listen", s.cloud.addr)
	if exitCodeOf(err) == 0 || !strings.Contains(err.Error(), "read-only") {
		return fmt.Errorf("a cloud on a read-only disk: %w", err)
	}
	if err := d.readOnly(false); err != nil {
		return err
	}
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	if _, err := s.cloud.acknowledged(ctx, h); err != nil {
		return err
	}
	s.say("a cloud on a read-only disk does not start, and says why")
	return nil
}

// killCommits kills the cloud while a handset gives it records, again and again.
func (s *scene) killCommits(ctx context.Context, h *handset, kills int) error {
	looked := 0
	for round := range kills {
		before, err := s.cloud.rows(ctx)
		if err != nil {
			return err
		}
		if err := s.importCards(ctx, h, round); err != nil {
			return err
		}
		target := before.total() + s.rand.IntN(120)
		err = until(ctx, "the cloud commits", 20*time.Second, func() (string, error) {
			h.hurry(ctx)
			for range 50 {
				now, err := s.cloud.rows(ctx)
				if err != nil || now.total() >= target {
					return "", err
				}
			}
			return "not yet", nil
		})
		if err != nil {
			return err
		}
		s.cloud.crash()
		n, err := s.cloud.acknowledged(ctx, h)
		if err != nil {
			return fmt.Errorf("kill %d: %w", round, err)
		}
		looked += n
		if err := s.cloud.on(ctx); err != nil {
			return err
		}
	}
	h.hurry(ctx)
	s.say("killed %d times in its commits; none of %d acknowledgements looked at was without its row", kills, looked)
	return nil
}

// importCards imports 150 new contacts.
func (s *scene) importCards(ctx context.Context, h *handset, round int) error {
	var cards strings.Builder
	for i := range 150 {
		fmt.Fprintf(&cards, "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:round-%d-%d\r\nFN:Round %d Card %d\r\nEND:VCARD\r\n", round, i, round, i)
	}
	path := s.path("cards.vcf")
	if err := os.WriteFile(path, []byte(cards.String()), 0o644); err != nil {
		return err
	}
	_, err := h.do(ctx, "import", path)
	return err
}
