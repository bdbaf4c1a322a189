package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore/record"
)

func (a *app) statusCommand() *cobra.Command {
	var all, code bool
	cmd := &cobra.Command{
		Use:     "status",
		GroupID: "device",
		Short:   "Show what is here, what the cloud has proven to have, and what waits",
		Long: `status shows exact numbers for each kind: records, deletions in the trash, what
the cloud has not acknowledged yet, conflicts, held deletions, and whether the
digests of this device and the cloud are equal, as of when. A kind that the
cloud's operator is restoring can not be compared until that is done; nothing of
it is lost here. status asks the agent if one runs, else the database, and never
the network.

Digests prove against faults, not against a cloud that lies. So once a day some
random versions and pieces are read back from it, and each device states what it
has seen; status says when that last held. --code prints twelve digits: two
devices that hold the same show the same, so two people can compare them by
voice.

With --json it prints
  {"account", "device", "replica", "cloud": {"url", "state", "epoch"},
   "kinds": {KIND: {"live", "deleted", "unsynced", "conflicts", "held",
                    "digest", "cloud_digest", "in_sync", "restoring"}},
   "blobs": {"chunks", "missing", "bytes"},
   "trust": {"state": "kept"|"unproven"|"not_kept"|"withholds", "sampled_at",
             "statements", "withheld": [{"device", "name", "at", "since", "authors"}]},
   "lost", "at_least": as in verify, "code"}
and with --all more: problems, times, why the last attempt failed.`,
		Example: "  sidekeep status\n  sidekeep status --json",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), all, code) },
	}
	cmd.Flags().BoolVar(&all, "all", false, "with --json: also what is not part of the stable shape")
	cmd.Flags().BoolVar(&code, "code", false, "print only the code to compare with another device")
	a.jsonFlag(cmd)
	return cmd
}

func (a *app) status(ctx context.Context, all, code bool) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	s, err := a.readStatus(ctx, h)
	if err != nil {
		return explain("read the status", err)
	}
	switch {
	case code && a.json:
		return usagef("--code and --json: choose one; --json has the code, too")
	case code:
		return a.printCode(&s)
	case a.json && all:
		return a.printJSON(s)
	case a.json:
		return a.printJSON(statusShape(&s))
	}
	return printStatus(a.stdout, &s, h.identity.Device().String())
}

// readStatus asks the agent that runs, or the store if none does.
func (a *app) readStatus(ctx context.Context, h *home) (agent.Status, error) {
	client, err := agent.Connect(ctx, h.dir)
	if err == nil {
		s, err := client.Status(ctx)
		if err == nil || ctx.Err() != nil {
			return s, err
		}
	} else if !errors.Is(err, agent.ErrNoAgent) {
		return agent.Status{}, err
	}
	store, err := a.openStore(ctx, h, nil)
	if err != nil {
		return agent.Status{}, err
	}
	defer store.Close()
	return agent.ReadStatus(ctx, h.agentConfig(store, h.dir, nil))
}

// statusJSON is the stable shape of `status --json`: the part of agent.Status
// that scripts may rely on.
type statusJSON struct {
	Account string                         `json:"account"`
	Device  string                         `json:"device"`
	Replica string                         `json:"replica"`
	Cloud   statusCloudJSON                `json:"cloud"`
	Kinds   map[record.Kind]statusKindJSON `json:"kinds"`
	Blobs   statusBlobsJSON                `json:"blobs"`
	Trust   statusTrustJSON                `json:"trust"`
	Lost    []agent.LostRecord             `json:"lost"`
	AtLeast bool                           `json:"at_least"` // more may be lost than could be named
	Code    string                         `json:"code"`
}

type statusCloudJSON struct {
	URL   string `json:"url"`
	State string `json:"state"`
	Epoch string `json:"epoch"`
}

type statusKindJSON struct {
	Live        int    `json:"live"`
	Deleted     int    `json:"deleted"`
	Unsynced    int    `json:"unsynced"`
	Conflicts   int    `json:"conflicts"`
	Held        int    `json:"held"`
	Digest      string `json:"digest"`
	CloudDigest string `json:"cloud_digest"`
	InSync      bool   `json:"in_sync"`
	Restoring   bool   `json:"restoring"` // by the cloud's operator: not compared until that is done
}

type statusBlobsJSON struct {
	Chunks  int   `json:"chunks"`
	Missing int   `json:"missing"`
	Bytes   int64 `json:"bytes"`
}

type statusTrustJSON struct {
	State      string               `json:"state"`
	SampledAt  *time.Time           `json:"sampled_at"`
	Statements int                  `json:"statements"`
	Withheld   []statusWithheldJSON `json:"withheld"`
}

type statusWithheldJSON struct {
	Device string    `json:"device"`
	Name   string    `json:"name"`
	At     time.Time `json:"at"`
	Since  time.Time `json:"since"`
	// Authors are the devices, as far as known, whose writes are withheld.
	Authors []string `json:"authors"`
}

