package localstore

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"sidekeep/localstore/carve"
	"sidekeep/localstore/record"
)

// salvager moves what can be read of a damaged database into a new one.
type salvager struct {
	ctx    context.Context
	s      *Store // the new one
	file   *carve.File
	report *Salvaged

	dirty               map[int64][]dirtyRow  // by n: before-images
	hints               map[record.ID]*Lost   // records that some index or row names
	names               map[record.ID]int     // how many do
	places              map[record.ID]int64   // n of a record, from indexes
	queued              map[int64]bool        // by n: minted and not acknowledged
	edited              map[int64]bool        // by n: edited and not minted
	marked              map[int64]bool        // by n: edited, or held, says an index
	held                map[int64]bool        // by n: an incoming loss is set aside; its indexes look like those of edits and versions
	kinds               map[int64]record.Kind // by n, from index record_list
	unsure              map[int64][]record.ID // by n: ids whose kind is not known yet
	ran                 int64                 // meta
	historyN, historyAt int64                 // meta
	brought             map[int64]record.ID   // what was brought over, by n
	torn                map[record.ID]bool    // brought over without its last edit
	epoch               *Epoch                // meta
	minted              bool                  // a version was salvaged
}

// dirtyRow is a row of table dirty.
type dirtyRow struct {
	before  *document
	deleted bool
	keys    any
	hold    int64
}

// salvageBatch is how many rows go into one commit.
const salvageBatch = 200

// look reads what is small: before-images, names in the indexes, single values.
func (v *salvager) look() error {
	v.unsure = map[int64][]record.ID{}
	report, err := v.file.Rows(func(r *carve.Row) error {
		if r.Index {
			v.index(r.Values)
		} else if d, ok := dirtyOf(r.Values); ok {
			v.dirty[r.Rowid] = append(v.dirty[r.Rowid], d)
			v.edited[r.Rowid] = true
		} else if match(r.Values, "nsii") && isKind(r.Values[1]) { // outbox: n, kind, ord, acked
			v.queued[r.Rowid] = true
		} else if len(r.Values) == 10 && match(r.Values[:5], "nssbb") { // held: n, id, kind, vid, version, ...
			v.held[r.Rowid] = true
		}
		return v.ctx.Err()
	})
	if err != nil {
		return err
	}
	v.report.Damage = report
	for n, ids := range v.unsure {
		for _, id := range ids {
			v.hint(id, v.kinds[n])
		}
	}
	return nil
}

func (v *salvager) hint(id record.ID, kind record.Kind) *Lost {
	l := v.hints[id]
	v.names[id]++
	if l == nil {
		l = &Lost{ID: id}
		v.hints[id] = l
	}
	if l.Kind == "" && kind.Valid() {
		l.Kind = kind
	}
	return l
}

// index takes entries of the indexes of record, and rows of meta.
func (v *salvager) index(c []any) {
	switch {
	case match(c, "tsbi"): // record_set: kind, id, vid, n
		if id, err := record.ParseID(c[1].(string)); err == nil && len(c[2].([]byte)) == len(record.VersionID{}) {
			v.hint(id, record.Kind(c[0].(string))).Version = hex.EncodeToString(c[2].([]byte))
			v.places[id] = c[3].(int64)
		}
	case match(c, "tii") && isKind(c[0]): // dirty_kind: kind, hold, n; outbox_order: kind, ord, n
		if n := c[2].(int64); c[1].(int64) > holdReleased {
			v.queued[n] = true
		} else {
			v.marked[n] = true
		}
	case match(c, "si"): // UNIQUE (id): id, n
		if id, err := record.ParseID(c[0].(string)); err == nil {
			n := c[1].(int64)
			v.unsure[n], v.places[id] = append(v.unsure[n], id), n
		} else {
			switch n := c[1].(int64); c[0] {
			case metaRan:
				v.ran = max(v.ran, n)
			case metaHistoryN:
				v.historyN = n
			case metaHistoryAt:
				v.historyAt = n
			}
		}
	case match(c, "ti?i"): // record_list: kind, deleted, sort, n
		v.kinds[c[3].(int64)] = record.Kind(c[0].(string))
	case match(c, "ss"): // meta: what was lost before
		key, _ := strings.CutPrefix(c[0].(string), metaLost)
		l := new(Lost)
		if id, err := record.ParseID(key); err == nil && c[0] != key && json.Unmarshal([]byte(c[1].(string)), l) == nil {
			l.ID = id
			v.hints[id] = l
		}
	case match(c, "sb"):
		if b := c[1].([]byte); c[0] == metaEpoch && len(b) == len(Epoch{}) {
			e := Epoch(b)
			v.epoch = &e
		}
	}
}

// match compares the types of columns with letters: s and t text, b blob, i
// integer, n NULL, ? text, blob or NULL.
func match(c []any, types string) bool {
	if len(c) != len(types) {
		return false
	}
	for i, t := range types {
		ok := false
		switch c[i].(type) {
		case nil:
			ok = t == 'n' || t == '?'
		case string:
			ok = t == 's' || t == 't' || t == '?'
		case []byte:
			ok = t == 'b' || t == '?'
		case int64:
			ok = t == 'i'
		}
		if !ok {
			return false
		}
	}
	return true
}

