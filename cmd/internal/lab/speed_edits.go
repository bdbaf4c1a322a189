package lab

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// editPause is between single edits, so that each finds both handsets at rest.
const editPause = 25 * time.Millisecond

// app is a program of a handset that reads and writes contacts through SQL.
type app struct{ *sql.DB }

func (h *handset) openApp() (app, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(filepath.Join(h.home, "data", "sidekeep.db"))+
		"?_pragma=busy_timeout(10000)&_pragma=synchronous(full)&_txlock=immediate")
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return app{db}, err
}

func (a app) contacts(ctx context.Context, n int) (ids []string, err error) {
	rows, err := a.QueryContext(ctx, "SELECT id FROM contacts ORDER BY id LIMIT ?", n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

func (a app) write(ctx context.Context, id, note string) error {
	_, err := a.ExecContext(ctx, "UPDATE contacts SET note = ? WHERE id = ?", note, id)
	return err
}

// see waits until a contact has a note. It looks when somebody committed; a
// commit can be seen only once it is on the flash.
func (a app) see(ctx context.Context, id, note string) error {
	last, limit := int64(-1), time.Now().Add(time.Minute)
	for {
		var version int64
		if err := a.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version); err != nil {
			return err
		}
		if version != last {
			last = version
			var have string
			if err := a.QueryRowContext(ctx, "SELECT coalesce(note, '') FROM contacts WHERE id = ?", id).Scan(&have); err != nil {
				return err
			}
			if have == note {
				return nil
			}
		}
		if time.Now().After(limit) {
			return fmt.Errorf("an edit did not arrive within a minute")
		}
		nap(100 * time.Microsecond)
	}
}

// nap is a sleep that can be shorter than a millisecond, which timers of an idle
// process can not.
func nap(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // a signal ends it: the caller looks once more
}

// edits measures edits from handset a to handset b.
func (s *speedRun) edits(ctx context.Context, prefix string, a, b *speedHandset) error {
	for _, h := range []*speedHandset{a, b} {
		if err := h.on(); err != nil {
			return err
		}
	}
	if err := settled(ctx, a.handset, b.handset); err != nil {
		return err
	}
	from, err := a.openApp()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := b.openApp()
	if err != nil {
		return err
	}
	defer to.Close()
	ids, err := from.contacts(ctx, s.o.Many)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return fmt.Errorf("no contacts to edit")
	}
	s.say("%s%d single edits", prefix, s.o.Edits)
	if err := s.single(ctx, s.row(prefix+"one edit, a to b", s.o.Edits), a, b, from, to, ids); err != nil {
		return err
	}
	if prefix == "" {
		s.say("%d edits online, %d offline", s.o.Many, s.o.Many)
		if err := s.online(ctx, a, b, from, to, ids); err != nil {
			return err
		}
	}
	if err := a.off(); err != nil {
		return err
	}
	if err := b.off(); err != nil || prefix != "" {
		return err
	}
	for i := range s.o.Many {
		if err := from.write(ctx, ids[i%len(ids)], fmt.Sprintf("offline, number %d", i)); err != nil {
			return err
		}
	}
	_, err = s.measure(ctx, s.row(fmt.Sprintf("%d edits offline, then sync", s.o.Many), s.o.Many), a, 0, "sync")
	return err
}

func (s *speedRun) single(ctx context.Context, r *speedRow, a, b *speedHandset, from, to app, ids []string) error {
	err := s.live(r, a, b, func() error {
		var ms []float64
		for i := range s.o.Edits {
			time.Sleep(editPause)
			id, note := ids[i%len(ids)], fmt.Sprintf("edited %d times, and then once more", i)
			begun := time.Now()
			if err := from.write(ctx, id, note); err != nil {
				return err
			}
			if err := to.see(ctx, id, note); err != nil {
				return err
			}
			ms = append(ms, float64(time.Since(begun).Microseconds())/1000)
		}
		if !s.counting {
			r.Median, r.P99 = percentile(ms, 0.5), percentile(ms, 0.99)
			f := s.result.Floor
			r.floor = cost{Seconds: 2*f.Echo.Seconds + 3*f.Commit.Seconds}
		}
		time.Sleep(editPause) // the last acknowledgement
		return nil
	})
	if r.Trips != nil && s.counting { // of one edit
		for _, n := range []*int64{r.Up, r.Down, r.Trips, r.Device.Fsyncs, r.Cloud.Fsyncs} {
			if n != nil {
				*n = (*n + int64(s.o.Edits)/2) / int64(s.o.Edits)
			}
		}
	}
	return err
}

func (s *speedRun) online(ctx context.Context, a, b *speedHandset, from, to app, ids []string) error {
	r := s.row(fmt.Sprintf("%d edits online", s.o.Many), s.o.Many)
	return s.live(r, a, b, func() error {
		begun := time.Now()
		for i := range s.o.Many {
			if err := from.write(ctx, ids[i%len(ids)], fmt.Sprintf("online, number %d", i)); err != nil {
				return err
			}
		}
		for i := max(0, s.o.Many-len(ids)); i < s.o.Many; i++ {
			if err := to.see(ctx, ids[i%len(ids)], fmt.Sprintf("online, number %d", i)); err != nil {
				return err
			}
		}
		if !s.counting {
			r.Seconds = time.Since(begun).Seconds()
			r.floor = cost{Seconds: float64(s.o.Many) * s.result.Floor.Commit.Seconds}
		}
		return settled(ctx, a.handset, b.handset)
	})
}

// live enters what two running handsets and the cloud spend while act runs; the
// device of the row is a.
func (s *speedRun) live(r *speedRow, a, b *speedHandset, act func() error) error {
	m := meter{a.agent}
	cpu, synced := m.cpu(), int64(0)
	if s.counting {
		synced = m.fsyncs()
	}
	m.resetRSS()
	if err := s.watchCloud(r, []*speedHandset{a, b}, act); err != nil {
		return err
	}
	if !s.counting {
		r.Device = party{CPU: m.cpu() - cpu, RSS: m.rss(), Disk: diskBytes(a.home)}
	} else if s.trace != nil {
		synced = m.fsyncs() - synced
		r.Device.Fsyncs = &synced
	}
	return nil
}
