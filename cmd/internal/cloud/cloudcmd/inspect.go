package cloudcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/cmd/internal/cloudstore"
	"sidekeep/cmd/internal/cloudstore/sqlitestore"
	"sidekeep/syncproto/seal"
)

func reportCommand() *cobra.Command {
	var data, account string
	var gone []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report --data DIR",
		Short: "Say in exact numbers what is stored, and what each replica last proved to hold",
		Long: `report counts, per account and kind, live and deleted records, versions and
their digest, and says per replica what it last proved to hold. It may run beside
a server.

After a loss it says per kind what is held and proven, what is still to come and
from which device (exactly, once that device was back), and in the end how many
records are lost: the cloud held them once, and nobody gave them back. It knows
them by their ids, so records that were made or edited after the loss do not count
for them. What a cloud that lost its whole folder held, it only knows from devices:
lost is then what they told to hold, less what is held. --gone names a device, or
one of its replicas, that will not return, so that the rest is final without it.
Counts of coverage are versions, one a record as long as nobody edits it elsewhere;
missing and lost are records. A service kind is what devices note about themselves,
and no data of a person: it is shown apart, with "service" in --json.

With --json it prints
{"epoch","accounts":[{"account","head","created","kinds":[{"kind","service","live",
"deleted","versions","digest","bytes","dominated","aside","restoring","coverage":{"had",
"missing","loss_at","proven","proven_at","to_come":[{"device","replica","versions","back",
"count","digest","at"}],"final","lost"}}],"replicas":[{"replica","device","last_seen",
"proofs":[{"kind","count","digest","at","equal","lacking","current","agreed"}]}],"chunks",
"chunk_bytes"}]}.` + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := openReadOnly(cmd.Context(), data)
			if err != nil {
				return err
			}
			defer store.Close()
			var only *seal.Account
			if account != "" {
				a, err := seal.ParseAccount(account)
				if err != nil {
					return fmt.Errorf("%w: --account: %w", errUsage, err)
				}
				only = &a
			}
			r, err := store.Report(cmd.Context(), only)
			if err != nil {
				return err
			}
			if len(gone) > 0 {
				names := map[string]bool{}
				for _, g := range gone {
					names[g] = true
				}
				for i := range r.Accounts {
					for j := range r.Accounts[i].Kinds {
						cloudstore.Cover(&r.Accounts[i].Kinds[j], r.Accounts[i].Replicas, names)
					}
				}
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			return printReport(cmd.OutOrStdout(), r)
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder of the cloud's data")
	cmd.Flags().StringVar(&account, "account", "", "one account only")
	cmd.Flags().StringArrayVar(&gone, "gone", nil, "a device (its key) or a replica that will not come back; may be given several times")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func verifyCommand() *cobra.Command {
	var data string
	var asJSON, mend bool
	cmd := &cobra.Command{
		Use:   "verify [--repair] --data DIR",
		Short: "Check the whole store",
		Long: `verify checks SQLite's own structure, every header against its row, every
digest against the rows, and length and checksum of every version and chunk. It may
run beside a server. With --repair, and no server running, it moves damaged rows
into a quarantine inside the database, and counts again; a database that SQLite
finds damaged is set aside whole, in a folder of its own, and what still opens
is carried over into a new one. Nothing is thrown away, and devices fill the
holes when they connect. With --json it prints {"verified":{...},"problems":[{"account","kind","what"}]}:
without an account a problem is the database's, without a kind the account's; the
kind of a chunk is that of what refers to it, or "unknown".` + exitHelp,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if mend {
				if data == "" {
					return fmt.Errorf("%w: --data is required", errUsage)
				}
				return verifyAndRepair(cmd, data, asJSON)
			}
			problems := []cloudstore.Problem{}
			store, err := openReadOnly(cmd.Context(), data)
			if errors.Is(err, sqlitestore.ErrDamaged) {
				problems = append(problems, cloudstore.Problem{What: err.Error()})
				return errors.Join(printVerified(cmd.OutOrStdout(), cloudstore.Verified{Problems: 1}, problems, asJSON), err)
			}
			if err != nil {
				return err
			}
			defer store.Close()
			v, err := store.Verify(cmd.Context(), func(p cloudstore.Problem) { problems = append(problems, p) })
			if err != nil {
				return err
			}
			if err := printVerified(cmd.OutOrStdout(), v, problems, asJSON); err != nil {
				return err
			}
			if v.Problems > 0 {
				return fmt.Errorf("%w: %d problems", errDamaged, v.Problems)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", "", "folder of the cloud's data")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.Flags().BoolVar(&mend, "repair", false, "mend what is found")
	return cmd
}

func openReadOnly(ctx context.Context, dir string) (*sqlitestore.Store, error) {
	if dir == "" {
		return nil, fmt.Errorf("%w: --data is required", errUsage)
	}
	s, err := sqlitestore.Open(ctx, dir, sqlitestore.Options{ReadOnly: true})
	if errors.Is(err, os.ErrNotExist) {
		return nil, hinted{err, "there is no cloud's data in this folder"}
	}
	return s, err
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printVerified(w io.Writer, v cloudstore.Verified, problems []cloudstore.Problem, asJSON bool) error {
	if asJSON {
		return printJSON(w, struct {
			Verified cloudstore.Verified  `json:"verified"`
			Problems []cloudstore.Problem `json:"problems"`
		}{v, problems})
	}
	for _, p := range problems {
		fmt.Fprintf(w, "%s: %s\n", placeOf(p), p.What)
	}
	_, err := fmt.Fprintf(w, "%d accounts, %d versions, %d dominated, %d set aside, %d chunks (%d more not here yet), %d in quarantine: %d problems\n",
		v.Accounts, v.Versions, v.Dominated, v.Aside, v.Chunks, v.ChunksLacking, v.Quarantined, v.Problems)
	return err
}

// placeOf names what a problem is of.
func placeOf(p cloudstore.Problem) string {
	switch {
	case p.Account == "":
		return "the database"
	case p.Kind == "":
		return p.Account
	}
	return p.Account + " " + p.Kind
}

func provenText(k cloudstore.KindReport) string {
	switch {
	case k.Restoring:
		return "being restored"
	case k.Coverage.Proven:
		return k.Coverage.At.Format(time.RFC3339)
	}
	return "no"
}

func toComeText(c cloudstore.Coverage) string {
	var parts []string
	for _, t := range c.ToCome {
		word := "at most "
		if t.Back {
			word = ""
		}
		parts = append(parts, fmt.Sprintf("%s%d from %s (device %.8s)", word, t.Versions, t.Replica, t.Device))
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

// kindText names a kind, and says when it is no data of a person.
func kindText(k cloudstore.KindReport) string {
	if k.Service {
		return "(service: " + k.Kind + ")"
	}
	return k.Kind
}

func lostText(c cloudstore.Coverage) string {
	if !c.Final {
		return "not known yet"
	}
	return fmt.Sprint(c.Lost)
}

func printReport(w io.Writer, r cloudstore.Report) error {
	fmt.Fprintf(w, "epoch %s, %d accounts\n", r.Epoch, len(r.Accounts))
	for _, a := range r.Accounts {
		fmt.Fprintf(w, "\naccount %s\nsince %s, head %d, %d chunks of %d bytes\n\n", a.Account, a.Created.Format(time.RFC3339), a.Head, a.Chunks, a.ChunkBytes)
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "kind\tlive\tdeleted\tversions\tdigest\tbytes\tdominated\taside")
		for _, k := range a.Kinds {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%d\t%d\t%d\n", kindText(k), k.Live, k.Deleted, k.Versions, k.Digest, k.Bytes, k.Dominated, k.Aside)
		}
		fmt.Fprintln(t, "\nkind\theld\thad\tmissing\tproven\tto come\tlost")
		for _, k := range a.Kinds {
			fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", kindText(k), k.Versions, k.Coverage.Had, k.Coverage.Missing, provenText(k), toComeText(k.Coverage), lostText(k.Coverage))
		}
		fmt.Fprintln(t, "\nreplica\tkind\tproved\tdigest\tat\tequal now")
		for _, rep := range a.Replicas {
			for _, p := range rep.Proofs {
				fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%v\n", rep.Replica, p.Kind, p.Count, p.Digest, p.At.Format(time.RFC3339), p.Equal)
			}
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return nil
}