// dirtyOf reads a row of table dirty: n, kind, doc, par, raw, deleted, keys, hold, problem.
func dirtyOf(c []any) (dirtyRow, bool) {
	if len(c) < 9 || c[0] != nil || !isKind(c[1]) {
		return dirtyRow{}, false
	}
	hold, ok := c[7].(int64)
	if !ok || hold < holdNone || hold > holdReleased {
		return dirtyRow{}, false
	}
	d := dirtyRow{keys: c[6], hold: hold}
	if doc, ok := c[2].(string); ok && strings.HasPrefix(doc, "{") {
		d.before = &document{doc: doc, par: stringOr(c[3]), raw: bytesOr(c[4])}
	} else if c[2] != nil {
		return dirtyRow{}, false
	}
	d.deleted = c[5] == int64(1)
	return d, true
}

// recordOf reads a row of table record: n, id, kind, deleted, doc, par, raw,
// vid, state, conflicts, trashed, title, sort, ...
func recordOf(c []any) (*row, bool) {
	if len(c) < 16 || c[0] != nil || !isKind(c[2]) {
		return nil, false
	}
	text, ok := c[1].(string)
	if !ok {
		return nil, false
	}
	id, err := record.ParseID(text)
	doc, isDoc := c[4].(string)
	deleted, isFlag := c[3].(int64)
	if err != nil || !isDoc || !isFlag || deleted>>1 != 0 {
		return nil, false
	}
	r := &row{id: id, kind: record.Kind(c[2].(string)), deleted: deleted == 1}
	r.document = document{doc: doc, par: stringOr(c[5]), raw: bytesOr(c[6])}
	if b, ok := c[7].([]byte); ok {
		if len(b) != len(record.VersionID{}) {
			return nil, false
		}
		id := record.VersionID(b)
		r.vid, r.state = &id, bytesOr(c[8])
	} else if c[7] != nil {
		return nil, false
	}
	return r, true
}

func isKind(v any) bool {
	s, ok := v.(string)
	return ok && record.Kind(s).Valid()
}

func stringOr(v any) string { s, _ := v.(string); return s }
func bytesOr(v any) []byte  { b, _ := v.([]byte); return b }

