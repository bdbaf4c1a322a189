package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/localstore/record"
	"sidekeep/testdata"
)

// outage is the main job as a story, on real processes, sockets and databases:
// two handsets, a cloud that is lost with all its data, and a third handset.
type outage struct {
	*story
	b       *bench
	cloud   *server
	one     *handset
	two     *handset
	three   *handset
	parties []string
	rows    []row
	words   string
	made    drillRecords
	want    map[record.Kind]*counts
}

// counts are what a kind must have, by the drill's own bookkeeping.
type counts struct{ live, deleted int }

// outageResult is what --json prints.
type outageResult struct {
	Proven  bool     `json:"proven"`
	Error   string   `json:"error,omitempty"`
	Seconds float64  `json:"seconds"`
	Folder  string   `json:"folder,omitempty"`
	Parties []string `json:"parties"`
	Rows    []row    `json:"rows"`
}

// runOutage runs the drill in a folder of its own and prints it. It returns an
// error if anything is lost, differs, or does not come about in time.
func runOutage(ctx context.Context, stdout, stderr io.Writer, keep, asJSON bool) error {
	progress := stdout
	if asJSON {
		progress = stderr
	}
	b, err := newBench("sidekeep-outage")
	if err != nil {
		return err
	}
	o := newOutage(b, progress)
	err = o.run(ctx)
	result := outageResult{Proven: err == nil, Seconds: time.Since(o.began).Seconds(), Parties: o.parties, Rows: o.rows}
	if keep {
		result.Folder = b.dir
	}
	if err != nil {
		result.Error = err.Error()
	}
	err = errors.Join(err, b.Close(keep))
	if asJSON {
		out := json.NewEncoder(stdout)
		out.SetIndent("", "  ")
		return errors.Join(err, out.Encode(result))
	}
	if len(o.rows) > 0 {
		fmt.Fprintln(stdout)
		printTable(stdout, o.parties, o.rows)
		fmt.Fprintln(stdout, "\nrecords: living+deleted *not yet told to the cloud; a digest covers what was told, equal digests are equal data")
	}
	if keep {
		fmt.Fprintf(stdout, "everything is in %s\n", b.dir)
	}
	if err == nil {
		fmt.Fprintf(stdout, "nothing lost: all four digests agree for every kind, after %.1f s\n", result.Seconds)
	}
	return err
}

func newOutage(b *bench, progress io.Writer) *outage {
	o := &outage{story: newStory(progress), b: b, cloud: b.server("cloud"),
		one: b.handset("handset 1"), two: b.handset("handset 2"), three: b.handset("handset 3"),
		want: map[record.Kind]*counts{}}
	o.parties = []string{o.one.name, o.two.name, o.three.name, o.cloud.name}
	for _, kind := range record.Kinds {
		o.want[kind] = &counts{live: testdata.SampleCounts[string(kind)]}
	}
	return o
}

