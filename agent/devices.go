package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// devicesFile is the name of the file in the home folder: what is known about
// the account's devices. It lies beside the keys, not in the database, which
// other programs open: they could make this device forget a revocation. The file
// is text, one statement a line in base64, after a line that names the format;
// the last line is the SHA-256 of all before.
const devicesFile = "devices"

const devicesHead = "sidekeep/v1/devices"

// Devices is what a home knows about the account's devices: the statements that
// hold. Only the process with the home's agent lock may change it; anyone of the
// home may read. Its methods may be called from any goroutine.
type Devices struct {
	path string // "" keeps nothing

	mu  sync.Mutex // guards what follows, and the file
	set *seal.Statements
}

// OpenDevices reads what a home knows; "" is a home that keeps nothing. A file
// that is damaged counts as empty, and is kept beside the next one: the cloud
// and the other devices know the same.
func OpenDevices(home string, account seal.Account) (*Devices, error) {
	d := &Devices{set: seal.NewStatements(account)}
	if home == "" {
		return d, nil
	}
	d.path = filepath.Join(home, devicesFile)
	b, err := os.ReadFile(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is known about devices: %w", err)
	}
	list, ok := parseDevices(b)
	if !ok {
		if err := os.Rename(d.path, d.path+".damaged"); err != nil {
			return nil, fmt.Errorf("set aside a damaged list of devices: %w", err)
		}
		return d, nil
	}
	_, err = d.set.Add(list...)
	if err != nil && !leftOut(err) {
		return nil, err
	}
	return d, nil
}

func parseDevices(b []byte) (list []seal.Statement, ok bool) {
	body, sum, ok := cutSum(b)
	if !ok || sum != sumOf(body) {
		return nil, false
	}
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	if lines[0] != devicesHead {
		return nil, false
	}
	for _, line := range lines[1:] {
		raw, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, false
		}
		st, err := seal.ParseStatement(raw)
		if err != nil {
			return nil, false
		}
		list = append(list, st)
	}
	return list, true
}

// cutSum splits the last line off.
func cutSum(b []byte) (body []byte, sum string, ok bool) {
	b, ok = bytes.CutSuffix(b, []byte("\n"))
	i := bytes.LastIndexByte(b, '\n')
	if !ok || i < 0 {
		return nil, "", false
	}
	return b[:i+1], string(b[i+1:]), true
}

func sumOf(body []byte) string { return fmt.Sprintf("%x", sha256.Sum256(body)) }

// Add takes up statements that hold, durably, and returns those that were new.
// The error is seal.ErrStatement or seal.ErrStatementsFull if one was left out,
// else that of the disk: then nothing was taken up.
func (d *Devices) Add(list ...seal.Statement) (added []seal.Statement, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	grown := d.set.Clone()
	added, left := grown.Add(list...)
	if len(added) == 0 {
		return nil, left
	}
	if d.path != "" {
		var b bytes.Buffer
		fmt.Fprintln(&b, devicesHead)
		for _, st := range grown.List() {
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(st.Marshal()))
		}
		fmt.Fprintln(&b, sumOf(b.Bytes()))
		if err := replaceFile(d.path, b.Bytes()); err != nil {
			return nil, fmt.Errorf("keep what is known about devices: %w", err)
		}
	}
	d.set = grown
	return added, left
}

// Statements returns what is known. It is not changed any more.
func (d *Devices) Statements() *seal.Statements {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.set.Clone()
}

// Ended returns how a device of this identity lost its trust, by all that is
// known here, or nil if it is trusted.
func (d *Devices) Ended(id *seal.Identity) *Revocation {
	d.mu.Lock()
	defer d.mu.Unlock()
	set := d.set.Clone()
	_, _ = set.Add(seal.StatementsOf(id.Chain)...) // void ones are left out
	if set.Trust().Trusted(id.Device()) {
		return nil
	}
	r := &Revocation{}
	for i := len(id.Chain) - 1; i >= 0; i-- {
		st := set.Trust().Of(id.Chain[i].Device)
		if st == nil || st.Ended == nil {
			continue // whoever certified it was revoked
		}
		if st.Device != id.Device() {
			r.With = st.Device.String()
		}
		if by := st.Ended.Issuer; by != seal.DeviceKey(id.Account) {
			r.By = by.String()
		}
		break
	}
	return r
}

// Moved returns what is said here of the account's data having got new keys, or nil.
func (d *Devices) Moved() *Move {
	m := d.Statements().Moved()
	if m == nil {
		return nil
	}
	by := ""
	if m.Issuer != seal.DeviceKey(m.Account) {
		by = m.Issuer.String()
	}
	return &Move{By: by, At: time.Unix(int64(m.At), 0).UTC()}
}

// Move says that a device gave all data new keys, in another account.
type Move struct {
	By string    `json:"by,omitempty"` // its public key; "" for the words
	At time.Time `json:"at"`           // by its clock
}

// Revocation says who ended the trust in this device.
type Revocation struct {
	By   string `json:"by,omitempty"`   // public key of the device that did; "" for the words
	With string `json:"with,omitempty"` // the revoked device that had certified this one, if it was not meant itself
}

// leftOut reports whether an error of Add is only about statements that were
// left out.
func leftOut(err error) bool {
	return errors.Is(err, seal.ErrStatement) || errors.Is(err, seal.ErrStatementsFull)
}

// Devices returns what this home knows about the account's devices.
func (a *Agent) Devices() *Devices { return a.known }

// Tell has a running agent take up statements of this home, durably, and give
// them to the cloud at once or in the next session.
func (a *Agent) Tell(list ...seal.Statement) error {
	if _, err := a.known.Add(list...); err != nil {
		return err
	}
	a.Kick()
	return nil
}

// statements takes up what the cloud said. What does not hold is reported, and
// changes nothing.
func (s *session) statements(a syncproto.StoreStatements) (syncproto.DeviceEvent, error) {
	known := s.a.known
	added, err := known.Add(a.Add...)
	if err != nil {
		if !leftOut(err) {
			return nil, err
		}
		s.a.addProblem(Problem{Code: "statement", Text: "the cloud gave something about devices that does not hold; it was left out"})
	}
	if len(added) > 0 {
		s.a.notify()
	}
	all := known.Statements()
	return syncproto.LocalStatements{Bad: errors.Is(err, seal.ErrStatement), List: all.List(), Set: all.Digest(), Trusted: known.Ended(s.a.cfg.Identity) == nil}, nil
}
