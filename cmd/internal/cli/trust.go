package cli

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"sidekeep/agent"
)

// trustText says what was last proven of the cloud beside digests, when, and by
// what; and what to do if it was caught.
func trustText(t *agent.TrustStatus) []string {
	lines := []string{"read back from the cloud: nothing yet"}
	if t.SampledAt != nil {
		lines[0] = fmt.Sprintf("read back from the cloud: a sample of %s and %s, whole, %s",
			count(t.Versions, "version"), count(t.Chunks, "piece"), t.SampledAt.Local().Format(time.DateTime))
	}
	if t.FailedAt != nil {
		lines = append(lines,
			fmt.Sprintf("the cloud does not keep what it acknowledges: since %s; %d of the last sample were missing", t.FailedAt.Local().Format(time.DateTime), t.Missing),
			"hint: "+hintNotKept)
	}
	if len(t.Withheld) > 0 {
		for _, w := range t.Withheld {
			name := cmp.Or(w.Name, w.Device)
			whose := "writes"
			if len(w.Authors) == 1 && w.Authors[0] == name {
				whose += " of its own"
			} else if len(w.Authors) > 0 {
				whose += " of " + strings.Join(w.Authors, ", ")
			}
			lines = append(lines, fmt.Sprintf("the cloud withholds: %s had seen, by %s, %s that did not come here, found %s: sync %s, which gives them again",
				name, w.At.Local().Format(time.DateTime), whose, w.Since.Local().Format(time.DateTime), name))
		}
		return append(lines, "hint: "+hintWithholds)
	}
	if t.Statements > 0 {
		lines = append(lines, fmt.Sprintf("seen by the devices: of %s none names a write that is missing here", count(t.Statements, "statement")))
	}
	return lines
}

const (
	hintNotKept   = "everything here is safe, and is offered again in each session; make a back-up ('sidekeep backup'), tell the cloud's operator, or take another cloud"
	hintWithholds = "everything here is safe; sync the device that is named: if the cloud lied to it, or lost what it had seen, it gives that again. If this is still said then, compare 'sidekeep status --code' of both; if they differ for long, sync over another network, or move what is missing by 'sidekeep export'; if no device has it any more, 'sidekeep sync --call-lost'"
)

// printCode prints the code that two people compare.
func (a *app) printCode(s *agent.Status) error {
	unsynced := 0
	for _, k := range s.Kinds {
		unsynced += k.Unsynced
	}
	if unsynced > 0 {
		fmt.Fprintf(a.stderr, "%s not at the cloud yet: sync both devices first, then compare\n", count(unsynced, "change"))
	}
	_, err := fmt.Fprintln(a.stdout, s.Code)
	return err
}