func (o *outage) run(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{
		o.begin, o.importSample, o.firstEdits, o.cloudFails, o.editApart, o.loseCloud, o.giveBack, o.joinThird, o.proveAll,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func (o *outage) begin(ctx context.Context) error {
	if err := o.cloud.on(ctx); err != nil {
		return err
	}
	o.say("a cloud listens on %s", o.cloud.addr)
	var err error
	if o.words, err = o.one.create(ctx, o.cloud.url()); err != nil {
		return err
	}
	if err := o.one.on(); err != nil {
		return err
	}
	if err := settled(ctx, o.one); err != nil {
		return err
	}
	o.say("handset 1 has made an account; its 24 words are written down")
	if err := o.two.join(ctx, o.cloud.url(), o.words); err != nil {
		return err
	}
	if err := o.two.on(); err != nil {
		return err
	}
	o.say("handset 2 has joined by the words")
	return settled(ctx, o.two)
}

// importSample imports all sample files on handset 1 and waits for handset 2.
func (o *outage) importSample(ctx context.Context) error {
	if err := os.CopyFS(o.b.path("sample"), testdata.Sample()); err != nil {
		return err
	}
	total := 0
	for _, n := range testdata.SampleCounts {
		total += n
	}
	o.say("handset 1 imports %d records from address books, calendars, notes and pictures", total)
	if _, err := o.one.do(ctx, "import", o.b.path("sample")); err != nil {
		return err
	}
	imported := time.Now()
	if err := settled(ctx, o.one, o.two); err != nil {
		return err
	}
	o.say("handset 2 has them all, %.2f s after the import ended", time.Since(imported).Seconds())
	return o.stage(ctx, "1 imported", true, o.one, o.two)
}

// stage adds rows to the table, and checks them: every handset has exactly what
// the drill's bookkeeping says, and, when equal is set, all digests agree.
func (o *outage) stage(ctx context.Context, name string, equal bool, handsets ...*handset) error {
	rows := map[record.Kind]*row{}
	for _, kind := range record.Kinds {
		rows[kind] = &row{Stage: name, Kind: kind, Parties: map[string]*cell{}}
	}
	for _, h := range handsets {
		s, err := h.status(ctx)
		if err != nil {
			return err
		}
		for kind, r := range rows {
			k := s.Kinds[kind]
			r.Parties[h.name] = &cell{Live: k.Live, Deleted: k.Deleted, Unsynced: k.Unsynced, Digest: k.Digest}
		}
	}
	if o.cloud.proc != nil {
		held, err := o.cloud.report(ctx)
		if err != nil {
			return err
		}
		for kind, r := range rows {
			c := held[kind]
			r.Parties[o.cloud.name] = &c
		}
	}
	var wrong []error
	for _, kind := range record.Kinds {
		r := rows[kind]
		o.rows = append(o.rows, *r)
		if !equal {
			continue
		}
		if r.agreed() == "" {
			wrong = append(wrong, fmt.Errorf("%s: digests of %s %s", name, kind, r.digests(o.parties)))
		}
		for party, c := range r.Parties {
			if w := o.want[kind]; c.Live != w.live || c.Deleted != w.deleted {
				wrong = append(wrong, fmt.Errorf("%s: %s has %d living and %d deleted %s, %d and %d are right", name, party, c.Live, c.Deleted, kind, w.live, w.deleted))
			}
		}
	}
	return errors.Join(wrong...)
}

func (o *outage) cloudFails(ctx context.Context) error {
	o.cloud.crash()
	o.say("the cloud's power fails (kill -9)")
	return nil
}

func (o *outage) loseCloud(ctx context.Context) error {
	if err := o.stage(ctx, "2 edited apart", false, o.one, o.two); err != nil {
		return err
	}
	if err := o.cloud.destroy(); err != nil {
		return err
	}
	o.say("the cloud's data folder is destroyed")
	return nil
}

// giveBack starts an empty cloud and watches the handsets fill it.
func (o *outage) giveBack(ctx context.Context) error {
	before, err := o.one.live(ctx)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	defer done.Wait()
	defer stop()
	watches := []*givenWatch{}
	for _, h := range []*handset{o.one, o.two} {
		w := &givenWatch{handset: h, lost: before.Cloud.Epoch, at: map[record.Kind]time.Time{}}
		watches = append(watches, w)
		done.Go(func() { w.fault = h.watch(watching, w.see) })
	}
	if err := o.cloud.on(ctx); err != nil {
		return err
	}
	began := time.Now()
	held, err := o.cloud.report(ctx)
	if err != nil {
		return err
	}
	n := 0
	for _, c := range held {
		n += c.Live + c.Deleted
	}
	o.say("a new cloud starts on the same address, with an empty folder: it reports %d records", n)
	if err := settled(ctx, o.one, o.two); err != nil {
		return err
	}
	o.say("the handsets have given everything back, %.2f s after the new cloud was up", time.Since(began).Seconds())
	for _, w := range watches {
		err := until(ctx, w.handset.name+" has told when the cloud got each kind", 5*time.Second, w.incomplete)
		if err != nil {
			return err
		}
		order, text := w.order(began)
		o.say("  %s saw it get %s", w.handset.name, text)
		if !inOrder(order) {
			return fmt.Errorf("%s did not follow the order of priority: %v", w.handset.name, order)
		}
	}
	return o.stage(ctx, "3 given back", true, o.one, o.two)
}

// givenWatch notes when a handset first learned that a new cloud holds something
// of each kind. (When it holds all of it is no good measure of the order: the
// other handset's edits may arrive in between.)
type givenWatch struct {
	handset *handset
	lost    string // epoch of the cloud that is gone
	fault   error  // set when the watching has ended

	mu sync.Mutex
	at map[record.Kind]time.Time
}

func (w *givenWatch) see(s handsetStatus) {
	if s.Cloud.Epoch == "" || s.Cloud.Epoch == w.lost {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for kind, k := range s.Kinds {
		if _, seen := w.at[kind]; !seen && strings.Trim(k.CloudDigest, "0") != "" {
			w.at[kind] = now
		}
	}
}

func (w *givenWatch) incomplete() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.at); n < len(record.Kinds) {
		return fmt.Sprintf("%d kinds are", n), nil
	}
	return "", nil
}

// order returns the kinds as they were given (those told at one moment by
// priority), and a text that says when.
func (w *givenWatch) order(began time.Time) ([]record.Kind, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kinds := slices.Clone(record.Kinds[:])
	slices.SortStableFunc(kinds, func(a, b record.Kind) int { return w.at[a].Compare(w.at[b]) })
	var parts []string
	for i, k := range kinds {
		if i+1 < len(kinds) && w.at[kinds[i+1]].Equal(w.at[k]) {
			parts = append(parts, string(k)+",")
		} else {
			parts = append(parts, fmt.Sprintf("%s after %.2f s;", k, w.at[k].Sub(began).Seconds()))
		}
	}
	return kinds, strings.TrimSuffix(strings.Join(parts, " "), ";")
}

func (o *outage) joinThird(ctx context.Context) error {
	began := time.Now()
	if err := o.three.join(ctx, o.cloud.url(), o.words); err != nil {
		return err
	}
	if err := o.three.on(); err != nil {
		return err
	}
	if err := settled(ctx, o.one, o.two, o.three); err != nil {
		return err
	}
	o.say("a third, new handset has joined by the words and has everything, %.2f s after it was switched on", time.Since(began).Seconds())
	return o.stage(ctx, "4 third joined", true, o.one, o.two, o.three)
}

// proveAll compares what the three handsets give out, byte for byte, with each
// other and with what was imported, and lets all verify themselves.
func (o *outage) proveAll(ctx context.Context) error {
	var out []exports
	for _, h := range []*handset{o.one, o.two, o.three} {
		if err := o.checkEdits(ctx, h); err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		e, err := h.export(ctx, o.b.path("export of "+h.name))
		if err != nil {
			return err
		}
		out = append(out, e)
	}
	o.say("every edit made apart is on all three: both fields, both values of one field, the deletion, the edit against a deletion")
	var files, size int
	for _, e := range out[1:] {
		var err error
		if files, size, err = sameExports(out[0], e); err != nil {
			return err
		}
	}
	o.say("exports of all three are equal byte for byte: %d files, %d bytes", files, size)
	lines, whole, err := originalsIn(out[2], testdata.Sample())
	if err != nil {
		return err
	}
	_, pictures, err := originalsIn(out[2], os.DirFS(o.b.path("camera")))
	if err != nil {
		return err
	}
	o.say("handset 3 gives out all that was imported: %d content lines of cards and calendars, %d notes and pictures byte for byte", lines, whole+pictures)
	for _, h := range []*handset{o.one, o.two, o.three} {
		if err := h.off(); err != nil {
			return err
		}
		if _, err := h.do(ctx, "verify"); err != nil {
			return err
		}
	}
	if err := o.cloud.off(); err != nil {
		return err
	}
	if _, err := o.b.run(ctx, roleCloud, "verify", "--data", o.cloud.data); err != nil {
		return err
	}
	o.say("verify is clean on the three handsets and the cloud")
	return o.searchPlaintext()
}

// searchPlaintext looks for words of the records in the cloud's files.
func (o *outage) searchPlaintext() error {
	files, err := readTree(os.DirFS(o.cloud.data))
	if err != nil {
		return err
	}
	searched := 0
	for name, data := range files {
		searched += len(data)
		for _, text := range plainWords {
			if strings.Contains(string(data), text) {
				return fmt.Errorf("the cloud's file %s holds %q in plain", name, text)
			}
		}
	}
	o.say("no plain text of a record in the cloud's files (%d bytes searched for %d phrases)", searched, len(plainWords))
	return nil
}

// plainWords are phrases that stand in the sample and the drill's own records.
var plainWords = []string{"BEGIN:V", "SUMMARY", "TEL;", "Lindqvist", "Hafenstadt", "example.org", "Packing list", "JFIF", "Exif", "FREQ=WEEKLY", "Ada Drill"}

// newPicture writes a picture that is not part of the sample to the camera folder.
func (o *outage) newPicture() (string, error) {
	dir := o.b.path("camera")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "IMG_9001.jpg")
	return path, os.WriteFile(path, sample.Photo("taken while the cloud was down"), 0o644)
}
