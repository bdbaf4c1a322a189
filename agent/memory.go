package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"sidekeep/syncproto"
	"sidekeep/syncproto/seal"
)

// memoryFile is the name of the file in the home folder.
const memoryFile = "agent.json"

// unknownForksMax bounds the forks in one day because the cloud did not know
// this replica. A wiped cloud costs one; a hostile one could make every vector
// grow without end.
const unknownForksMax = 24

// memory is what an agent remembers between runs and the store does not need:
// what would let a cloud, or a dead clock, lead it backwards.
type memory struct {
	path string // "" keeps nothing

	mu   sync.Mutex // guards data and the file
	data memoryData
}

type memoryData struct {
	Format   int               `json:"format"`
	Versions map[string]uint64 `json:"versions,omitempty"`  // by origin: newest protocol version it chose
	LastGood int64             `json:"last_good,omitempty"` // Unix seconds, told by an authenticated cloud
	Forks    []int64           `json:"forks,omitempty"`     // Unix seconds of forks after "unknown replica"
	PingMs   int64             `json:"ping_ms,omitempty"`   // interval that the network allowed
	Seen     map[string]int64  `json:"seen,omitempty"`      // by device key: Unix seconds of its last session, as the cloud says
}

// openMemory reads what is remembered in folder home; "" remembers nothing.
func openMemory(home string) (*memory, error) {
	m := &memory{data: memoryData{Format: 1}}
	if home == "" {
		return m, nil
	}
	m.path = filepath.Join(home, memoryFile)
	b, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &m.data)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", m.path, err)
	}
	if m.data.Format != 1 {
		return nil, fmt.Errorf("read %s: written by a newer sidekeep", m.path)
	}
	return m, nil
}

// change lets f change the data and makes that durable if f says that it did.
func (m *memory) change(f func(*memoryData) bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !f(&m.data) || m.path == "" {
		return nil
	}
	b, err := json.MarshalIndent(&m.data, "", "  ")
	if err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	if err := replaceFile(m.path, append(b, '\n')); err != nil {
		return fmt.Errorf("remember: %w", err)
	}
	return nil
}

// replaceFile writes a file of mode 0600 so that a crash leaves the old or the
// new content.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// version returns the newest protocol version that the cloud at origin chose.
func (m *memory) version(origin string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.data.Versions[origin]
}

// sawVersion remembers the version that the cloud at origin chose.
func (m *memory) sawVersion(origin string, v uint64) error {
	return m.change(func(d *memoryData) bool {
		if d.Versions[origin] >= v {
			return false
		}
		if d.Versions == nil {
			d.Versions = map[string]uint64{}
		}
		d.Versions[origin] = v
		return true
	})
}

func (m *memory) lastGood() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Unix(m.data.LastGood, 0)
}

// sawTime remembers a time that can be believed, at most once a day.
func (m *memory) sawTime(t time.Time) error {
	return m.change(func(d *memoryData) bool {
		if t.Unix()-d.LastGood < 24*3600 {
			return false
		}
		d.LastGood = t.Unix()
		return true
	})
}

// mayFork notes a fork because the cloud did not know the replica, and reports
// whether it is allowed today.
func (m *memory) mayFork(now time.Time) (ok bool, err error) {
	err = m.change(func(d *memoryData) bool {
		day := now.Add(-24 * time.Hour).Unix()
		var recent []int64
		for _, t := range d.Forks {
			if t > day && t <= now.Unix() {
				recent = append(recent, t)
			}
		}
		if ok = len(recent) < unknownForksMax; ok {
			d.Forks = append(recent, now.Unix())
		}
		return ok
	})
	return ok, err
}

// sawDevices remembers when the cloud says that other devices were there, to
// seenGrain.
func (m *memory) sawDevices(list []syncproto.DeviceSeen) error {
	return m.change(func(d *memoryData) bool {
		seen, changed := maps.Clone(d.Seen), false
		if len(seen) > seenMax || seen == nil {
			seen = map[string]int64{}
		}
		for _, l := range list {
			key := seal.DeviceKey(l.Device).String()
			at := int64(min(l.At, 1<<40))
			was, known := d.Seen[key]
			changed = changed || !known || at < was || at-was >= seenGrain
			seen[key] = at
		}
		if changed {
			d.Seen = seen
		}
		return changed
	})
}

const (
	seenGrain = 3600 // seconds; what is remembered may be older by so much, which spares the flash
	seenMax   = 4 * syncproto.DevicesMax
)

// DevicesSeen returns, by device key, when a session of each other device last
// began: so the cloud said when the agent of this home last asked.
func DevicesSeen(home string) (map[string]time.Time, error) {
	m, err := openMemory(home)
	if err != nil {
		return nil, err
	}
	seen := map[string]time.Time{}
	for key, at := range m.data.Seen {
		seen[key] = time.Unix(at, 0).UTC()
	}
	return seen, nil
}

func (m *memory) ping() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Duration(m.data.PingMs) * time.Millisecond
}

func (m *memory) sawPing(d time.Duration) error {
	return m.change(func(o *memoryData) bool {
		if o.PingMs == d.Milliseconds() {
			return false
		}
		o.PingMs = d.Milliseconds()
		return true
	})
}
