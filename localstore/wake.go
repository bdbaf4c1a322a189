package localstore

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	wakePoll    = time.Second            // where files can not be watched
	wakeApart   = 100 * time.Microsecond // between the first looks at once after a pause; then each wait is twice the last, up to wakeSoon
	wakeLooks   = 4                      // how many these are
	wakeOwn     = time.Millisecond       // for so long after a transaction a write to the -wal is taken for its
	wakeFirst   = 500 * time.Microsecond // from a write to the -wal to the first look that is not at once
	wakeSoon    = 8 * time.Millisecond   // up to here each wait is twice the last, then three times
	wakeLast    = 3 * time.Second        // no wait is longer
	absorbAfter = 2 * time.Second        // quiet time after which other programs' writes are absorbed
	flushAfter  = 30 * time.Second       // quiet time after which the full text is indexed
)

// watcher notices commits of other programs.
type watcher struct {
	stop chan struct{}
	done chan struct{}
}

// Wake gives a value, at most one waiting, after commits that changed
// something to be minted or sent: by this Store, or by any other process within
// some milliseconds. The first call starts the watching, which ends with Close.
func (s *Store) Wake() <-chan struct{} {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if s.watcher == nil {
		w := &watcher{make(chan struct{}), make(chan struct{})}
		s.watcher = w
		go s.watch(w)
	}
	return s.wake
}

func (s *Store) stopWatching() {
	s.watchMu.Lock()
	w := s.watcher
	s.watchMu.Unlock()
	if w == nil {
		return
	}
	select {
	case <-w.stop:
	default:
		close(w.stop)
	}
	<-w.done
}

// signal wakes whoever reads Wake.
func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// watch runs until stop. Writes to the -wal, by whomever, make it look at
// data_version, which changes only for commits of other connections. A commit
// writes the -wal, waits until that is on the flash, and only then becomes
// visible, without another event: so it looks soon, and again, for some seconds.
// It also looks at once when an event does not seem to come from this Store's own
// writes, less often while they go on: a timer takes a millisecond at least, and
// by then a small commit is long there.
func (s *Store) watch(w *watcher) {
	defer close(w.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, closeEvents := s.walEvents()
	defer closeEvents()
	poll := time.NewTicker(wakePoll)
	defer poll.Stop()
	switch {
	case events != nil:
		poll.Stop()
	case !s.Poll:
		s.Log.Warn("the database can not be watched, it is looked at every second")
	}
	upkeep := upkeep{s: s, timer: time.NewTimer(absorbAfter), absorb: true}
	defer upkeep.timer.Stop()
	again, wait := time.NewTimer(wakeFirst), wakeFirst
	defer again.Stop()
	s.look(ctx)                    // what came before the watching
	looked, looks := time.Now(), 0 // at once, since the last pause
	for {
		select {
		case <-w.stop:
			return
		case <-poll.C:
			upkeep.after(s.look(ctx))
		case name, ok := <-events:
			switch {
			case !ok:
				events = nil
				s.Log.Warn("the database is no longer watched, it is looked at every second")
				poll.Reset(wakePoll)
			case name == s.path+"-wal":
				if wait > wakeSoon {
					looks = 0
				}
				if wait > wakeFirst { // a commit is several writes: only the first counts
					wait = wakeFirst
					again.Reset(wait)
				}
				others := false
				if time.Since(looked) >= apart(looks) && !s.writes() {
					others = s.look(ctx)
					looked, looks = time.Now(), looks+1
				}
				upkeep.after(others)
			}
		case <-again.C:
			if s.look(ctx) {
				upkeep.after(true)
			}
			if wait = longer(wait); wait <= wakeLast {
				again.Reset(wait)
			}
		case <-upkeep.timer.C:
			upkeep.run(ctx)
		}
	}
}

// upkeep absorbs, a little after other programs' commits, what they wrote, and
// indexes the full text some time after any commit.
type upkeep struct {
	s       *Store
	timer   *time.Timer
	waiting bool // the timer runs for the full text
	absorb  bool // the timer runs for what others wrote
}

func (u *upkeep) after(othersCommit bool) {
	switch {
	case othersCommit:
		u.absorb = true
		u.timer.Reset(absorbAfter)
	case !u.absorb && !u.waiting:
		u.waiting = true
		u.timer.Reset(flushAfter)
	}
}

func (u *upkeep) run(ctx context.Context) {
	work := u.s.absorb
	if !u.absorb {
		work = u.s.flush
	}
	if err := work(ctx); err != nil {
		u.s.Log.Warn("absorb what programs wrote", "error", err)
	}
	u.waiting = u.absorb
	if u.absorb {
		u.absorb = false
		u.timer.Reset(flushAfter)
	}
}

// writes reports whether a transaction of this Store is under way or has just ended.
func (s *Store) writes() bool {
	return len(s.writing) > 0 || time.Since(s.made)-time.Duration(s.wrote.Load()) < wakeOwn
}

// apart is the least time between a look at once and the next, after so many of
// them: another program's bulk of writes is not to be looked at for each of them.
func apart(looks int) time.Duration {
	d := wakeApart
	for ; looks > wakeLooks && d < wakeSoon; looks-- {
		d *= 2
	}
	return d
}

// longer is the wait after a look that follows a wait.
func longer(wait time.Duration) time.Duration {
	if wait < wakeSoon {
		return 2 * wait
	}
	return 3 * wait
}

// walEvents gives the names of files in the database's folder that were written
// to; nil if that can not be watched.
func (s *Store) walEvents() (<-chan string, func()) {
	if s.Poll {
		return nil, func() {}
	}
	fw, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, func() {}
	}
	if err := fw.Add(filepath.Dir(s.path)); err != nil {
		fw.Close()
		return nil, func() {}
	}
	names := make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(names)
		for {
			select {
			case e, ok := <-fw.Events:
				if !ok {
					return
				}
				if !e.Has(fsnotify.Write) && !e.Has(fsnotify.Create) {
					continue
				}
				select {
				case names <- e.Name:
				case <-done:
					return
				}
			case _, ok := <-fw.Errors:
				if !ok {
					return
				}
				select { // events were lost: look
				case names <- s.path + "-wal":
				case <-done:
					return
				}
			}
		}
	}()
	return names, func() {
		close(done)
		fw.Close()
	}
}

// look reports whether another connection has committed since the last look,
// repairs the schema if one changed it, and signals.
func (s *Store) look(ctx context.Context) bool {
	changed, schema, err := s.versions(ctx)
	if err != nil {
		return false
	}
	if schema {
		if err := s.checkSchema(ctx); err != nil {
			s.Log.Error("check the schema", "error", err)
		}
	}
	if changed {
		s.signal()
	}
	return changed
}

func (s *Store) versions(ctx context.Context) (data, schema bool, err error) {
	if err := s.lock(ctx); err != nil {
		return false, false, err
	}
	defer s.unlock()
	d, err := s.writer.count("PRAGMA data_version")
	if err != nil {
		return false, false, err
	}
	v, err := s.writer.count("PRAGMA schema_version")
	data, schema = int64(d) != s.dataAt, int64(v) != s.schemaAt
	s.dataAt = int64(d)
	return data, schema, err
}
