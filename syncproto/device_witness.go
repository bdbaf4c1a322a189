package syncproto

import "sidekeep/localstore/record"

// witnessMillis is the shortest time between two statements of a live session.
const witnessMillis = 60 * 60 * 1000

// deviceWitness has this device state what it has seen, and compares what
// others state (SPEC.md section "Witnesses").
type deviceWitness struct {
	due   bool      // a statement may be due
	armed bool      // the timer runs
	look  bool      // statements are to be compared
	alarm bool      // the last comparison showed something missing
	came  RequestID // last request before the last statement came
	proof RequestID // last request that was answered by a proof
}

// final reports whether the cloud has told what it holds since the last
// statement came.
func (w *deviceWitness) final() bool { return w.proof > w.came }

// applied takes note of versions that came.
func (w *deviceWitness) applied(s *DeviceSession, k *deviceKind, changed int) {
	switch {
	case changed == 0:
	case k.name == record.Witness:
		w.came, w.look = s.lastID, true
	default:
		w.look = w.look || w.alarm // it may be what was missing
		w.changed(s)
	}
}

// changed notes that this device holds other versions than before.
func (w *deviceWitness) changed(s *DeviceSession) {
	if s.live && !s.cfg.Once && !w.armed {
		w.armed = true
		s.do(DeviceSetTimer{TimerWitness, witnessMillis})
	}
}

// equal reports whether every kind is the cloud's, so that what is here is there.
func (s *DeviceSession) equal() bool {
	for _, k := range s.kinds {
		if !k.equal() || k.restoring() || k.fault != "" {
			return false
		}
	}
	return true
}

// testify writes a statement if one is due, and reports whether the store is
// at it. Every kind is at rest.
func (w *deviceWitness) testify(s *DeviceSession) bool {
	if !w.due || !s.equal() {
		return false
	}
	w.due = false
	s.ask(StoreTestify{})
	return true
}

func (w *deviceWitness) testified(s *DeviceSession, l LocalTestified) {
	if l.Changed {
		k := s.kind(record.Witness)
		k.own, k.here, k.again = l.Own, true, true
	}
}

// compare looks whether what others state is here, and reports whether that is
// done. Every kind is at rest.
func (w *deviceWitness) compare(s *DeviceSession) bool {
	if !s.equal() {
		return true
	}
	if w.alarm && !w.final() {
		if s.room() {
			s.prove(false)
		}
		return false
	}
	if !w.look {
		return true
	}
	w.look = false
	s.ask(StoreCompare{Final: w.final()})
	return false
}

func (w *deviceWitness) compared(s *DeviceSession, l LocalCompared) {
	w.alarm = l.Lacking > 0
	w.look = w.alarm && !w.final()
	s.do(DeviceStateChanged{s.live})
}
