package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sidekeep/localstore"
	"sidekeep/syncproto/seal"
)

// A rekey makes a new identity, configuration and database beside those in use:
// the first two in folder rekey of the home, the database in folder rekeyed of
// the data folder, which may be on another file system. The rename of rekey to
// rekeyed is the switch: all before it is undone by removing, all after it is
// finished by whoever opens the home next.
const (
	rekeyDir       = "rekey"
	rekeyedDir     = "rekeyed"
	replacedFile   = "replaced" // in rekeyed: the name of the folder for what is replaced
	replacedPrefix = "replaced-"
	replacedStamp  = replacedPrefix + "20060102T150405Z"
	rekeyLock      = "rekey.lock"
	devicesFile    = "devices" // of package agent
)

// stageRekey writes what takes the place of the home's identity and
// configuration, and returns the folder where the database belongs.
func stageRekey(h *home, id *seal.Identity, c config) (data string, err error) {
	data = filepath.Join(h.data(), rekeyedDir)
	dir := filepath.Join(h.dir, rekeyDir)
	if err := errors.Join(os.RemoveAll(data), os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return "", err
	}
	put := func(name string, b []byte) error {
		return writeDurably(filepath.Join(dir, name), func(w io.Writer) error {
			_, err := w.Write(b)
			return err
		})
	}
	return data, errors.Join(
		put(identityFile, id.Marshal()),
		put(replacedFile, []byte(time.Now().UTC().Format(replacedStamp))),
		writeConfig(dir, c),
		syncDir(h.dir))
}

// abandonRekey takes away what stageRekey and what followed made. It does
// nothing after the switch.
func abandonRekey(h *home) {
	if !exists(filepath.Join(h.dir, rekeyedDir)) {
		_ = os.RemoveAll(filepath.Join(h.data(), rekeyedDir))
		_ = os.RemoveAll(filepath.Join(h.dir, rekeyDir))
	}
}

// switchRekey is the switch.
func switchRekey(h *home) error {
	return errors.Join(
		syncDir(filepath.Join(h.data(), rekeyedDir)), syncDir(h.data()),
		os.Rename(filepath.Join(h.dir, rekeyDir), filepath.Join(h.dir, rekeyedDir)),
		syncDir(h.dir))
}

// finishRekey puts in place what switchRekey decided, and moves away what was
// there. Each step is one that a power cut may follow.
func finishRekey(dir string) error {
	stage := filepath.Join(dir, rekeyedDir)
	if !exists(stage) {
		return nil
	}
	l, err := takeLockFile(filepath.Join(dir, rekeyLock), "rekey")
	if err != nil {
		return err
	}
	defer l.release()
	name, err := os.ReadFile(filepath.Join(stage, replacedFile))
	if errors.Is(err, fs.ErrNotExist) { // finished but for the folder
		return errors.Join(os.RemoveAll(stage), syncDir(dir))
	}
	if err != nil {
		return err
	}
	aside := filepath.Base(string(name))
	from := dir // of the configuration: the new one, or where it went already
	if exists(filepath.Join(stage, configFile)) {
		from = stage
	}
	cfg, err := readConfig(from)
	if err != nil {
		return err
	}
	for _, step := range switchSteps(&home{dir: dir, config: cfg}, aside) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// switchSteps are what finishRekey does. Each may be the last before a power cut,
// and does nothing if it was done already. The identity comes last: as long as
// the old one is in place, so is folder rekeyed, and finishRekey comes first for
// whoever opens the home.
func switchSteps(h *home, aside string) []func() error {
	stage, kept, data := filepath.Join(h.dir, rekeyedDir), filepath.Join(h.dir, aside), filepath.Join(h.data(), aside)
	fresh := filepath.Join(h.data(), rekeyedDir, localstore.FileName)
	steps := []func() error{
		func() error { return os.MkdirAll(kept, 0o700) },
		func() error { return os.MkdirAll(data, 0o700) },
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		name := localstore.FileName + suffix
		steps = append(steps, func() error {
			if !exists(fresh) {
				return nil
			}
			return moveIfThere(filepath.Join(h.data(), name), filepath.Join(data, name))
		})
	}
	return append(steps,
		func() error { return errors.Join(syncDir(data), syncDir(h.data())) },
		func() error { return moveIfThere(fresh, filepath.Join(h.data(), localstore.FileName)) },
		func() error { return errors.Join(syncDir(h.data()), h.mendPermissions(nil)) },
		func() error {
			if !exists(filepath.Join(stage, identityFile)) {
				return nil
			}
			err := os.Link(filepath.Join(h.dir, identityFile), filepath.Join(kept, identityFile))
			if errors.Is(err, fs.ErrExist) {
				err = nil
			}
			return errors.Join(err, syncDir(kept), syncDir(h.dir))
		},
		func() error { // what was known about devices of the old account
			if !exists(filepath.Join(stage, identityFile)) {
				return nil
			}
			return moveIfThere(filepath.Join(h.dir, devicesFile), filepath.Join(kept, devicesFile))
		},
		func() error { return moveIfThere(filepath.Join(stage, configFile), filepath.Join(h.dir, configFile)) },
		func() error {
			return moveIfThere(filepath.Join(stage, identityFile), filepath.Join(h.dir, identityFile))
		},
		func() error { return syncDir(h.dir) },
		func() error { return os.RemoveAll(filepath.Join(h.data(), rekeyedDir)) },
		func() error { return os.Remove(filepath.Join(stage, replacedFile)) },
		func() error { return errors.Join(os.RemoveAll(stage), syncDir(h.dir)) },
	)
}

// moveIfThere renames a file that may have been renamed already.
func moveIfThere(from, to string) error {
	err := os.Rename(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// replacedIdentities are the identities that this home had before. One that can
// not be read is nothing to stop for: they only tell what was imported before.
func replacedIdentities(dir string) []*seal.Identity {
	var ids []*seal.Identity
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), replacedPrefix) {
			continue
		}
		if b, err := os.ReadFile(filepath.Join(dir, e.Name(), identityFile)); err == nil {
			if id, err := seal.ParseIdentity(b); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}
