package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"sidekeep/localstore"
)

// Firmware that runs apps as users of their own shares the data folder, and only
// that, with a group of apps. It lies outside the home folder then: the keys stay
// in a folder that apps can not even enter.
const (
	sharedDirMode  = fs.ModeSetgid | 0o770 // the group of new files is the folder's
	sharedFileMode = 0o660
)

// shareFlags say where the data folder is, and whose.
type shareFlags struct {
	data, group string
}

// check makes paths absolute and refuses flags and folders that can not be.
func (f *shareFlags) check() error {
	if f.data == "" {
		if f.group != "" {
			return usagef("--apps-group needs --data: a folder outside the home folder, which holds the keys")
		}
		return nil
	}
	abs, err := filepath.Abs(f.data)
	if err != nil {
		return err
	}
	f.data = abs
	if exists(filepath.Join(abs, localstore.FileName)) {
		return &Error{Op: "use data folder", Object: abs, Cause: errors.New("there is a database already"), Code: ExitRefused,
			Hint: "name another folder; if an init that was cut short left this one, remove it"}
	}
	if f.group != "" {
		if _, err := groupID(f.group); err != nil {
			return err
		}
	}
	return nil
}

// groupID finds a group by its name or number.
func groupID(name string) (int, error) {
	if id, err := strconv.Atoi(name); err == nil && id >= 0 {
		return id, nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, &Error{Op: "share data", Cause: err, Code: ExitUsage, Hint: "name a group of /etc/group"}
	}
	return strconv.Atoi(g.Gid)
}

// moveData brings the data of a home that was just made to its folder. The
// database gets a second name there (or, on another file system, a copy) before
// the configuration says so: whenever the power goes, what it names is whole.
func (a *app) moveData(ctx context.Context, dir string, f shareFlags) error {
	if f.data == "" {
		return nil
	}
	h, err := a.openHome()
	if err != nil {
		return err
	}
	s, err := localstore.Open(ctx, h.data(), storeOptions(h, nil)) // join has made none yet
	if err != nil {
		return explain("open the database", err)
	}
	if err := s.Close(); err != nil {
		return explain("close the database", err)
	}
	if err := makeDataDir(f); err != nil {
		return &Error{Op: "share data", Object: f.data, Cause: err,
			Hint: "this user must own the folder and be in the group; the data is in " + h.data() + " for now"}
	}
	from, to := filepath.Join(h.data(), localstore.FileName), filepath.Join(f.data, localstore.FileName)
	if err := linkOrCopy(from, to); err != nil {
		return &Error{Op: "share data", Object: to, Cause: err, Hint: "the data is in " + h.data() + " for now"}
	}
	old := h.data()
	h.config.Data, h.config.AppsGroup = f.data, f.group
	err = h.mendPermissions(nil)
	err = errors.Join(err, syncDir(f.data), writeConfig(dir, h.config))
	if err != nil {
		return &Error{Op: "share data", Object: f.data, Cause: err}
	}
	return os.RemoveAll(old)
}

func makeDataDir(f shareFlags) error {
	mode := fs.FileMode(0o700)
	if err := os.MkdirAll(f.data, mode); err != nil {
		return err
	}
	if f.group != "" {
		id, err := groupID(f.group)
		if err != nil {
			return err
		}
		if err := os.Chown(f.data, -1, id); err != nil {
			return err
		}
		mode = sharedDirMode
	}
	return os.Chmod(f.data, mode)
}

func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if !errors.Is(err, syscall.EXDEV) && !errors.Is(err, syscall.EPERM) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return writeDurably(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}

// mendPermissions sees to it that the data folder and what is in it are open to
// whom the configuration says, and to nobody else. It tells of each thing it put
// right; told may be nil.
func (h *home) mendPermissions(told func(string)) error {
	dirMode, fileMode, gid := fs.FileMode(0o700), fs.FileMode(0o600), -1
	if h.config.AppsGroup != "" {
		var err error
		if gid, err = groupID(h.config.AppsGroup); err != nil {
			return err
		}
		dirMode, fileMode = sharedDirMode, sharedFileMode
	}
	paths := []string{h.data()}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		paths = append(paths, filepath.Join(h.data(), localstore.FileName+suffix))
	}
	for i, path := range paths {
		want := fileMode
		if i == 0 {
			want = dirMode
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		wrongGroup := ok && gid >= 0 && int(stat.Gid) != gid
		have := info.Mode() & (fs.ModePerm | fs.ModeSetgid)
		if i > 0 || gid < 0 {
			have &= fs.ModePerm // setgid means something on a shared folder only
		}
		if have == want && !wrongGroup {
			continue
		}
		if wrongGroup {
			if err := os.Chown(path, -1, gid); err != nil {
				return err
			}
		}
		if err := os.Chmod(path, want); err != nil {
			return err
		}
		if told != nil {
			told(fmt.Sprintf("%s was open to others than it should be, or closed to the apps: mended", path))
		}
	}
	return nil
}
