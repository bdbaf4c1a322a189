package agent

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sidekeep/localstore/record"
	"sidekeep/syncproto"
)

// What SyncOnce can end with. Callers compare with errors.Is; the CLI maps each
// to an exit code.
var (
	// ErrNotReachable: no session could be opened, or the network fell silent.
	ErrNotReachable = errors.New("the cloud is not reachable")
	// ErrCloudFails: the cloud was reached and answered, but can not do its work:
	// its disk is full, it stops, it breaks the protocol.
	ErrCloudFails = errors.New("the cloud was reached but can not serve")
	// ErrNoCloud: something answered that is no sidekeep cloud, such as the
	// sign-in page of a network. It comes with ErrNotReachable, or with
	// ErrRefused if the address redirects.
	ErrNoCloud = errors.New("what answers at this address is not a sidekeep cloud")
	// ErrCertificate: the other end could not show that it is the cloud: its
	// certificate names another host, comes from nobody who is trusted here, or is
	// not valid at the time that this device believes in. With ErrNotReachable.
	ErrCertificate = errors.New("the cloud's certificate does not hold")
	// ErrRefused: the cloud, or this device, refused the session: the device is
	// not admitted, the address is not the one the cloud is configured with, or
	// the cloud speaks an older format than it did before.
	ErrRefused = errors.New("the cloud refused this device")
	// ErrVersion: this program and the cloud's have no version of the protocol in
	// common, or the cloud's is older than it was. With ErrRefused.
	ErrVersion = errors.New("this program and the cloud's do not fit together")
	// ErrRevoked: this device was revoked; statements that hold prove it. Nothing
	// here is deleted for that.
	ErrRevoked = errors.New("this device was revoked")
	// ErrUnknownAccount: the cloud does not know the account, and this device
	// may not create it.
	ErrUnknownAccount = errors.New("the cloud does not know this account")
	// ErrHeld: a mass deletion waits for a person's decision.
	ErrHeld = errors.New("a mass deletion is held")
	// ErrNotInSync: the session worked, but equality could not be proven.
	ErrNotInSync = errors.New("not in sync")
	// ErrRestoring: nothing differs but what the cloud's operator declares not to
	// be complete there yet. With ErrNotInSync.
	ErrRestoring = errors.New("the cloud is being restored")
	// ErrForked: too often in 24 hours the cloud called this device's claim stale,
	// or did not know its replica id. It ends by itself as the 24 hours pass.
	ErrForked = errors.New("the cloud refused this device's identity too often within 24 hours")
	// ErrNowhere: nothing else differs, and pieces of pictures are neither here
	// nor at the cloud.
	ErrNowhere = errors.New("pieces of pictures are neither here nor at the cloud")
	// ErrPlain: the address is a plain ws:// one and not loopback.
	ErrPlain = errors.New("the address is not encrypted")
)

// unserved gives the error for a sync that ended without proof, last being what
// the last session ended with, or nil.
func unserved(last error) error {
	if last == nil {
		return fmt.Errorf("%w: it does not answer", ErrNotReachable)
	}
	for _, known := range []error{ErrRefused, ErrRevoked, ErrUnknownAccount, ErrForked, ErrNotReachable} {
		if errors.Is(last, known) {
			return last
		}
	}
	var answer *syncproto.Error
	if errors.As(last, &answer) {
		return fmt.Errorf("%w: %w", ErrCloudFails, last)
	}
	return fmt.Errorf("%w: %w", ErrNotReachable, last)
}

// NotInSyncError says what stands between this device and the proof.
// errors.Is(err, ErrNotInSync) holds, ErrHeld if something is held, ErrRestoring
// if the cloud's operator is all that is waited for, and Trust.
type NotInSyncError struct {
	Trust         error         // ErrNotKept or ErrWithholds if the cloud was caught, else nil
	Withheld      []string      // names of the devices that had seen what is withheld
	Kinds         []record.Kind // whose digests differ, or that have unsent records
	Restoring     []record.Kind // that the cloud's operator is restoring
	Held          int           // records in mass deletions that wait for a person
	ChunksMissing int           // pieces of pictures that are not here
	ChunksAbsent  int           // of these, pieces that the cloud did not have when it was asked
	ChunksUnsent  int           // pieces of pictures that the cloud has not taken
	Problems      []Problem
}

func (e *NotInSyncError) Error() string {
	var why []string
	if e.Trust != nil {
		text := e.Trust.Error()
		if errors.Is(e.Trust, ErrWithholds) && len(e.Withheld) > 0 {
			text += " (sync " + strings.Join(e.Withheld, ", ") + ")"
		}
		why = append(why, text)
	}
	if len(e.Kinds) > 0 && !errors.Is(e.Trust, ErrNotKept) {
		why = append(why, names(e.Kinds)+" differ")
	}
	if len(e.Restoring) > 0 {
		why = append(why, "the cloud's operator is restoring "+names(e.Restoring)+", which can not be compared until that is done")
	}
	if e.Held > 0 {
		why = append(why, fmt.Sprintf("%d deletions are held", e.Held))
	}
	if n := e.ChunksMissing - e.ChunksAbsent; n > 0 {
		why = append(why, fmt.Sprintf("%d pieces of pictures are not here yet", n))
	}
	if e.ChunksAbsent > 0 {
		why = append(why, fmt.Sprintf("%d pieces of pictures are neither here nor at the cloud", e.ChunksAbsent))
	}
	if e.ChunksUnsent > 0 {
		why = append(why, fmt.Sprintf("%d chunks are unsent", e.ChunksUnsent))
	}
	for _, p := range e.Problems {
		if !slices.Contains(why, p.Text) { // the same may be so of several kinds
			why = append(why, p.Text)
		}
	}
	if len(why) == 0 {
		return ErrNotInSync.Error()
	}
	return ErrNotInSync.Error() + ": " + strings.Join(why, "; ")
}

func names(kinds []record.Kind) string {
	list := make([]string, len(kinds))
	for i, k := range kinds {
		list[i] = string(k)
	}
	return strings.Join(list, ", ")
}

// HeldError says that this device and the cloud hold the same, and that a mass
// deletion that came waits for a person. errors.Is(err, ErrHeld) holds.
type HeldError struct{ Records int }

func (e *HeldError) Error() string {
	return fmt.Sprintf("%d deletions or emptied records from elsewhere are held", e.Records)
}

// Is reports that the error is ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Is reports that the error is ErrNotInSync, ErrHeld when records are held,
// ErrRestoring or ErrNowhere when there is no other reason, and what the cloud was caught at.
func (e *NotInSyncError) Is(target error) bool {
	switch target {
	case ErrRestoring:
		return len(e.Restoring) > 0 && e.Trust == nil && len(e.Kinds)+len(e.Problems)+e.Held+e.ChunksMissing+e.ChunksUnsent == 0
	case ErrNowhere:
		return e.ChunksAbsent > 0 && e.Trust == nil && len(e.Kinds)+len(e.Restoring)+len(e.Problems)+e.Held == 0
	case ErrHeld:
		return e.Held > 0
	}
	return target == ErrNotInSync || target == e.Trust && target != nil
}

// Problem is something a person should know that does not stop the rest.
type Problem struct {
	Kind record.Kind `json:"kind,omitempty"`
	Code string      `json:"code"` // stable: not_open, differs, rejected, clash, forked, cloud_lost, ...
	Text string      `json:"text"` // never a value of a person's field
	ID   string      `json:"id,omitempty"`
	At   time.Time   `json:"at"`
}
