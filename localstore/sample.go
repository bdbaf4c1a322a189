package localstore

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"sidekeep/localstore/record"
)

// Bounds of one sample that is read back from the cloud.
const (
	sampleVersions = 32
	sampleChunks   = 4
	sampleBytes    = 128 << 10 // of documents
	sampleOffered  = 256       // pieces that are offered again
	sampleTries    = 4 * sampleChunks
	sampleEvery    = 24 * time.Hour
	sampleKept     = 64 // missing ones that are kept by name
)

// Sample names what was acknowledged by the cloud and is read back from it.
type Sample struct {
	Versions map[record.Kind][]Ref
	Chunks   []record.ChunkID
}

// Empty reports whether the sample names nothing.
func (p *Sample) Empty() bool { return len(p.Versions) == 0 && len(p.Chunks) == 0 }

func (p *Sample) add(kind record.Kind, ref Ref) {
	if slices.Contains(p.Versions[kind], ref) {
		return
	}
	if p.Versions == nil {
		p.Versions = map[record.Kind][]Ref{}
	}
	p.Versions[kind] = append(p.Versions[kind], ref)
}

// SampleStatus is the outcome of the samples of this cloud.
type SampleStatus struct {
	At       time.Time // when a sample was last found whole; zero: never
	Versions int       // that were read back then
	Chunks   int
	FailedAt time.Time // when the cloud first did not give what it had acknowledged; zero: it gives everything
	Missing  int       // versions and pieces that it did not give when last asked
}

// Failed reports whether the cloud does not keep what it acknowledges.
func (s SampleStatus) Failed() bool { return !s.FailedAt.IsZero() }

// sampleJSON is the last sample in meta.
type sampleJSON struct {
	Epoch    string                     `json:"epoch"`
	At       int64                      `json:"at,omitempty"`  // Unix seconds
	Ran      int64                      `json:"ran,omitempty"` // running time
	Versions int                        `json:"versions,omitempty"`
	Chunks   int                        `json:"chunks,omitempty"`
	FailedAt int64                      `json:"failed_at,omitempty"`
	Missing  int                        `json:"missing,omitempty"`
	Lost     map[record.Kind][][]string `json:"lost,omitempty"` // record and version ids
	Pieces   []string                   `json:"pieces,omitempty"`
}

func (c *session) lastSample() (j sampleJSON, err error) {
	text, err := c.metaText(metaSample)
	if err != nil || text == "" {
		return j, err
	}
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return sampleJSON{}, nil // it is taken anew
	}
	return j, nil
}

func (t *tx) setSample(j sampleJSON) error {
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	return t.setMeta(metaSample, string(b))
}

func (c *session) sampleStatus() (SampleStatus, error) {
	j, err := c.lastSample()
	if err != nil {
		return SampleStatus{}, err
	}
	st := SampleStatus{Versions: j.Versions, Chunks: j.Chunks, Missing: j.Missing}
	if j.At != 0 {
		st.At = time.Unix(j.At, 0)
	}
	if j.FailedAt != 0 {
		st.FailedAt = time.Unix(j.FailedAt, 0)
	}
	return st, nil
}

