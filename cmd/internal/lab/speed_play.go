package lab

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sidekeep/cmd/internal/lab/sample"
)

// speedRun plays the workload once, and fills the rows' times or their counts.
type speedRun struct {
	*story
	*bench
	o        speedOptions
	result   *speedResult
	counting bool
	cloud    *server
	stop     context.CancelFunc // of the counters
	counters []*counter
}

// speedHandset is a handset and, in a counting pass, the counter before it.
type speedHandset struct {
	*handset
	counter *counter
}

// row returns the row of a name, made at the end of the table if it is new.
func (s *speedRun) row(name string, records int) *speedRow {
	for _, r := range s.result.Rows {
		if r.Name == name {
			return r
		}
	}
	r := &speedRow{Name: name, Records: records}
	s.result.Rows = append(s.result.Rows, r)
	return r
}

// play runs the parts that were asked for.
func (s *speedRun) play(ctx context.Context) error {
	ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	s.cloud = s.server("cloud")
	if err := s.cloud.on(ctx); err != nil {
		return err
	}
	var handsets []*speedHandset
	for _, name := range []string{"a", "b", "c", "d"} {
		h := &speedHandset{handset: s.handset(name)}
		if s.counting {
			var err error
			if h.counter, err = newCounter(ctx, s.cloud.addr); err != nil {
				return err
			}
			s.counters = append(s.counters, h.counter)
			s.cloud.args = append(s.cloud.args, "--origin", h.counter.url())
		}
		handsets = append(handsets, h)
	}
	if s.counting { // once more, with the addresses of the counters
		if err := s.cloud.off(); err != nil {
			return err
		}
		if err := s.cloud.on(ctx); err != nil {
			return err
		}
	}
	f := s.result.Floor
	if s.o.wants("sync") || s.o.wants("edits") || s.o.wants("loss") {
		if err := s.account(ctx, "", handsets[0], handsets[1], s.o.Records, f.Rows.of(1, f.Text)); err != nil {
			return err
		}
	}
	if s.o.wants("loss") {
		if err := s.losses(ctx, handsets[0]); err != nil {
			return err
		}
	}
	if s.o.wants("grow") && s.o.Grow > 0 && !s.counting {
		times := float64(s.o.Grow)
		if err := s.account(ctx, fmt.Sprintf("%d x W: ", s.o.Grow), handsets[2], handsets[3], s.o.Records*s.o.Grow, f.Rows.of(times, f.Text)); err != nil {
			return err
		}
	}
	if s.o.wants("fleet") && !s.counting {
		return s.fleet(ctx)
	}
	return nil
}

// address is what a handset dials.
func (s *speedRun) address(h *speedHandset) string {
	if h.counter != nil {
		return h.counter.url()
	}
	return s.cloud.url()
}