func statusShape(s *agent.Status) statusJSON {
	j := statusJSON{
		Account: s.Account, Device: s.Device, Replica: s.Replica,
		Cloud: statusCloudJSON{s.Cloud.URL, s.Cloud.State, s.Cloud.Epoch},
		Kinds: make(map[record.Kind]statusKindJSON, len(s.Kinds)),
		Blobs: statusBlobsJSON{s.Blobs.Chunks, s.Blobs.Missing, s.Blobs.Bytes},
		Trust: statusTrustJSON{s.Trust.State, s.Trust.SampledAt, s.Trust.Statements, []statusWithheldJSON{}},
		Lost:  append([]agent.LostRecord{}, s.Lost...), AtLeast: s.AtLeast,
		Code: s.Code,
	}
	for _, w := range s.Trust.Withheld {
		j.Trust.Withheld = append(j.Trust.Withheld, statusWithheldJSON{w.Device, w.Name, w.At, w.Since, append([]string{}, w.Authors...)})
	}
	for kind, k := range s.Kinds {
		j.Kinds[kind] = statusKindJSON{k.Live, k.Deleted, k.Unsynced, k.Conflicts, k.Held, k.Digest, k.CloudDigest, k.InSync, k.Restoring}
	}
	return j
}

// kindsOf gives the kinds of a status in the order of their priority.
func kindsOf(s *agent.Status) []record.Kind {
	return slices.SortedFunc(maps.Keys(s.Kinds), func(a, b record.Kind) int {
		if d := a.Priority() - b.Priority(); d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
}

// printStatus prints a status for people.
func printStatus(w io.Writer, s *agent.Status, key string) error {
	device := s.Device
	if device != key {
		device += " (" + key + ")"
	}
	fmt.Fprintf(w, "account  %s\ndevice   %s\nreplica  %s\ncloud    %s, %s\n",
		escape(s.Account), escape(device), escape(orDash(s.Replica)), escape(s.Cloud.URL), escape(cloudText(&s.Cloud)))
	fmt.Fprintf(w, "epoch    %s\n", escape(orDash(s.Cloud.Epoch)))
	if r := s.Revoked; r != nil {
		fmt.Fprintf(w, "revoked  by %s; 'sidekeep devices' shows whose that is. With the words it can come back: 'sidekeep join --words-file FILE'\n", escape(revokedBy(r)))
	}
	if s.Moved != nil {
		fmt.Fprintf(w, "moved    %s\n", escape(movedText(s.Moved)))
	}
	fmt.Fprintln(w)
	t := newTable("kind", "live", "deleted", "unsynced", "conflicts", "held", "in sync").numeric(1, 2, 3, 4, 5)
	for _, kind := range kindsOf(s) {
		k := s.Kinds[kind]
		t.add(string(kind), fmt.Sprint(k.Live), fmt.Sprint(k.Deleted), fmt.Sprint(k.Unsynced),
			fmt.Sprint(k.Conflicts), fmt.Sprint(k.Held), proofText(k))
	}
	if err := t.print(w); err != nil {
		return err
	}
	fmt.Fprintf(w, "\npictures and other large values: %s, %s here; %d not here yet, %d not at the cloud yet\n",
		count(s.Blobs.Chunks, "piece"), byteText(s.Blobs.Bytes), s.Blobs.Missing, s.Blobs.Unsent)
	for _, l := range s.Lost {
		fmt.Fprintln(w, escape(lostLine(l)))
	}
	if s.AtLeast {
		fmt.Fprintln(w, "lost: perhaps others, too: pages that name records could not be read")
	}
	if len(s.Lost) > 0 {
		fmt.Fprintln(w, "hint: "+hintLost)
	}
	for _, line := range trustText(&s.Trust) {
		fmt.Fprintln(w, escape(line))
	}
	fmt.Fprintf(w, "code: %s\n", s.Code)
	for _, p := range s.Problems {
		id := ""
		if p.ID != "" {
			id = " " + shorten(p.ID, idDigits+1)
		}
		fmt.Fprintf(w, "%s  %s%s: %s\n", p.At.Local().Format(time.DateTime), escape(p.Code), escape(id), escape(p.Text))
	}
	return nil
}

// revokedBy says who ended the trust in this device.
func revokedBy(r *agent.Revocation) string {
	by := "the words"
	if r.By != "" {
		by = "device " + shorten(r.By, idDigits+1)
	}
	if r.With != "" {
		by += ", together with device " + shorten(r.With, idDigits+1) + " that had let it in"
	}
	return by
}

// stateText says each state of the connection in words.
var stateText = map[string]string{
	agent.StateOff:        "no agent is running",
	agent.StateWaiting:    "waiting",
	agent.StateConnecting: "connecting",
	agent.StateSyncing:    "syncing",
	agent.StateLive:       "live",
	agent.StateStopped:    "stopped until you act",
	agent.StateRevoked:    "this device was revoked and gets nothing any more; all that is here stays",
}

func cloudText(c *agent.CloudStatus) string {
	text := stateText[c.State]
	if text == "" {
		text = c.State
	}
	if c.Retry != nil {
		text += "; tries again at " + c.Retry.Local().Format(time.TimeOnly)
	}
	if c.Error != "" {
		text += " (" + c.Error + ")"
	}
	return text
}

// proofText says whether a kind is proven equal to the cloud's, and as of when.
func proofText(k agent.KindStatus) string {
	switch {
	case k.Restoring:
		return "not yet: the cloud's operator is restoring it"
	case k.CloudDigest == "":
		return "never proven"
	case k.InSync && k.ProvenAt != nil:
		return "yes, as of " + k.ProvenAt.Local().Format(time.DateTime)
	case k.InSync:
		return "yes"
	case k.ProvenAt != nil:
		return "no; compared " + k.ProvenAt.Local().Format(time.DateTime)
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
