package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/agent"
	"sidekeep/localstore"
	"sidekeep/localstore/record"
	"sidekeep/syncproto/seal"
)

func (a *app) devicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "devices",
		GroupID: "device",
		Short:   "List the account's devices, invite one, revoke one",
		Long: `devices lists the account's devices: what each is called, whether it is trusted,
who let it in (the words, or the device that invited it), and whether it had the
same as this one when it last stated what it holds, by its own clock. All of that
is known on this device; the cloud knows no names. A device states what it holds
when it is in sync and something has changed. "Last seen" is when its last session
began, or up to an hour before, as the cloud said in this device's last sync: a
cloud can lie about that.

With --json it prints an array of {"id", "name", "this", "trusted", "certified_by",
"revoked_by", "seen_at", "stated_at", "in_sync", "behind"}: certified_by and revoked_by are ids
of devices, or "words"; in_sync is null if the device never stated anything; behind
counts, by kind, the versions that it had fewer than this device.`,
		Example: "  sidekeep devices\n  sidekeep devices invite\n  sidekeep devices revoke 'old phone'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.devices(cmd.Context()) },
	}
	a.jsonFlag(cmd)
	cmd.AddCommand(a.inviteCommand(), a.revokeCommand())
	return cmd
}

// byWords stands for the root where a device's id could.
const byWords = "words"

// deviceJSON is one device as `devices --json` prints it.
type deviceJSON struct {
	ID          string                 `json:"id"`
	Name        string                 `json:"name"`
	This        bool                   `json:"this"`
	Trusted     bool                   `json:"trusted"`
	CertifiedBy string                 `json:"certified_by"`
	RevokedBy   string                 `json:"revoked_by,omitempty"` // "" if it ended with who certified it
	SeenAt      *time.Time             `json:"seen_at"`              // by the cloud
	StatedAt    *time.Time             `json:"stated_at"`
	InSync      *bool                  `json:"in_sync"`
	Behind      map[record.Kind]uint64 `json:"behind,omitempty"`

	key seal.DeviceKey
}

// roster is what this home knows about the account's devices.
type roster struct {
	home *home
	set  *seal.Statements
	list []deviceJSON
}

func (a *app) devices(ctx context.Context) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	r, err := a.readRoster(ctx, h)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r.list)
	}
	t := newTable("id", "name", "certified by", "trusted", "in sync", "last seen")
	for i := range r.list {
		d := &r.list[i]
		name := d.Name
		if d.This {
			name = strings.TrimSpace(name + " (this one)")
		}
		t.add(shorten(d.ID, idDigits+1), orDash(name), orDash(r.name(d.CertifiedBy)), r.trustText(d), syncText(d), d.seenText())
	}
	return t.print(a.stdout)
}

// readRoster joins the statements beside the keys with what devices stated about
// themselves.
func (a *app) readRoster(ctx context.Context, h *home) (*roster, error) {
	known, err := agent.OpenDevices(h.dir, h.identity.Account)
	if err != nil {
		return nil, explain("read the devices", err)
	}
	r := &roster{home: h, set: known.Statements()}
	_, _ = r.set.Add(seal.StatementsOf(h.identity.Chain)...) // void ones are left out
	s, err := a.openStore(ctx, h, nil)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	stated, err := s.Witnesses(ctx)
	if err != nil {
		return nil, explain("read the devices", err)
	}
	own, err := s.Status(ctx)
	if err != nil {
		return nil, explain("read the devices", err)
	}
	r.fill(stated, &own)
	seen, err := agent.DevicesSeen(h.dir)
	if err != nil {
		return nil, explain("read the devices", err)
	}
	for i := range r.list {
		if at, ok := seen[r.list[i].ID]; ok {
			r.list[i].SeenAt = &at
		}
	}
	return r, nil
}

