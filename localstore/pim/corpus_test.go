package pim_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

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
		slices.Reverse(of)
		checkAgain(t, bs, exportAll(t, bs, kind, of), of)
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

// pictureTable imports the pictures and gives their bytes back, untouched.
func pictureTable(t *testing.T, dir string) string {
	var table strings.Builder
	table.WriteString("| file | bytes | type | size | orientation | taken | place | problem |\n|---|---|---|---|---|---|---|---|\n")
	files, err := os.ReadDir(filepath.Join(dir, "pictures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		path := filepath.Join(dir, "pictures", e.Name())
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bs, n := blobStore{}, 0
		report, err := pim.ImportFile(path, func(o pim.Object) error {
			bs.fill(t, &o)
			n++
			v := map[string]string{}
			for _, f := range o.Fields {
				value, _ := pim.Decode(o.Kind, f.Key, f.Line)
				v[f.Key], _ = value.(string)
			}
			var out bytes.Buffer
			item := pim.Item{Fields: o.Fields}
			if err := pim.ExportFile(&out, o.Kind, item, pim.ExportOptions{OpenBlob: bs.open}); err != nil || !bytes.Equal(out.Bytes(), raw) {
				t.Errorf("%s: the bytes changed: %v", e.Name(), err)
			}
			fmt.Fprintf(&table, "| %s | %d | %s | %s×%s | %s | %s | %s |", e.Name(), len(raw), filepath.Ext(pim.FileName(o.Kind, item)),
				v["X-WIDTH"], v["X-HEIGHT"], v["X-ORIENTATION"], v["DTSTART"], v["GEO"])
			return nil
		})
		if err != nil || n != 1 {
			t.Errorf("%s: %d pictures, %v", e.Name(), n, err)
		}
		for _, p := range report.Problems {
			table.WriteString(" " + p.Reason)
		}
		table.WriteString(" |\n")
	}
	return table.String()
}

func TestCorpusPictures(t *testing.T) { t.Log("\n" + pictureTable(t, corpusDir(t))) }

const corpusIntro = `# The corpus run

What the importer and exporter make of real files that other projects ship for their own tests (ez-vcard, calcard, khal, biweekly,
metadata-extractor-images; not part of this repository). Made by

    go test ./localstore/pim -run 'TestCorpus$' -write

which finds the corpus in the folder that SIDEKEEP_CORPUS names, or beside the module.

An object is a card, a calendar entry (VEVENT, VTODO, VJOURNAL, VFREEBUSY and others), a VTIMEZONE or a VCALENDAR's own lines. It is lossless if it
comes out with the lines it came with: every property, parameter, value, group and component, byte for byte and in order, but for line ends and
folding. That is judged by an unfolder and block reader written for the test alone, which share nothing with the codec, on each record exported by
itself, and again on all records of a file exported together; what comes out must also be something that went in. A record is what the store
holds: a contact, or the entry with its overrides, time zones and calendar lines. What is not lossless is refused, and listed with its reason.

`

func writeCorpusTable(t *testing.T, table string, places []string, pictures string) {
	text := corpusIntro + table + "\n## Places that are not well formed\n\nRepaired means that everything that stood there is in the record; refused, that it was not imported.\n\n" +
		"| file | line | outcome | reason |\n|---|---|---|---|\n" + strings.Join(places, "\n") +
		"\n\n## Pictures\n\nThe bytes come out as they went in (checked). Times are the camera's wall time unless they end in Z.\n\n" + pictures
	if err := os.WriteFile("CORPUS.md", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestCorpusValues decodes and encodes every line of the corpus: what does not
// come back exactly is what the store must keep raw. A third of that is a sign
// that something is wrong.
func TestCorpusValues(t *testing.T) {
	lines, exact, tagged := 0, 0, map[string]int{}
	eachObject(t, func(o pim.Object) {
		for _, f := range o.Fields {
			value, head := pim.Decode(o.Kind, f.Key, f.Line)
			checkUTF8(t, value)
			back, err := pim.Encode(o.Kind, f.Key, value, head)
			if lines++; err == nil && bytes.Equal(back, f.Line) {
				exact++
				continue
			}
			name, _, _ := strings.Cut(f.Key, ".")
			tagged[name]++
			if err != nil {
				continue
			}
			// What was written instead must mean the same, and then be stable.
			again, head2 := pim.Decode(o.Kind, f.Key, back)
			if fmt.Sprint(again) != fmt.Sprint(value) {
				t.Errorf("%s: %q\nbecame %q\nwhich means %q\nnot %q", f.Key, f.Line, back, again, value)
			}
			if stable, err := pim.Encode(o.Kind, f.Key, again, head2); err != nil || !bytes.Equal(stable, back) {
				t.Errorf("%s: %q is not stable: %q %v", f.Key, back, stable, err)
			}
		}
	})
	t.Logf("%d of %d lines are written back exactly; the others: %v", exact, lines, tagged)
	if exact*100 < lines*97 {
		t.Errorf("only %d of %d lines can be written back exactly", exact, lines)
	}
}

func checkUTF8(t testing.TB, value any) {
	switch v := value.(type) {
	case string:
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			t.Errorf("not UTF-8 or with a zero: %q", v)
		}
	case []any:
		for _, e := range v {
			checkUTF8(t, e)
		}
	default:
		t.Errorf("a value is a %T", value)
	}
}

// TestCorpusEdit changes one field of every record and compares the export with
// that of the untouched one: exactly one line differs.
func TestCorpusEdit(t *testing.T) {
	edits := map[record.Kind]string{record.Contacts: "NOTE", record.Events: "LOCATION", record.Tasks: "SUMMARY", record.Notes: "SUMMARY"}
	bs, n := blobStore{}, 0
	eachObject(t, func(o pim.Object) {
		bs.fill(t, &o)
		before := naiveLines(exportAll(t, bs, o.Kind, []pim.Object{o}))
		fields, err := pim.Apply(o.Kind, o.Fields, edits[o.Kind], "Changed, with\na new line; and ü")
		if errors.Is(err, pim.ErrKey) && pim.ColumnsOf(o.Kind, o.Fields).Start == "" {
			return // a time zone or VFREEBUSY: no entry to edit
		}
		if err != nil {
			t.Fatal(err)
		}
		was, soft := false, false
		for _, f := range o.Fields {
			if i := slices.IndexFunc(fields, func(g record.Field) bool { return g.Key == f.Key }); i < 0 || !bytes.Equal(fields[i].Line, f.Line) {
				was, soft = true, bytes.Contains(f.Line, []byte("\n"))
			}
		}
		o.Fields = fields
		after := naiveLines(exportAll(t, bs, o.Kind, []pim.Object{o}))
		gone, came := missing(before, after), missing(after, before)
		switch n++; {
		case was && !soft && (len(gone) != 1 || len(came) < 1 || len(before)-1 != len(after)-len(came)):
			t.Errorf("edit changed %q to %q", gone, came)
		case !was && (len(gone) > 0 || len(before) != len(after)-len(came)):
			t.Errorf("adding a field changed %q to %q", gone, came)
		}
		for _, l := range came {
			if !strings.Contains(l, "Changed") && !strings.Contains(strings.ToUpper(strings.Join(came, "")), "QUOTED-PRINTABLE") {
				t.Errorf("edit also brought %q", l)
			}
		}
		// Removed again, a field that was not there leaves no trace.
		if !was {
			fields, err = pim.Apply(o.Kind, fields, edits[o.Kind], "")
			if err != nil || len(missing(before, naiveLines(exportAll(t, bs, o.Kind, []pim.Object{{Kind: o.Kind, Fields: fields}})))) > 0 {
				t.Errorf("adding and removing a field changed the record: %v", err)
			}
		}
	})
	t.Logf("%d records edited", n)
}

// TestCorpusPair brings every record back as if edited elsewhere: all keys stay.
func TestCorpusPair(t *testing.T) {
	bs := blobStore{}
	eachObject(t, func(o pim.Object) {
		bs.fill(t, &o)
		// Keys as they would be after a life of edits: other tags.
		old := slices.Clone(o.Fields)
		for i := range old {
			if head, tag, ok := strings.Cut(old[i].Key, "."); ok && !strings.Contains(tag, "/") && head != "VTIMEZONE" && !strings.Contains(head, "/") {
				old[i].Key = fmt.Sprintf("%s.q%d", head, i)
			}
		}
		paired := pim.Pair(o.Kind, old, o.Fields)
		want, got := map[string]string{}, map[string]string{}
		for i := range old {
			want[old[i].Key], got[paired[i].Key] = string(old[i].Line), string(paired[i].Line)
		}
		for k := range want {
			if want[k] != got[k] {
				t.Errorf("key %s: line %q became %q", k, want[k], got[k])
			}
		}
		if merged := pim.Merge(o.Kind, o.Fields, o.Fields); !slices.EqualFunc(merged, o.Fields, func(a, b record.Field) bool {
			return a.Key == b.Key && bytes.Equal(a.Line, b.Line)
		}) {
			t.Errorf("importing the same record again changes it")
		}
	})
}

func eachObject(t *testing.T, do func(o pim.Object)) {
	err := filepath.WalkDir(corpusDir(t), func(path string, d fs.DirEntry, err error) error {
		ext := filepath.Ext(path)
		if err != nil || d.IsDir() || ext != ".vcf" && ext != ".ics" {
			return err
		}
		_, err = pim.ImportFile(path, func(o pim.Object) error {
			do(o)
			return nil
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
