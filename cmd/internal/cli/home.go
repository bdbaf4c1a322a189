package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"sidekeep/syncproto/seal"
)

// The home folder, mode 0700:
//
//	identity      the account's data keys and the device's own key, 0600
//	config.json   what a person chose: the cloud's address, this device's name
//	agent.lock    held by the process that syncs
//	agent.json    what the agent remembers between runs
//	devices       what is known about the account's devices
//	agent.sock    control socket of `sidekeep run`
//	data/         sidekeep.db, the only part that other programs open; may be elsewhere (share.go)
//	replaced-TIME/  what a rekey replaced; the database is in a folder of the same
//	              name beside the one that took its place
//	rekey/, rekeyed/  a rekey that is being made, or being put in place
//	unfinished/   an init, join or restore that is under way, or was cut short
//	unfinished-backup/, backup.lock  of a back-up that is being made
//
// The rename that puts identity in place is what makes a folder a home. All
// before it can be thrown away; all after it can be done again.
const (
	identityFile = "identity"
	dataDir      = "data"
	stageDir     = "unfinished"
)

// home is an opened home folder.
type home struct {
	dir      string
	config   config
	identity *seal.Identity
	before   []*seal.Identity // that a rekey replaced
	lock     *lock            // agent lock, while this process holds it
}

// data is the data folder: the configured one, or the one in the home folder.
func (h *home) data() string {
	if h.config.Data != "" && !h.staged() {
		return h.config.Data
	}
	return filepath.Join(h.dir, dataDir)
}

// staged reports whether the home is still in the making.
func (h *home) staged() bool { return filepath.Base(h.dir) == stageDir }

// homeDir gives the absolute path of the home folder: --home, SIDEKEEP_HOME, or
// sidekeep in the XDG data folder (XDG Base Directory Specification 0.8).
func (a *app) homeDir() (string, error) {
	for _, dir := range []string{a.home, os.Getenv("SIDEKEEP_HOME")} {
		if dir != "" {
			return filepath.Abs(dir)
		}
	}
	if xdg := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(xdg) {
		return filepath.Join(xdg, "sidekeep"), nil
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return "", &Error{Op: "find the home folder", Cause: err, Hint: "name one with --home", Code: ExitUsage}
	}
	return filepath.Join(user, ".local", "share", "sidekeep"), nil
}

// openHome reads identity and configuration. It also ends what a power cut
// stopped between the last steps of init or join, and closes a home folder that
// others could read.
func (a *app) openHome() (*home, error) {
	dir, err := a.homeDir()
	if err != nil {
		return nil, err
	}
	if err := finishRekey(dir); err != nil {
		return nil, &Error{Op: "finish the rekey of home", Object: dir, Cause: err, Hint: "run the command again; nothing is lost"}
	}
	path := filepath.Join(dir, identityFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noHome(dir)
	}
	if err != nil {
		return nil, &Error{Op: "open home", Object: dir, Cause: err}
	}
	id, err := seal.ParseIdentity(b)
	if err != nil {
		return nil, &Error{Op: "read the identity", Object: path, Cause: err, Code: ExitDamaged,
			Hint: "the data in " + filepath.Join(dir, dataDir) + " is still readable with sqlite3; join the account again in a new home with the 24 words"}
	}
	cfg, err := readConfig(dir)
	if err != nil {
		return nil, &Error{Op: "read the configuration", Cause: err,
			Hint: `it should look like {"cloud": "wss://cloud.example.org"}`}
	}
	if err := finishStage(dir); err != nil {
		return nil, &Error{Op: "finish the set-up of home", Object: dir, Cause: err}
	}
	a.closeToOthers(dir, path)
	return &home{dir: dir, config: cfg, identity: id, before: replacedIdentities(dir)}, nil
}

