package model

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"sidekeep/localstore"
	"sidekeep/syncproto/seal"
)

// image is a copy of a handset's files.
type image struct {
	dir string
	memory
}

// save copies the handset's files.
func (h *handset) save(dir string) (image, error) {
	return image{dir, h.memory.clone()}, copyFiles(h.dir, dir, localstore.FileName)
}

// load makes the handset what an image holds. raw hides from the store that
// its file is a copy, as an image of a whole disk does.
func (h *handset) load(i image, raw bool) error {
	if err := os.RemoveAll(h.dir); err != nil {
		return err
	}
	if err := copyFiles(i.dir, h.dir, localstore.FileName); err != nil {
		return err
	}
	h.memory = i.memory.clone()
	if raw {
		if err := hideCopy(h.path()); err != nil {
			return err
		}
	}
	return h.open()
}

// fresh makes an empty store in a handset's folder: a copy of one that this
// program made, which saves most of the time of a short history.
func (h *handset) fresh() error {
	empty, err := emptyStore()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(h.path(), empty, 0o600); err != nil {
		return err
	}
	return h.open()
}

var emptyStore = sync.OnceValues(func() ([]byte, error) {
	dir, err := folder()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	random := rand.NewChaCha8([32]byte{2})
	secret, err := seal.NewSecret(random)
	if err != nil {
		return nil, err
	}
	id, err := seal.NewIdentity(secret, random)
	if err != nil {
		return nil, err
	}
	s, err := localstore.Open(context.Background(), dir, localstore.Options{Hasher: id.Keys(), Rand: random})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, localstore.FileName)
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return nil, err
	}
	// As a file that was never used: the first to open it notes where it is.
	_, err = db.Exec("DELETE FROM meta WHERE key = 'provenance'; PRAGMA wal_checkpoint(TRUNCATE)")
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// copyFiles copies a database with its write-ahead log.
func copyFiles(from, to, file string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	f, err := readFiles(filepath.Join(from, file))
	if err != nil {
		return err
	}
	return f.write(filepath.Join(to, file))
}

// files are the bytes of a database and its write-ahead log.
type files struct{ main, wal []byte }

func readFiles(path string) (f files, err error) {
	if f.main, err = os.ReadFile(path); err != nil {
		return f, err
	}
	f.wal, err = os.ReadFile(path + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return f, err
}

// write writes the bytes into the files that are there, or new ones.
func (f files) write(path string) error {
	err := os.WriteFile(path, f.main, 0o600)
	if err == nil && f.wal != nil {
		err = os.WriteFile(path+"-wal", f.wal, 0o600)
	}
	return err
}

// walHeaderBytes is the header of a write-ahead log; another one begins when it was emptied.
const walHeaderBytes = 32

// torn returns after without some of what was written since before: what a
// battery that is pulled leaves. Commits of before stay.
func torn(before, after files, pick func(n int) int) files {
	head := min(walHeaderBytes, len(after.wal))
	if !bytes.Equal(before.main, after.main) || len(before.wal) > 0 && (len(after.wal) < len(before.wal) || !bytes.Equal(before.wal[:head], after.wal[:head])) {
		return after // the log was moved into the file meanwhile
	}
	if more := len(after.wal) - len(before.wal); more > 0 {
		after.wal = after.wal[:len(before.wal)+pick(more+1)]
	}
	return after
}

// kill ends the handset between two instructions, and starts it again.
func (h *handset) kill() error {
	f, err := readFiles(h.path())
	if err != nil {
		return err
	}
	return h.wake(f)
}

// wake gives the handset the files that its process left, and starts it.
func (h *handset) wake(f files) error {
	if err := h.close(); err != nil {
		return err
	}
	if err := f.write(h.path()); err != nil { // into the same file
		return err
	}
	return h.open()
}

// tear pulls the battery while the handset commits what a message, or the
// beginning of a session, made it write: of that any part may be on the disk.
func (h *handset) tear(rng *rand.Rand) error {
	if h.link == nil && rng.IntN(2) == 0 {
		if err := h.connect(false); err != nil {
			return err
		}
	}
	for range rng.IntN(6) {
		if h.link != nil {
			if _, err := h.link.work(rng.IntN); err != nil {
				return err
			}
		}
	}
	before, err := readFiles(h.path())
	if err != nil {
		return err
	}
	was, knew := h.rows, h.memory.clone()
	var n news
	if h.link != nil && len(h.link.down) > 0 {
		b := h.link.down[0]
		n = h.link.news(b)
		h.link.device.Receive(b)
	} else {
		h.drop()
		if _, err := h.agent.Step(h.w.ctx, false); err != nil {
			return err
		}
		h.store.EndSession()
	}
	after, err := readFiles(h.path())
	if err != nil {
		return err
	}
	if err := h.wake(torn(before, after, rng.IntN)); err != nil {
		return err
	}
	h.memory, h.rows, h.version = knew, was, -1
	n.aborted, n.partly = true, true
	return h.settled(n)
}

// hideCopy makes a copied database believe that it is the file that it was.
func hideCopy(path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		return err
	}
	defer db.Close()
	var text string
	if err := db.QueryRow("SELECT value FROM meta WHERE key = 'provenance'").Scan(&text); err != nil {
		return err
	}
	var was map[string]string
	if err := json.Unmarshal([]byte(text), &was); err != nil {
		return err
	}
	was["File"] = fmt.Sprintf("inode %d", fi.Sys().(*syscall.Stat_t).Ino)
	b, err := json.Marshal(was)
	if err != nil {
		return err
	}
	_, err = db.Exec("UPDATE meta SET value = ? WHERE key = 'provenance'", string(b))
	return err
}
