package localstore

import (
	"fmt"
	"sync"

	"sidekeep/localstore/carve"
)

// opened counts the stores of this process by their file. Closing a file drops
// the locks that SQLite has on it in the same process, so nothing but SQLite
// opens one that is in use here.
var opened = struct {
	sync.Mutex
	stores map[string]int
}{stores: map[string]int{}}

// enter counts the store, and refuses a file whose end is missing: beside a log
// SQLite would take it for a whole one, and fill the hole with zeros.
func (s *Store) enter() error {
	opened.Lock()
	defer opened.Unlock()
	if opened.stores[s.path] == 0 {
		missing, err := carve.Cut(s.path)
		if err != nil {
			return err
		}
		if missing != "" {
			return fmt.Errorf("%w: %s", ErrDamaged, missing)
		}
	}
	opened.stores[s.path]++
	s.entered = true
	return nil
}

// leave undoes enter, when SQLite has closed the file.
func (s *Store) leave() {
	opened.Lock()
	defer opened.Unlock()
	if !s.entered {
		return
	}
	s.entered = false
	if opened.stores[s.path]--; opened.stores[s.path] == 0 {
		delete(opened.stores, s.path)
	}
}