// noHome explains why dir is not a home.
func noHome(dir string) error {
	e := &Error{Op: "open home", Object: dir, Cause: errors.New("there is no sidekeep home here"),
		Hint: "make one with 'sidekeep init' (new account) or 'sidekeep join' (the words of an account you have)"}
	if exists(filepath.Join(dir, stageDir)) {
		e.Cause = errors.New("its init or join did not finish")
		e.Hint = "run 'sidekeep init' or 'sidekeep join' again; words that an unfinished init may have shown mean nothing"
	} else if exists(filepath.Join(dir, dataDir)) {
		e.Cause = errors.New("there is data but no identity file: the keys are missing")
		e.Hint = "put the identity file back, or join the account again in another home with the 24 words; the data can be read with sqlite3"
	}
	return e
}

// closeToOthers takes away permissions that others have on the keys.
func (a *app) closeToOthers(dir, identity string) {
	if info, err := os.Stat(identity); err == nil && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintf(a.stderr, "sidekeep: other users could read %s; closed it\n", escape(identity))
		_ = os.Chmod(identity, 0o600)
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		_ = os.Chmod(dir, 0o700)
	}
}

// stage is a home in the making, in the stage folder of its final place.
type stage struct {
	dir  string // of the home
	lock *lock
}

// beginStage makes sure that dir can become a home, takes its lock and clears
// away what an earlier attempt left.
func (a *app) beginStage(dir, command string) (*stage, error) {
	refuse := func(cause error, hint string) error {
		return &Error{Op: command, Object: dir, Cause: cause, Hint: hint, Code: ExitRefused}
	}
	const elsewhere = "name another folder with --home"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, &Error{Op: command, Cause: err, Hint: elsewhere}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, &Error{Op: command, Cause: err}
	}
	if exists(filepath.Join(dir, identityFile)) {
		return nil, refuse(errors.New("this home has an account already"), elsewhere)
	}
	for _, e := range entries {
		switch e.Name() {
		case dataDir:
			return nil, noHome(dir)
		case lockFile, configFile, stageDir:
		default:
			return nil, refuse(errors.New("the folder is not empty"), elsewhere)
		}
	}
	l, err := takeLock(dir, command)
	if err != nil {
		return nil, refuse(err, "wait until it has ended")
	}
	s := &stage{dir: dir, lock: l}
	if exists(filepath.Join(dir, identityFile)) { // made while we waited for nothing
		l.release()
		return nil, refuse(errors.New("this home has an account already"), elsewhere)
	}
	if exists(s.path()) {
		fmt.Fprintln(a.stderr, "An earlier init or join of this home did not finish; starting afresh. Words it may have shown mean nothing.")
	}
	if err := errors.Join(os.Chmod(dir, 0o700), os.RemoveAll(s.path()), os.Mkdir(s.path(), 0o700), syncDir(dir)); err != nil {
		l.release()
		return nil, &Error{Op: command, Cause: err}
	}
	return s, nil
}

func (s *stage) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir, stageDir}, elem...)...)
}

// write puts identity and configuration into the stage folder.
func (s *stage) write(id *seal.Identity, c config) error {
	err := writeDurably(s.path(identityFile), func(w io.Writer) error {
		_, err := w.Write(id.Marshal())
		return err
	})
	if err != nil {
		return err
	}
	return writeConfig(s.path(), c)
}

// commit makes the stage the home.
func (s *stage) commit() error {
	if err := os.Rename(s.path(configFile), filepath.Join(s.dir, configFile)); err != nil {
		return err
	}
	if err := os.Rename(s.path(identityFile), filepath.Join(s.dir, identityFile)); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	return finishStage(s.dir)
}

// abandon removes the stage of an attempt that failed. After commit it does nothing.
func (s *stage) abandon() {
	_ = os.RemoveAll(s.path())
	_ = s.lock.release()
}

// finishStage does what follows the commit: it moves a staged database into
// place and removes the stage folder. Two processes may do it at once.
func finishStage(dir string) error {
	staged := filepath.Join(dir, stageDir)
	if !exists(staged) {
		return nil
	}
	if err := os.Rename(filepath.Join(staged, dataDir), filepath.Join(dir, dataDir)); err != nil &&
		!errors.Is(err, fs.ErrNotExist) && !exists(filepath.Join(dir, dataDir)) {
		return err
	}
	return errors.Join(syncDir(dir), os.RemoveAll(staged), syncDir(dir))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