// SampleDue reports whether a sample is to be read back: none was since the
// cloud's epoch is the present one, the last is a day old by the clock or by
// running time, or the last one failed.
func (s *Store) SampleDue(ctx context.Context) (due bool, err error) {
	err = s.read(ctx, func(c *session) error {
		j, err := c.lastSample()
		if err != nil {
			return err
		}
		var epoch Epoch
		if _, err := c.metaBytes(metaEpoch, epoch[:]); err != nil {
			return err
		}
		ran, err := c.metaInt(metaRan)
		age := s.Now().Sub(time.Unix(j.At, 0)).Abs() // a clock that ran backwards counts, too
		due = j.At == 0 || j.FailedAt != 0 || j.Epoch != hex.EncodeToString(epoch[:]) || age >= sampleEvery || ran-j.Ran >= int64(sampleEvery/time.Second)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look at the last sample: %w", err)
	}
	return due, nil
}

// OfferAgain has all pieces offered to the cloud again if its last sample
// failed: what it said of them is worth nothing. It costs their ids.
func (s *Store) OfferAgain(ctx context.Context) error {
	failed := false
	err := s.read(ctx, func(c *session) error {
		j, err := c.lastSample()
		failed = j.FailedAt != 0
		return err
	})
	if err == nil && failed {
		err = s.write(ctx, true, func(t *tx) error { return t.exec("UPDATE chunk SET sent = 2 WHERE sent = 1") })
	}
	if err != nil {
		return fmt.Errorf("offer the pieces again: %w", err)
	}
	return nil
}

// PickSample chooses at random, among what the cloud has acknowledged, what is
// to be read back; whatever it did not give last time is part of it. Some other
// pieces are offered again, which costs their ids.
func (s *Store) PickSample(ctx context.Context) (p Sample, err error) {
	err = s.write(ctx, true, func(t *tx) error {
		j, err := t.lastSample()
		if err != nil {
			return err
		}
		if err := t.pickFailed(j, &p); err != nil {
			return err
		}
		if err := t.pickVersions(&p); err != nil {
			return err
		}
		if err := t.pickChunks(&p); err != nil {
			return err
		}
		var from record.ChunkID
		if err := s.random(from[:]); err != nil {
			return err
		}
		return t.exec("UPDATE chunk SET sent = 2 WHERE n IN (SELECT n FROM chunk WHERE sent = 1 AND size IS NOT NULL AND id >= ? ORDER BY id LIMIT ?)", from[:], sampleOffered)
	})
	if err != nil {
		return Sample{}, fmt.Errorf("choose a sample: %w", err)
	}
	return p, nil
}

// inCloud: the set of the record's kind has its version, and the cloud has acknowledged it.
const inCloud = `r.vid IS NOT NULL AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.n = r.n) AND NOT EXISTS (SELECT 1 FROM held h WHERE h.n = r.n AND h.over = 1)`

// pickFailed adds what the cloud did not give last time and should still have.
func (t *tx) pickFailed(j sampleJSON, p *Sample) error {
	for kind, refs := range j.Lost {
		for _, pair := range refs {
			var ref Ref
			if len(pair) != 2 || !parseHex(ref.ID[:], pair[0]) || !parseHex(ref.VersionID[:], pair[1]) {
				continue
			}
			n, err := t.count("SELECT count(*) FROM record r WHERE r.id = ? AND r.kind = ? AND r.vid = ? AND "+inCloud, ref.ID.String(), string(kind), ref.VersionID[:])
			if err != nil {
				return err
			}
			if n > 0 {
				p.add(kind, ref)
			}
		}
	}
	for _, text := range j.Pieces {
		var id record.ChunkID
		if !parseHex(id[:], text) {
			continue
		}
		if err := t.pickChunk(id, p); err != nil {
			return err
		}
	}
	return nil
}

// below draws a number from 1 to max.
func (t *tx) below(max int64) (int64, error) {
	var b [8]byte
	err := t.s.random(b[:])
	return 1 + int64(binary.BigEndian.Uint64(b[:])%uint64(max)), err
}

func (t *tx) pickVersions(p *Sample) error {
	var last sql.NullInt64
	if _, err := t.one([]any{&last}, "SELECT max(n) FROM record"); err != nil || last.Int64 < 1 {
		return err
	}
	size := 0
	for range sampleVersions {
		from, err := t.below(last.Int64)
		if err != nil {
			return err
		}
		var id string
		var kind record.Kind
		var vid []byte
		var bytes int
		found, err := t.one([]any{&id, &kind, &vid, &bytes},
			"SELECT r.id, r.kind, r.vid, length(r.doc) + coalesce(length(r.raw), 0) + length(r.state) FROM record r WHERE r.n >= ? AND "+inCloud+" ORDER BY r.n LIMIT 1", from)
		if err != nil {
			return err
		}
		if size += bytes; !found || size > sampleBytes && len(p.Versions) > 0 {
			continue
		}
		ref := Ref{VersionID: record.VersionID(vid)}
		if ref.ID, err = record.ParseID(id); err != nil {
			return fmt.Errorf("record: %w: %w", ErrDamaged, err)
		}
		p.add(kind, ref)
	}
	return nil
}

func (t *tx) pickChunks(p *Sample) error {
	var last sql.NullInt64
	if _, err := t.one([]any{&last}, "SELECT max(n) FROM chunk"); err != nil || last.Int64 < 1 {
		return err
	}
	for range sampleTries {
		if len(p.Chunks) >= sampleChunks {
			return nil
		}
		from, err := t.below(last.Int64)
		if err != nil {
			return err
		}
		var id []byte
		found, err := t.one([]any{&id}, "SELECT id FROM chunk WHERE n >= ? AND sent = 1 AND size IS NOT NULL ORDER BY n LIMIT 1", from)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := t.pickChunk(record.ChunkID(id), p); err != nil {
			return err
		}
	}
	return nil
}

// pickChunk adds a piece if it is here, the cloud says that it has it, and a
// version that the cloud has acknowledged refers to it: pieces of earlier
// versions are the cloud's to forget.
func (t *tx) pickChunk(id record.ChunkID, p *Sample) error {
	if slices.Contains(p.Chunks, id) {
		return nil
	}
	rows, err := t.rowsOf(`WHERE r.n IN (SELECT f.record FROM chunk_ref f JOIN chunk c ON c.n = f.chunk WHERE c.id = ? AND c.sent = 1 AND c.size IS NOT NULL)
 AND `+inCloud+` LIMIT 4`, id[:])
	if err != nil {
		return err
	}
	for _, r := range rows {
		v, _, _, err := t.s.version(r)
		if errors.Is(err, ErrDamaged) {
			continue
		}
		if err != nil {
			return err
		}
		if slices.Contains(v.Chunks(), id) {
			p.Chunks = append(p.Chunks, id)
			return nil
		}
	}
	return nil
}

// Sampled keeps the outcome of a sample: read is what was asked for, missing
// what the cloud did not give. What is missing goes out again, with all pieces.
func (s *Store) Sampled(ctx context.Context, read, missing Sample) error {
	if !missing.Empty() {
		var refs []Ref
		for _, r := range missing.Versions {
			refs = append(refs, r...)
		}
		if _, err := s.MarkUnsent(ctx, refs); err != nil {
			return err
		}
	}
	err := s.write(ctx, false, func(t *tx) error {
		j, err := t.lastSample()
		if err != nil {
			return err
		}
		var epoch Epoch
		if _, err := t.metaBytes(metaEpoch, epoch[:]); err != nil {
			return err
		}
		j.Epoch, j.Lost, j.Pieces, j.Missing = hex.EncodeToString(epoch[:]), nil, nil, 0
		if j.Ran, err = t.metaInt(metaRan); err != nil {
			return err
		}
		if missing.Empty() {
			j.At, j.FailedAt, j.Chunks, j.Versions = s.Now().Unix(), 0, len(read.Chunks), 0
			for _, refs := range read.Versions {
				j.Versions += len(refs)
			}
			return t.setSample(j)
		}
		j.fail(missing, s.Now())
		t.s.Log.Warn("the cloud does not give what it acknowledged", "missing", j.Missing)
		return errors.Join(t.setSample(j), t.exec("UPDATE chunk SET sent = 2 WHERE sent = 1"))
	})
	if err != nil {
		return fmt.Errorf("keep the outcome of a sample: %w", err)
	}
	return nil
}

func (j *sampleJSON) fail(missing Sample, now time.Time) {
	if j.FailedAt == 0 {
		j.FailedAt = now.Unix()
	}
	kept := 0
	for kind, refs := range missing.Versions {
		j.Missing += len(refs)
		for _, r := range refs[:min(len(refs), sampleKept-kept)] {
			if j.Lost == nil {
				j.Lost = map[record.Kind][][]string{}
			}
			j.Lost[kind] = append(j.Lost[kind], []string{r.ID.String(), r.VersionID.String()})
			kept++
		}
	}
	j.Missing += len(missing.Chunks)
	for _, id := range missing.Chunks[:min(len(missing.Chunks), sampleKept)] {
		j.Pieces = append(j.Pieces, id.String())
	}
}
