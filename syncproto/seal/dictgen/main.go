// Command dictgen makes the static dictionaries of package seal:
//
//	go run ./syncproto/seal/dictgen -out syncproto/seal/dict
//
// It invents people, calendars, notes, tasks and pictures from word lists
// (words.go) and a fixed seed, writes them as vCard, iCalendar and text, takes
// them through localstore/pim and the canonical encoding as an import would, and
// trains one zstd dictionary a kind on the result. No person's data is in it.
// The same code gives the same bytes. A dictionary that was ever released must
// not change: a new one gets a new number.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// plan is one dictionary.
type plan struct {
	kind  record.Kind
	id    uint32
	bytes int
	make  func(*gen) (name, text string)
}

var plans = []plan{
	{record.Contacts, 1, 32 << 10, contactFile},
	{record.Events, 2, 32 << 10, eventFile},
	{record.Notes, 3, 32 << 10, noteFile},
	{record.Tasks, 4, 32 << 10, taskFile},
	{record.Pictures, 5, 3 << 10, nil},
}

const (
	samples = 4000
	level   = zstd.SpeedFastest // of package seal
	posStep = 8                 // between the lines of a record, as localstore has it
	held    = 400               // samples kept from training, to choose parameters by
)

func main() {
	out := flag.String("out", "", "folder to write the dictionaries to")
	flag.Parse()
	for _, p := range plans {
		d, err := train(p)
		if err != nil {
			log.Fatalf("%s: %v", p.kind, err)
		}
		if err := os.WriteFile(filepath.Join(*out, string(p.kind)+".dict"), d, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// train makes one dictionary: the best of a few parameters on held samples.
func train(p plan) ([]byte, error) {
	g := &gen{rand.New(rand.NewPCG(0x51dec4ee, uint64(p.id)))}
	var all [][]byte
	for len(all) < samples {
		b, err := sample(g, p)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	trained, kept := all[held:], all[:held]
	var best []byte
	bestSize := 0
	for _, dmer := range []int{5, 6} {
		for _, segment := range []int{64, 120} {
			d, err := zstd.BuildDict(zstd.BuildDictOptions{
				ID: p.id, Contents: trained, History: cover(trained, p.bytes, segment, dmer),
				Offsets: [3]int{1, 4, 8}, Level: level, CompatV155: true,
			})
			if err != nil {
				return nil, err
			}
			size, err := sizeWith(d, kept)
			if err != nil {
				return nil, err
			}
			if best == nil || size < bestSize {
				best, bestSize = d, size
			}
		}
	}
	raw := 0
	for _, b := range kept {
		raw += len(b)
	}
	fmt.Printf("%-9s %6d bytes, held samples %d of %d bytes (%.3f)\n", p.kind, len(best), bestSize, raw, float64(bestSize)/float64(raw))
	return best, nil
}

func sizeWith(dict []byte, samples [][]byte) (int, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderDict(dict), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithEncoderLevel(level), zstd.WithSingleSegment(true))
	if err != nil {
		return 0, err
	}
	defer enc.Close()
	size := 0
	for _, b := range samples {
		size += len(enc.EncodeAll(b, nil))
	}
	return size, nil
}

// sample makes one record as it stands in a device that imported it.
func sample(g *gen, p plan) ([]byte, error) {
	var fields []record.Field
	blobs := map[string]bool{}
	if p.make == nil {
		fields, blobs["ATTACH"] = pictureFields(g), true
	} else {
		name, text := p.make(g)
		_, err := pim.Import(name, bytes.NewReader([]byte(text)), func(o pim.Object) error {
			fields = o.Fields
			for k := range o.Blobs {
				blobs[k] = true
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	m := &minter{g: g}
	m.dot.Counter = g.zipf(50_000)
	for i := range m.dot.Replica {
		m.dot.Replica[i] = byte(g.Uint32())
	}
	edits := make([]record.Edit, len(fields))
	for i, f := range fields {
		edits[i] = record.Edit{Key: f.Key, Line: f.Line, Pos: posStep * uint32(i+1)}
		if blobs[f.Key] {
			edits[i].Blob = g.blob()
		}
	}
	v := record.Set(record.New(), edits, m)
	// Some records were edited since.
	for range int(g.zipf(4)) - 1 {
		e := edits[g.IntN(len(edits))]
		v = record.Set(v, []record.Edit{e}, m)
	}
	encoded, err := record.Encode(v)
	if err != nil {
		return nil, err
	}
	return encoded[len(record.Head(v.Vector)):], nil // the header has the rest
}

type minter struct {
	g   *gen
	dot record.Dot
}

func (m *minter) Next() record.Dot {
	m.dot.Counter++
	return m.dot
}