// account makes an account on two handsets and measures its life. Names of rows
// begin with prefix.
func (s *speedRun) account(ctx context.Context, prefix string, a, b *speedHandset, records int, floor cost) error {
	words, err := a.create(ctx, s.address(a))
	if err != nil {
		return err
	}
	text, raw, err := s.writeText(records)
	if err != nil {
		return err
	}
	first := prefix == ""
	if first {
		s.result.RawText = raw
	}
	s.say("%s%d records, %.1f MB: import, up, down", prefix, records, float64(raw)/1e6)
	if _, err := s.measure(ctx, s.row(prefix+"import", records), a, 0, "import", text); err != nil {
		return err
	}
	os.RemoveAll(text)
	up, err := s.measure(ctx, s.row(prefix+"text up", records), a, raw, "sync")
	if err != nil {
		return err
	}
	file := b.home + ".words"
	if err := os.WriteFile(file, []byte(words+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	// To join begins to read.
	down, err := s.measure(ctx, s.row(prefix+"join, text down", records), b, raw, "join", "--cloud", s.address(b), "--name", b.name, "--words-file", file, "then", "sync")
	if err != nil {
		return err
	}
	up.floor, down.floor = floor, floor
	if first && s.o.Pictures > 0 {
		if err := s.pictures(ctx, a, b); err != nil {
			return err
		}
	}
	// What the other handset stated meanwhile comes before, or it would be news.
	if _, err := a.spend(ctx, "sync"); err != nil {
		return err
	}
	if _, err := s.measure(ctx, s.row(prefix+"no-op sync", 0), a, 0, "sync"); err != nil {
		return err
	}
	if err := s.coldStart(ctx, prefix, a); err != nil {
		return err
	}
	if !s.o.wants("edits") {
		return nil
	}
	return s.edits(ctx, prefix, a, b)
}

// pictures imports pictures on one handset and brings them to the other.
func (s *speedRun) pictures(ctx context.Context, a, b *speedHandset) error {
	folder, n, err := s.writePictures()
	if err != nil {
		return err
	}
	s.result.RawBlobs = n
	s.say("%d pictures, %.1f MB", s.o.Pictures, float64(n)/1e6)
	if _, err := s.measure(ctx, s.row("import pictures", s.o.Pictures), a, 0, "import", folder); err != nil {
		return err
	}
	os.RemoveAll(folder)
	for _, end := range []struct {
		name string
		h    *speedHandset
	}{{"pictures up", a}, {"pictures down", b}} {
		row, err := s.measure(ctx, s.row(end.name, s.o.Pictures), end.h, n, "sync")
		if err != nil {
			return err
		}
		row.floor = s.result.Floor.Pictures.of(1, s.result.Floor.Blobs)
	}
	return nil
}

func (s *speedRun) writeText(records int) (folder string, raw int64, err error) {
	folder = s.path("text")
	for _, kind := range []string{"contacts", "events", "notes", "tasks"} {
		if err := os.MkdirAll(filepath.Join(folder, kind), 0o755); err != nil {
			return "", 0, err
		}
	}
	return folder, raw, sample.Workload(records, func(f sample.File) error {
		raw += int64(len(f.Data))
		return os.WriteFile(filepath.Join(folder, filepath.FromSlash(f.Name)), f.Data, 0o644)
	})
}

func (s *speedRun) writePictures() (folder string, raw int64, err error) {
	folder = s.path("images")
	if err := os.MkdirAll(filepath.Join(folder, "pictures"), 0o755); err != nil {
		return "", 0, err
	}
	for i := range s.o.Pictures {
		f := sample.WorkloadPicture(i)
		raw += int64(len(f.Data))
		if err := os.WriteFile(filepath.Join(folder, filepath.FromSlash(f.Name)), f.Data, 0o644); err != nil {
			return "", 0, err
		}
	}
	return folder, raw, nil
}

// measure runs a command of h to its end, and another if there is a "then" in
// args, and enters what they and the cloud spent.
func (s *speedRun) measure(ctx context.Context, r *speedRow, h *speedHandset, raw int64, args ...string) (*speedRow, error) {
	return r, s.watchCloud(r, []*speedHandset{h}, func() error {
		var all usage
		for {
			command, rest := args, []string(nil)
			if i := slices.Index(args, "then"); i >= 0 {
				command, rest = args[:i], args[i+1:]
			}
			u, err := h.spend(ctx, command...)
			if err != nil {
				return err
			}
			all.add(u)
			if args = rest; args == nil {
				break
			}
		}
		r.raw = raw
		if !s.counting {
			r.Seconds, r.Device = all.seconds, party{CPU: all.cpu, RSS: all.rss, Own: all.own, Disk: diskBytes(h.home)}
		} else if s.trace != nil {
			r.Device.Fsyncs = &all.fsyncs
		}
		return nil
	})
}

// watchCloud enters what the cloud spends, and what passes the counters of the
// handsets, while act runs. With two handsets up is the first one's leg and down
// the second one's.
func (s *speedRun) watchCloud(r *speedRow, handsets []*speedHandset, act func() error) error {
	cloud := meter{s.cloud.proc}
	type totals struct{ up, down, trips int64 }
	var before []totals
	var synced int64
	if s.counting {
		synced = cloud.fsyncs()
		for _, h := range handsets {
			up, down, trips := h.counter.totals()
			before = append(before, totals{up, down, trips})
		}
	}
	cloud.resetRSS()
	cpu := cloud.cpu()
	if err := act(); err != nil {
		return err
	}
	if !s.counting {
		r.Cloud.CPU, r.Cloud.RSS, r.Cloud.Disk = cloud.cpu()-cpu, cloud.rss(), diskBytes(s.cloud.data)
		return nil
	}
	if s.trace != nil {
		synced = cloud.fsyncs() - synced
		r.Cloud.Fsyncs = &synced
	}
	var up, down, trips int64
	for i, h := range handsets {
		u, d, t := h.counter.totals()
		u, d, trips = u-before[i].up, d-before[i].down, trips+t-before[i].trips
		switch {
		case len(handsets) == 1:
			up, down = u, d
		case i == 0:
			up = u + d
		default:
			down = u + d
		}
	}
	r.Up, r.Down, r.Trips = &up, &down, &trips
	return nil
}

// coldStart measures how long an agent takes from its start until it answers an
// app, and until it is proven in sync.
func (s *speedRun) coldStart(ctx context.Context, prefix string, h *speedHandset) error {
	answers, proven := s.row(prefix+"start until it answers", 0), s.row(prefix+"start until proven", 0)
	return s.watchCloud(proven, []*speedHandset{h}, func() error {
		begun := time.Now()
		if err := h.on(); err != nil {
			return err
		}
		err := soon(ctx, func() (bool, error) {
			_, err := h.live(ctx)
			return err == nil, h.agent.ended()
		})
		if err != nil {
			return err
		}
		first := time.Since(begun).Seconds()
		if err := soon(ctx, func() (bool, error) {
			st, err := h.live(ctx)
			return err == nil && st.Cloud.State == "live" && st.unproven() == "", h.agent.ended()
		}); err != nil {
			return err
		}
		m := meter{h.agent}
		if !s.counting {
			answers.Seconds, proven.Seconds = first, time.Since(begun).Seconds()
			proven.Device = party{CPU: m.cpu(), RSS: m.rss(), Disk: diskBytes(h.home)}
		} else if s.trace != nil {
			n := m.fsyncs()
			proven.Device.Fsyncs = &n
		}
		return h.off()
	})
}

// soon waits, looking every millisecond, until check says yes.
func soon(ctx context.Context, check func() (bool, error)) error {
	for begun := time.Now(); ; {
		yes, err := check()
		switch {
		case err != nil:
			return err
		case yes:
			return nil
		case time.Since(begun) > 2*time.Minute:
			return fmt.Errorf("waited for two minutes in vain")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// losses takes records away from the cloud and has a handset give them back.
func (s *speedRun) losses(ctx context.Context, h *speedHandset) error {
	for _, l := range []struct {
		name string
		n    int
	}{{"1 record", 1}, {"1 % of the records", s.o.Records / 100}, {"all records", s.o.Records}} {
		s.say("the cloud loses %s", l.name)
		if err := s.cloud.off(); err != nil {
			return err
		}
		if err := forget(ctx, filepath.Join(s.cloud.data, "cloud.db"), l.n); err != nil {
			return err
		}
		if err := s.cloud.on(ctx); err != nil {
			return err
		}
		r, err := s.measure(ctx, s.row("cloud lost "+l.name, l.n), h, 0, "sync")
		if err != nil {
			return err
		}
		if l.n == s.o.Records {
			r.floor = s.result.Floor.Rows.of(1, s.result.Floor.Text)
		}
	}
	return nil
}

// forget removes n text records from the database of a cloud that is off.
func forget(ctx context.Context, path string, n int) error {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(path))
	if err != nil {
		return err
	}
	defer db.Close()
	r, err := db.ExecContext(ctx, `DELETE FROM version WHERE (account, kind, seq) IN
		(SELECT account, kind, seq FROM version WHERE kind != 'pictures' ORDER BY record LIMIT ?)`, n)
	if err != nil {
		return fmt.Errorf("take records from the cloud: %w", err)
	}
	if gone, err := r.RowsAffected(); err != nil || gone == 0 {
		return fmt.Errorf("take %d records from the cloud: %d taken: %w", n, gone, err)
	}
	return nil
}
