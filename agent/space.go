package agent

import (
	"fmt"
	"time"

	"sidekeep/syncproto"
)

// Defaults of Config. Sixteen MiB hold some ten thousand records.
const (
	SpaceMinDefault   = 16 << 20
	SpaceEveryDefault = 30 * time.Second
)

// problemSpace is the code of the problem while pictures wait for room.
const problemSpace = "space"

// roomForChunks reports whether pieces of pictures may be fetched. While they
// may not, it has the session look again later.
func (s *session) roomForChunks() bool {
	free, err := s.a.cfg.FreeBytes()
	if err != nil {
		s.a.cfg.Log.Warn("look at the space left", "error", err)
		return true
	}
	if free >= s.a.cfg.SpaceMin {
		return true
	}
	missing, err := s.a.cfg.Store.MissingChunks(s.local, 1)
	if err == nil && len(missing) == 0 {
		return true
	}
	if s.space == nil {
		s.a.cfg.Log.Warn("little space left: pictures wait, records go on", "bytes", free)
		s.a.addProblem(Problem{Code: problemSpace, Text: fmt.Sprintf("only %d MiB are free on this device: pictures are not fetched until there is room; all else goes on", free>>20)})
	}
	s.space = time.After(s.a.cfg.SpaceEvery)
	return false
}

// lookForRoom asks for missing pieces again when there is room for them.
func (s *session) lookForRoom() {
	s.space = nil
	if s.roomForChunks() {
		s.handle(syncproto.DeviceCheck{})
	}
}
