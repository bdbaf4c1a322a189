package pim_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

var writeTable = flag.Bool("write", false, "write CORPUS.md from the corpus run")

// corpusDir finds the corpus beside the module, or skips.
func corpusDir(t *testing.T) string {
	dir, err := filepath.Abs("../../../shared/corpus")
	if err == nil {
		_, err = os.Stat(dir)
	}
	if alt := os.Getenv("SIDEKEEP_CORPUS"); alt != "" {
		dir, err = alt, nil
	}
	if err != nil {
		t.Skip("no corpus beside the module (../shared/corpus; SIDEKEEP_CORPUS names another place)")
	}
	return dir
}

// naiveLines is an unfolder written for this test alone: physical lines, empty
// ones dropped, those that begin with a blank appended to the one before. It
// knows nothing of quoted-printable: a soft-broken value is several lines to
// it, which must come out as the same several lines.
func naiveLines(b []byte) []string {
	s := strings.TrimPrefix(string(b), "\xef\xbb\xbf")
	for strings.Contains(s, "\r\r") {
		s = strings.ReplaceAll(s, "\r\r", "\r")
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	var out []string
	for _, l := range strings.Split(s, "\n") {
		if l == "" {
			continue
		}
		if (l[0] == ' ' || l[0] == '\t') && len(out) > 0 {
			out[len(out)-1] += l[1:]
		} else {
			out = append(out, l)
		}
	}
	return out
}

// naiveBlock is a BEGIN...END block as a list of lines, everything inside included.
type naiveBlock struct {
	name  string
	lines []string // from BEGIN to before END
	head  []string // those that stand in no inner block
	inner []naiveBlock
}

func naiveBlocks(lines []string) (blocks []naiveBlock, rest []string) {
	for len(lines) > 0 {
		l := lines[0]
		lines = lines[1:]
		up := strings.ToUpper(strings.TrimSpace(l))
		if strings.HasPrefix(up, "END:") {
			return blocks, append([]string{l}, lines...)
		}
		if !strings.HasPrefix(up, "BEGIN:") {
			continue
		}
		b := naiveBlock{name: up[6:], lines: []string{l}}
		for len(lines) > 0 {
			up := strings.ToUpper(strings.TrimSpace(lines[0]))
			if up == "END:"+b.name {
				lines = lines[1:]
				break
			}
			if strings.HasPrefix(up, "BEGIN:") {
				before := len(lines)
				var sub []naiveBlock
				sub, lines = naiveOne(lines)
				b.inner = append(b.inner, sub...)
				for _, s := range sub {
					b.lines = append(append(b.lines, s.lines...), "END:"+s.name)
				}
				if len(lines) == before {
					break
				}
				continue
			}
			b.head = append(b.head, lines[0])
			b.lines = append(b.lines, lines[0])
			lines = lines[1:]
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// naiveOne takes the one block that lines begins with.
func naiveOne(lines []string) ([]naiveBlock, []string) {
	name := strings.ToUpper(strings.TrimSpace(lines[0]))[6:]
	depth, end := 0, len(lines)
	for i, l := range lines {
		up := strings.ToUpper(strings.TrimSpace(l))
		if up == "BEGIN:"+name {
			depth++
		} else if up == "END:"+name {
			if depth--; depth == 0 {
				end = i + 1
				break
			}
		}
	}
	b, _ := naiveBlocks(lines[:end])
	return b[:1], lines[end:]
}

// entriesOf lists every card and calendar entry of a file in order; time zones apart.
func entriesOf(b []byte) (entries, zones, heads []string) {
	blocks, _ := naiveBlocks(naiveLines(b))
	var walk func(bs []naiveBlock)
	walk = func(bs []naiveBlock) {
		for _, b := range bs {
			switch b.name {
			case "VCALENDAR":
				heads = append(heads, strings.Join(b.head, "\n"))
				walk(b.inner)
			case "VTIMEZONE":
				zones = append(zones, strings.Join(b.lines, "\n"))
			default:
				entries = append(entries, strings.Join(b.lines, "\n"))
			}
		}
	}
	walk(blocks)
	return
}

// blobStore is what stands for the device's chunks in these tests.
type blobStore map[record.ChunkID][]byte

func (bs blobStore) fill(t testing.TB, o *pim.Object) {
	for i := range o.Fields {
		src, ok := o.Blobs[o.Fields[i].Key]
		if !ok {
			continue
		}
		r, err := src.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		r.Close()
		if err != nil || int64(len(data)) != src.Size {
			t.Fatalf("blob has %d bytes, said %d: %v", len(data), src.Size, err)
		}
		var id record.ChunkID
		copy(id[:], fmt.Sprintf("%016d", len(bs)))
		bs[id] = data
		o.Fields[i].Blob = &record.Blob{Size: uint64(len(data)), Chunks: []record.ChunkID{id}}
	}
}

func (bs blobStore) open(b *record.Blob) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(bs[b.Chunks[0]])), nil
}

func exportAll(t testing.TB, bs blobStore, kind record.Kind, objs []pim.Object) []byte {
	var buf bytes.Buffer
	err := pim.Export(&buf, kind, func(yield func(pim.Item, error) bool) {
		for _, o := range objs {
			if !yield(pim.Item{Fields: o.Fields}, nil) {
				return
			}
		}
	}, pim.ExportOptions{OpenBlob: bs.open})
	if err != nil {
		t.Fatalf("export %s: %v", kind, err)
	}
	return buf.Bytes()
}

type corpusRow struct {
	folder                                               string
	files, objects, records, lossless, repaired, refused int
}

func TestCorpus(t *testing.T) {
	dir := corpusDir(t)
	rows := map[string]*corpusRow{}
	var folders []string
	var places []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".vcf" && ext != ".ics" {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		rel = filepath.ToSlash(rel)
		folder := rel[:strings.LastIndexByte(rel, '/')]
		row := rows[folder]
		if row == nil {
			row = &corpusRow{folder: folder}
			rows[folder], folders = row, append(folders, folder)
		}
		t.Run(rel, func(t *testing.T) { places = append(places, checkFile(t, path, rel, row)...) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	total := corpusRow{folder: "all"}
	var table strings.Builder
	table.WriteString("| folder | files | objects | records | lossless | repaired places | refused places |\n|---|---|---|---|---|---|---|\n")
	for _, f := range append(folders, "") {
		r := rows[f]
		if f == "" {
			r = &total
		}
		fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d | %d |\n", r.folder, r.files, r.objects, r.records, r.lossless, r.repaired, r.refused)
		total.files += r.files
		total.objects += r.objects
		total.records += r.records
		total.lossless += r.lossless
		total.repaired += r.repaired
		total.refused += r.refused
	}
	if *writeTable && !t.Failed() {
		writeCorpusTable(t, table.String(), places, pictureTable(t, dir))
	}
	t.Logf("\n%s\n%s", table.String(), strings.Join(places, "\n"))
}

// checkFile imports one file, exports every record alone and all together, and
// compares with what stood in the file.
func checkFile(t *testing.T, path, rel string, row *corpusRow) (places []string) {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bs := blobStore{}
	var objs []pim.Object
	report, err := pim.ImportFile(path, func(o pim.Object) error {
		bs.fill(t, &o)
		objs = append(objs, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		if p.Reason == "" || p.File != path {
			t.Errorf("problem without reason or file: %+v", p)
		}
		places = append(places, fmt.Sprintf("| %s | %d | %s | %s |", rel, p.Line, p.Outcome, p.Reason))
	}
	row.files++
	row.records += len(objs)
	row.repaired += report.Repaired
	row.refused += report.Refused

	wantEntries, wantZones, wantHeads := entriesOf(raw)
	row.objects += len(wantEntries) + len(wantZones) + len(wantHeads)

	// One at a time: each object's lines, their order, and the calendar around.
	var gotEntries, gotZones, gotHeads []string
	for _, o := range objs {
		out := exportAll(t, bs, o.Kind, []pim.Object{o})
		checkPhysical(t, out, o)
		entries, zones, heads := entriesOf(out)
		gotEntries = append(gotEntries, entries...)
		for _, z := range zones {
			if !slices.Contains(gotZones, z) {
				gotZones = append(gotZones, z)
			}
		}
		gotHeads = append(gotHeads, heads...)
		for _, h := range heads {
			if !slices.Contains(wantHeads, h) && len(wantHeads) > 0 {
				t.Errorf("calendar lines changed:\n got %q\nfrom %q", h, wantHeads)
			}
		}
	}
	lost := missing(wantEntries, gotEntries)
	lostZones := missing(unique(wantZones), gotZones)
	lostHeads := missing(unique(wantHeads), gotHeads)
	for _, e := range missing(gotEntries, wantEntries) {
		t.Errorf("came out, but never went in:\n%q", e)
	}
	for _, e := range missing(gotZones, wantZones) {
		t.Errorf("zone came out, but never went in:\n%q", e)
	}
	if len(lost)+len(lostZones)+len(lostHeads) > report.Refused {
		t.Errorf("lost %q\nzones %q\ncalendars %q\nrefused %d", lost, lostZones, lostHeads, report.Refused)
	}
	row.lossless += len(wantEntries) + len(wantZones) + len(wantHeads) - len(lost) - len(lostZones) - len(lostHeads)

	// All of a kind together.
	var together []string
	for _, kind := range record.Kinds {
		var of []pim.Object
		for _, o := range objs {
			if o.Kind == kind {
				of = append(of, o)
			}
		}
		if len(of) == 0 {
			continue
		}
		out := exportAll(t, bs, kind, of)
		entries, _, _ := entriesOf(out)
		together = append(together, entries...)
		checkAgain(t, bs, out, of)
	}
	if d := missing(gotEntries, together); len(d) > 0 {
		t.Errorf("exported together, %d objects are lost:\n%q", len(d), d)
	}
	if d := missing(together, gotEntries); len(d) > 0 {
		t.Errorf("exported together, %d objects are new:\n%q", len(d), d)
	}
	return places
}

// checkPhysical checks what every line of an export must keep: CRLF, and the
// fold at 75 octets but for quoted-printable and vCard 2.1.
func checkPhysical(t *testing.T, out []byte, o pim.Object) {
	if n := bytes.Count(out, []byte("\n")); n != bytes.Count(out, []byte("\r\n")) || n != bytes.Count(out, []byte("\r")) {
		t.Errorf("record at line %d: line ends are not all CRLF", o.Line)
	}
	if bytes.Contains(out, []byte("VERSION:2.1")) || bytes.Contains(bytes.ToUpper(out), []byte("QUOTED-PRINTABLE")) {
		return
	}
	for _, l := range bytes.Split(out, []byte("\r\n")) {
		if len(l) > 75 {
			t.Errorf("record at line %d: a line of %d octets", o.Line, len(l))
		}
	}
}

// checkAgain imports an export again: the same records, by identity and content.
func checkAgain(t *testing.T, bs blobStore, out []byte, want []pim.Object) {
	var got []pim.Object
	_, err := pim.Import("again", bytes.NewReader(out), func(o pim.Object) error {
		bs.fill(t, &o)
		got = append(got, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ids := func(objs []pim.Object) (s []string) {
		for _, o := range objs {
			s = append(s, o.UID)
		}
		slices.Sort(s)
		return s
	}
	if w, g := ids(want), ids(got); !slices.Equal(w, g) {
		t.Errorf("imported again, the identities differ:\nwant %q\n got %q", w, g)
	}
}

// missing lists what of want is not in got, each as often as it is missing.
func missing(want, got []string) (lost []string) {
	have := map[string]int{}
	for _, g := range got {
		have[g]++
	}
	for _, w := range want {
		if have[w]--; have[w] < 0 {
			lost = append(lost, w)
		}
	}
	return lost
}

func unique(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return slices.Compact(s)
}

func pictureTable(t *testing.T, dir string) string { return "" }

func writeCorpusTable(t *testing.T, table string, places []string, pictures string) {}
