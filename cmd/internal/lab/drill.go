package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sidekeep/testdata"
)

// drill is one way in which a cloud, a device or a person fails, as a story on
// real processes that ends in proof or in an error.
type drill struct {
	name  string
	about string // one line
	run   func(context.Context, *scene) error
}

// drills are all of them, in the order in which "all" runs them. Each stands in
// a file of its own.
var drills = []drill{
	{"empty", "the cloud's data folder is gone: told, given back in priority order, through any interruption", drillEmpty},
	{"oldcloud", "an old back-up of the cloud comes back, at rest and after it ran on: nothing lost, nothing returns", drillOldCloud},
	{"partial", "a kind, a tenth of the rows, pieces of pictures are gone; a kind is being restored: filled, nothing dropped or held", drillPartial},
	{"corrupt", "flipped bits, a truncated file, garbage: the cloud finds it, sets it aside, and devices fill the holes", drillCorrupt},
	{"wrongcloud", "a sign-in page, a redirect, another account's cloud, wrong names and dates: told apart, nothing lost", drillWrongCloud},
	{"hostile", "a cloud that forges, replays, swaps, floods, acknowledges without storing: bounded, nothing lost, the truth at the next honest session", drillHostile},
	{"fullcloud", "the cloud's disk gets full, is read-only, the cloud is killed in mid-commit: nothing acknowledged that is not stored", drillFullCloud},
	{"clone", "a device put back from its own old copy, and two from one image: every write of all survives", drillClone},
	{"damaged", "a handset's database turns to noise, is cut, emptied: salvaged, the rest refetched", drillDamaged},
	{"fulldisk", "a handset's disk gets full, is read-only: writes fail whole, records come before pictures, all goes on when there is room", drillFullDisk},
	{"clock", "clocks at 1970, 2038 and jumping, on handsets and cloud: no effect on what wins", drillClock},
	{"year", "a handset returns after a year: no edit of it is dropped, nothing it still has returns from the dead", drillYear},
	{"brake", "an app deletes or empties all contacts: held on the way out and on the way in, and undone everywhere", drillBrake},
	{"overrun", "all handsets return at once to an empty cloud: waits, fair shares, live edits meanwhile, memory within its limit", drillOverrun},
	{"flood", "strangers, idle sessions, messages that do not end, giant frames: memory bounded, honest devices served", drillFlood},
	{"rollback", "an app and another handset change hundreds of records: rolled back on one, undone everywhere", drillRollback},
	{"backup", "a back-up restored on a handset without network, and after everything else is lost", drillBackup},
	{"cloudbackup", "a back-up of the serving cloud, proven, restored; a damaged one is refused", drillCloudBackup},
	{"report", "after a loss the operator reads exact numbers, which move, and end final and equal to a count of the file", drillReport},
}

// scene is where a drill plays: a bench, what tells of it, and chance from a seed.
type scene struct {
	*story
	*bench
	rand  *rand.Rand
	long  bool // the long form: more rounds, other moments
	cloud *server
	words string
	env   []string // more variables of all handsets
}

// begin starts the cloud, the one that is set or a new one, and a first handset that holds the sample data, and
// joins others to it. When it returns, all are on and in sync.
func (s *scene) begin(ctx context.Context, names ...string) ([]*handset, error) {
	if s.cloud == nil {
		s.cloud = s.server("cloud")
	}
	if err := s.cloud.on(ctx); err != nil {
		return nil, err
	}
	folder := s.path("sample")
	if err := os.CopyFS(folder, testdata.Sample()); err != nil {
		return nil, err
	}
	var handsets []*handset
	for i, name := range names {
		h := s.handset(name)
		h.env = slices.Clone(s.env)
		var err error
		if i == 0 {
			if s.words, err = h.create(ctx, s.cloud.url()); err == nil {
				_, err = h.do(ctx, "import", folder)
			}
			if err == nil {
				_, err = h.do(ctx, "sync")
			}
		} else {
			err = h.join(ctx, s.cloud.url(), s.words)
		}
		if err != nil {
			return nil, err
		}
		if err := h.on(); err != nil {
			return nil, err
		}
		handsets = append(handsets, h)
	}
	if err := settled(ctx, handsets...); err != nil {
		return nil, err
	}
	s.say("a cloud and %d handsets hold %d records", len(names), sampleRecords())
	return handsets, nil
}

func sampleRecords() (n int) {
	for _, c := range testdata.SampleCounts {
		n += c
	}
	return n
}

