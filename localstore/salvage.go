package localstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sidekeep/localstore/carve"
	"sidekeep/localstore/record"
)

// Folders beside the database.
const (
	salvageDir  = "salvage"  // a database that is being made of a damaged one
	salvagedDir = "salvaged" // one that is finished, to take the place of the damaged one
	asideFile   = "aside"    // in it: the name of the folder where the damaged one is kept
	asideFormat = "damaged-20060102T150405Z"
)

// Salvaged says what Salvage found.
type Salvaged struct {
	Aside   string // folder where the damaged database is kept
	Records int    // brought over whole
	Edited  int    // of these, with changes that were not synced
	Chunks  int    // pieces of large values brought over
	Lost    []Lost // records that are known to have been there and could not be read
	Damage  carve.Report
}

// Salvage makes a new database of what can be read of the damaged one in folder
// dir, page by page: each version is proven by its id, each piece by its hash.
// The damaged one is kept in a folder named for the time. The new one begins
// under a new replica id and with nothing proven, so that the next session
// reconciles it with the cloud. What could not be read is on the list of Lost.
// Nobody in this process may have the database open.
func Salvage(ctx context.Context, dir string, o Options, progress func(float64)) (Salvaged, error) {
	var report Salvaged
	o, err := o.withDefaults()
	if err != nil {
		return report, err
	}
	if progress == nil {
		progress = func(float64) {}
	}
	if err := finishSalvage(dir); err != nil {
		return report, fmt.Errorf("salvage: %w", err)
	}
	into := filepath.Join(dir, salvageDir)
	if err := os.RemoveAll(into); err != nil {
		return report, fmt.Errorf("salvage: %w", err)
	}
	if err := salvageInto(ctx, dir, into, o, &report, progress); err != nil {
		return report, errors.Join(fmt.Errorf("salvage: %w", err), os.RemoveAll(into))
	}
	name := o.Now().UTC().Format(asideFormat)
	for i := 2; exists(filepath.Join(dir, name)); i++ {
		name = fmt.Sprintf("%s-%d", o.Now().UTC().Format(asideFormat), i)
	}
	report.Aside = filepath.Join(dir, name)
	err = writeSynced(filepath.Join(into, asideFile), name)
	if err == nil {
		err = os.Rename(into, filepath.Join(dir, salvagedDir))
	}
	if err == nil {
		err = finishSalvage(dir)
	}
	if err != nil {
		return report, fmt.Errorf("salvage: %w", err)
	}
	return report, nil
}

// finishSalvage puts a finished database in the place of the damaged one. A
// power cut between any two steps is made good by the next call.
func finishSalvage(dir string) error {
	from := filepath.Join(dir, salvagedDir)
	if !exists(from) {
		return nil
	}
	if exists(filepath.Join(from, FileName)) {
		name, err := os.ReadFile(filepath.Join(from, asideFile))
		if err != nil {
			return err
		}
		aside := filepath.Join(dir, filepath.Base(string(name)))
		if err := os.MkdirAll(aside, 0o700); err != nil {
			return err
		}
		for _, suffix := range []string{"", "-wal", "-shm"} {
			err := os.Rename(filepath.Join(dir, FileName+suffix), filepath.Join(aside, FileName+suffix))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := errors.Join(syncFolder(aside), syncFolder(dir)); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(from, FileName), fileMode(dir)); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(from, FileName), filepath.Join(dir, FileName)); err != nil {
			return err
		}
		if err := syncFolder(dir); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(from), syncFolder(dir))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close(), syncFolder(filepath.Dir(path)))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// salvageInto fills a new database in folder into from the damaged one in dir.
func salvageInto(ctx context.Context, dir, into string, o Options, report *Salvaged, progress func(float64)) (err error) {
	file, done, err := openCarved(filepath.Join(dir, FileName))
	if err != nil {
		return err
	}
	defer done()
	s, err := Open(ctx, into, o)
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	s.ownClock = false // what is brought over keeps its times
	v := &salvager{ctx: ctx, s: s, file: file, report: report,
		dirty: map[int64][]dirtyRow{}, hints: map[record.ID]*Lost{}, names: map[record.ID]int{}, kinds: map[int64]record.Kind{}, brought: map[int64]record.ID{},
		places: map[record.ID]int64{}, queued: map[int64]bool{}, edited: map[int64]bool{}, marked: map[int64]bool{}, held: map[int64]bool{}, torn: map[record.ID]bool{}}
	for i, step := range []func() error{v.look, v.records, v.past, v.chunks, v.beside, v.finish} {
		progress(float64(i) / 6)
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// openCarved opens the files of a database for reading, without SQLite.
func openCarved(path string) (*carve.File, func(), error) {
	var open []*os.File
	done := func() {
		for _, f := range open {
			f.Close()
		}
	}
	sized := func(path string) (*os.File, int64, error) {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, 0, nil
		}
		if err != nil {
			return nil, 0, err
		}
		open = append(open, f)
		fi, err := f.Stat()
		if err != nil {
			return nil, 0, err
		}
		return f, fi.Size(), nil
	}
	db, size, err := sized(path)
	if err != nil {
		done()
		return nil, nil, err
	}
	wal, walSize, err := sized(path + "-wal")
	if err != nil {
		done()
		return nil, nil, err
	}
	var file *carve.File
	switch {
	case wal == nil && db == nil:
		file, err = carve.Open(strings.NewReader(""), 0, nil, 0, pageBytes)
	case wal == nil:
		file, err = carve.Open(db, size, nil, 0, pageBytes)
	case db == nil:
		file, err = carve.Open(strings.NewReader(""), 0, wal, walSize, pageBytes)
	default:
		file, err = carve.Open(db, size, wal, walSize, pageBytes)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return file, done, nil
}