func (r *roster) fill(stated []localstore.Witness, own *localstore.Status) {
	this := r.home.identity.Device()
	standings := r.set.Trust().Devices()
	if r.set.Trust().Of(this) == nil { // its certificate is void
		standings = append(standings, &seal.Standing{Device: this, Issuers: []seal.DeviceKey{r.home.identity.Chain[len(r.home.identity.Chain)-1].Issuer}})
	}
	for _, st := range standings {
		d := deviceJSON{ID: st.Device.String(), This: st.Device == this, Trusted: st.Trusted, CertifiedBy: r.who(st.By()), key: st.Device}
		if st.Ended != nil {
			d.RevokedBy = r.who(st.Ended.Issuer)
		}
		if d.This {
			d.Name = r.home.config.Name
		}
		var newest *localstore.Witness
		for i := range stated {
			if w := &stated[i]; w.Device == d.ID && (newest == nil || w.At.After(newest.At)) {
				newest = w
			}
		}
		if newest != nil {
			d.stated(newest, own)
		}
		r.list = append(r.list, d)
	}
	slices.SortStableFunc(r.list, func(a, b deviceJSON) int {
		if a.Trusted != b.Trusted {
			return map[bool]int{true: -1, false: 1}[a.Trusted]
		}
		return strings.Compare(a.Name+a.ID, b.Name+b.ID)
	})
}

func (d *deviceJSON) stated(w *localstore.Witness, own *localstore.Status) {
	if d.Name == "" {
		d.Name = w.Name
	}
	at, same := w.At.UTC(), true
	d.StatedAt, d.InSync, d.Behind = &at, &same, map[record.Kind]uint64{}
	for kind, k := range own.Kinds {
		theirs := w.Kinds[kind]
		same = same && theirs.Equal(k.Digest)
		if theirs.Count < k.Digest.Count {
			d.Behind[kind] = k.Digest.Count - theirs.Count
		}
	}
}

// who gives the id of an issuer.
func (r *roster) who(key seal.DeviceKey) string {
	root := seal.DeviceKey(r.set.Account())
	switch {
	case key == seal.DeviceKey{}:
		return ""
	case key == root:
		return byWords
	}
	return key.String()
}

// name gives what a person calls the device of an id.
func (r *roster) name(id string) string {
	if id == byWords {
		return "the words"
	}
	for i := range r.list {
		if r.list[i].ID == id && r.list[i].Name != "" {
			return r.list[i].Name
		}
	}
	return shorten(id, idDigits+1)
}

func (r *roster) trustText(d *deviceJSON) string {
	switch {
	case d.Trusted:
		return "yes"
	case d.RevokedBy != "":
		return "no: revoked by " + r.name(d.RevokedBy)
	case d.CertifiedBy == "":
		return "no: nobody who is trusted let it in"
	}
	return "no: ended with " + r.name(d.CertifiedBy)
}

func (d *deviceJSON) seenText() string {
	switch {
	case d.This:
		return "here"
	case d.SeenAt == nil:
		return "-"
	}
	return d.SeenAt.Local().Format(time.DateTime)
}

func syncText(d *deviceJSON) string {
	if d.InSync == nil {
		return "not known"
	}
	at := "as of " + d.StatedAt.Local().Format(time.DateTime)
	if *d.InSync {
		return "yes, " + at
	}
	var less []string
	for _, kind := range sortedKinds(d.Behind) {
		less = append(less, fmt.Sprintf("%d %s", d.Behind[kind], kind))
	}
	if len(less) == 0 {
		return "no, " + at
	}
	return fmt.Sprintf("no: %s fewer, %s", strings.Join(less, ", "), at)
}

func sortedKinds(of map[record.Kind]uint64) []record.Kind {
	var kinds []record.Kind
	for k := range of {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b record.Kind) int {
		if d := a.Priority() - b.Priority(); d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
	return kinds
}

// find gives the one device that has a name, or whose id begins so.
func (r *roster) find(text string) (*deviceJSON, error) {
	var found []*deviceJSON
	for i := range r.list {
		if d := &r.list[i]; d.Name == text || len(text) >= 4 && strings.HasPrefix(d.ID, strings.ToLower(text)) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 0:
		return nil, &Error{Op: "find device", Object: text, Code: ExitUsage, Cause: errors.New("no device has this name, or an id that begins so"),
			Hint: "'sidekeep devices' lists them; one that was just let in has no name there until it has synced: give its id"}
	case len(found) > 1:
		return nil, usagef("%q is more than one device; give the beginning of its id, at least 4 digits", text)
	}
	return found[0], nil
}