// records brings over what proves to be what was written.
func (v *salvager) records() error {
	var batch []*row
	flush := func() error {
		err := v.s.write(v.ctx, true, func(t *tx) error {
			for _, r := range batch {
				if err := v.record(t, r); err != nil {
					return err
				}
			}
			return nil
		})
		batch = batch[:0]
		return err
	}
	_, err := v.file.Rows(func(c *carve.Row) error {
		if c.Index {
			return nil
		}
		r, ok := recordOf(c.Values)
		if !ok {
			return nil
		}
		r.n = c.Rowid // in the damaged file, to find its before-image
		if batch = append(batch, r); len(batch) < salvageBatch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

func (v *salvager) record(t *tx, r *row) error {
	version, edit := v.proveNear(r)
	v.hint(r.id, r.kind)
	if _, named := v.places[r.id]; !named {
		v.places[r.id] = r.n
	}
	fields, err := r.fields(r.kind)
	if err == nil {
		err = checkFields(fields)
	}
	if version == nil && (r.vid != nil || err != nil) {
		if l := v.hints[r.id]; err == nil {
			l.Copy = lostCopy(&r.document, r.deleted)
			l.Copy.Before = v.readableBefore(r)
			if r.vid != nil {
				l.Version = hex.EncodeToString(r.vid[:])
			}
		}
		return nil
	}
	if err != nil { // an edit that can not be read: the version before it can
		v.hints[r.id].Version, v.torn[r.id] = hex.EncodeToString(r.vid[:]), true
		edit = nil
	}
	have, err := t.rowByID(r.id)
	if err != nil {
		return err
	}
	if version == nil {
		if have != nil { // an older state of a record that has a version by now
			return nil
		}
		v.brought[r.n] = r.id
		return t.edited(&row{id: r.id, kind: r.kind}, fields, r.deleted)
	}
	if have == nil {
		have = &row{id: r.id, kind: r.kind}
	} else if base, err := t.current(have); err != nil {
		return err
	} else if base.Vector.Includes(version.Vector) && (have.vid == nil || *have.vid != *r.vid || have.dirty || edit == nil) {
		return nil // the newer one is here already
	}
	v.minted, v.brought[r.n] = true, r.id
	t.receive(version.Vector)
	if have.vid == nil || *have.vid != *r.vid {
		if err := t.versioned(have, version, *r.vid); err != nil {
			return err
		}
	}
	if edit == nil {
		return nil
	}
	if err := t.edited(have, fields, r.deleted); err != nil {
		return err
	}
	return t.exec("UPDATE dirty SET keys = ?, hold = ? WHERE n = ?", edit.keys, edit.hold, have.n)
}

// proveNear is prove. If the row gives its version only under another id that an
// index names and that is a bit or two away, then the row's id is damaged, and is put right.
func (v *salvager) proveNear(r *row) (*record.Version, *dirtyRow) {
	version, edit := v.prove(r)
	if version != nil || r.vid == nil {
		return version, edit
	}
	was := r.id
	for id := range v.hints {
		if !nearID(id, was) {
			continue
		}
		r.id = id
		if version, edit := v.prove(r); version != nil {
			return version, edit
		}
	}
	r.id = was
	return nil, nil
}

// prove gives the version of a row whose content matches its id, and its
// before-image if the document was edited since.
func (v *salvager) prove(r *row) (*record.Version, *dirtyRow) {
	if r.vid == nil {
		return nil, nil
	}
	if version, fields, _, err := v.s.version(r); err == nil {
		if version.Dead() == r.deleted && sameFields(fields, shown(r.kind, version)) {
			return version, nil
		}
		edit := new(dirtyRow) // fields were added, or it was deleted or brought back
		if list := v.dirty[r.n]; len(list) > 0 {
			edit = &list[0]
		}
		return version, edit
	}
	for i, d := range v.dirty[r.n] {
		if d.before == nil {
			continue
		}
		edited := *r
		edited.dirty, edited.before = true, d.before
		if version, _, _, err := v.s.version(&edited); err == nil {
			return version, &v.dirty[r.n][i]
		}
	}
	return nil, nil
}

// readableBefore gives the before-image of a row that does not give its version.
func (v *salvager) readableBefore(r *row) *LostCopy {
	for _, d := range v.dirty[r.n] {
		if d.before == nil {
			continue
		}
		if fields, err := d.before.fields(r.kind); err == nil && checkFields(fields) == nil {
			return lostCopy(d.before, d.deleted)
		}
	}
	return nil
}

func lostCopy(d *document, deleted bool) *LostCopy {
	return &LostCopy{Deleted: deleted, Doc: d.doc, Par: d.par, Raw: d.raw}
}

// chunks brings over the pieces that records refer to and whose hash is right.
func (v *salvager) chunks() error {
	var batch []Chunk
	flush := func() error {
		err := v.s.write(v.ctx, true, func(t *tx) error {
			for i := range batch {
				var n int64
				found, err := t.one([]any{&n}, "SELECT n FROM chunk WHERE id = ? AND size IS NULL", batch[i].ID[:])
				if err != nil {
					return err
				}
				if !found {
					continue
				}
				v.report.Chunks++
				if err := t.putChunk(n, batch[i].Data, false); err != nil {
					return err
				}
			}
			return nil
		})
		batch = batch[:0]
		return err
	}
	_, err := v.file.Rows(func(c *carve.Row) error {
		if c.Index || !match(c.Values, "nb") {
			return nil
		}
		data := c.Values[1].([]byte)
		if len(data) > ChunkBytes {
			return nil
		}
		if batch = append(batch, Chunk{v.s.hash.ChunkID(data), data}); len(batch) < chunksAtOnce {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// misread reports whether an id that is not here is the damaged copy of another:
// of one that is here, or that is named more often.
func (v *salvager) misread(id record.ID, here []record.ID) bool {
	for _, other := range here {
		if nearID(id, other) {
			return true
		}
	}
	for other := range v.hints {
		if v.names[other] > v.names[id] && nearID(id, other) {
			return true
		}
	}
	return false
}

// finish stores what is not about single records, and the list of what is lost.
func (v *salvager) finish() error {
	return v.s.write(v.ctx, false, func(t *tx) error {
		if v.minted && v.epoch == nil {
			// An epoch that no cloud has: this device was in a session before.
			v.epoch = new(Epoch)
			if err := v.s.random(v.epoch[:]); err != nil {
				return err
			}
		}
		if v.epoch != nil {
			if err := t.setMeta(metaEpoch, v.epoch[:]); err != nil {
				return err
			}
		}
		var err error
		if v.report.Records, err = t.count("SELECT count(*) FROM record"); err != nil {
			return err
		}
		if v.report.Edited, err = t.count("SELECT count(*) FROM dirty"); err != nil {
			return err
		}
		here, err := t.ids()
		if err != nil {
			return err
		}
		for _, id := range slices.SortedFunc(maps.Keys(v.hints), func(a, b record.ID) int { return strings.Compare(a.String(), b.String()) }) {
			r, err := t.rowByID(id)
			if err != nil {
				return err
			}
			if r != nil && !v.torn[id] || r == nil && v.misread(id, here) {
				continue
			}
			l, n := v.hints[id], v.places[id]
			l.Edited, l.Queued = v.edited[n] || v.torn[id] || v.marked[n] && !v.held[n], v.queued[n]
			if v.held[n] && l.Copy == nil {
				l.Version = ""
			}
			l.Unread = l.Unread || v.report.Damage.Missing+v.report.Damage.Bad > 0
			v.report.Lost = append(v.report.Lost, *l)
			if err := t.setLost(l); err != nil {
				return err
			}
		}
		return errors.Join(
			t.setMeta(metaRan, v.ran),
			t.problem("damage", "the database was damaged; it was set aside, and what could be read of it was brought into a new one", nil))
	})
}