// drillResult is what --json prints of one drill.
type drillResult struct {
	Drill   string  `json:"drill"`
	Proven  bool    `json:"proven"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
	Seed    uint64  `json:"seed"`
	Folder  string  `json:"folder,omitempty"`
}

// drillOptions say how drills are run.
type drillOptions struct {
	long, keep bool
	seed       uint64
}

// runDrill runs one drill in a folder of its own.
func runDrill(ctx context.Context, d drill, progress io.Writer, o drillOptions) (drillResult, error) {
	b, err := newBench("sidekeep-" + d.name)
	if err != nil {
		return drillResult{}, err
	}
	s := &scene{story: newStory(progress), bench: b, long: o.long, rand: rand.New(rand.NewPCG(o.seed, 0))}
	err = d.run(ctx, s)
	r := drillResult{Drill: d.name, Proven: err == nil, Seconds: time.Since(s.began).Seconds(), Seed: o.seed}
	if err != nil {
		r.Error = err.Error()
		err = fmt.Errorf("drill %s: %w", d.name, err)
	}
	if o.keep {
		r.Folder = b.dir
	}
	return r, errors.Join(err, b.Close(o.keep))
}

func drillCommand() *cobra.Command {
	var o drillOptions
	var list, asJSON bool
	cmd := &cobra.Command{
		Use:   "drill NAME... | all",
		Short: "Break one thing in one way, and prove what is left",
		Long: `drill plays one failure of a cloud, a device or a person on real processes, and
proves that nothing is lost and nothing returns from the dead. --list names them.`,
		Example:           "  sidekeep-lab drill --list\n  sidekeep-lab drill clone --long --seed 7",
		ValidArgsFunction: cobra.FixedCompletions(append(drillNames(), "all"), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				for _, d := range drills {
					fmt.Fprintf(cmd.OutOrStdout(), "%-16s %s\n", d.name, d.about)
				}
				return nil
			}
			chosen, err := chooseDrills(args)
			if err != nil {
				return err
			}
			if o.seed == 0 {
				o.seed = rand.Uint64()
			}
			return runDrills(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), chosen, o, asJSON)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "name the drills")
	cmd.Flags().BoolVar(&o.long, "long", false, "the long form")
	cmd.Flags().BoolVar(&o.keep, "keep", false, "keep the folder, and say where it is")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object a drill; progress goes to standard error")
	cmd.Flags().Uint64Var(&o.seed, "seed", 0, "seed of a run to repeat (default: a new one)")
	return cmd
}

func drillNames() []string {
	names := make([]string, len(drills))
	for i, d := range drills {
		names[i] = d.name
	}
	return names
}

func chooseDrills(names []string) ([]drill, error) {
	if len(names) == 0 {
		return nil, errors.New("name a drill, or all; --list names them")
	}
	if slices.Contains(names, "all") {
		return drills, nil
	}
	var chosen []drill
	for _, name := range names {
		i := slices.IndexFunc(drills, func(d drill) bool { return d.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no drill %q; --list names them", name)
		}
		chosen = append(chosen, drills[i])
	}
	return chosen, nil
}

func runDrills(ctx context.Context, stdout, stderr io.Writer, chosen []drill, o drillOptions, asJSON bool) error {
	progress := stdout
	if asJSON {
		progress = stderr
	}
	var failed []error
	var results []drillResult
	for _, d := range chosen {
		fmt.Fprintf(progress, "%s: %s (seed %d)\n", d.name, d.about, o.seed)
		r, err := runDrill(ctx, d, progress, o)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		failed = append(failed, err)
		results = append(results, r)
		if asJSON {
			if err := json.NewEncoder(stdout).Encode(r); err != nil {
				return err
			}
		} else if err == nil {
			fmt.Fprintf(stdout, "%s: proven, after %.1f s\n", d.name, r.Seconds)
		}
		if r.Folder != "" {
			fmt.Fprintf(progress, "everything is in %s\n", r.Folder)
		}
	}
	if len(results) > 1 && !asJSON {
		printDrills(stdout, results)
	}
	return errors.Join(failed...)
}

// printDrills writes one line a drill.
func printDrills(w io.Writer, results []drillResult) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\ndrill\tproven\tseconds\tseed\twhat was not as it must be")
	for _, r := range results {
		proven := "yes"
		if !r.Proven {
			proven = "no"
		}
		why, _, _ := strings.Cut(r.Error, "\n")
		fmt.Fprintf(t, "%s\t%s\t%.1f\t%d\t%s\n", r.Drill, proven, r.Seconds, r.Seed, why)
	}
	t.Flush()
}
