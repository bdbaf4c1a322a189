package cli

import "sidekeep/localstore"

// recordJSON is the shape of a record in --json output. It is stable.
type recordJSON struct {
	ID      string               `json:"id"`
	Kind    string               `json:"kind"`
	Title   string               `json:"title"`
	Deleted bool                 `json:"deleted"`
	Fields  map[string]fieldJSON `json:"fields"`
}

// fieldJSON is one field: the decoded value (a string, or a list), and the
// content line as it stands on export, unfolded, without what is kept as a
// blob. Bytes of a line that are not UTF-8 show as U+FFFD; export gives them as
// they are.
type fieldJSON struct {
	Value any    `json:"value"`
	Raw   string `json:"raw"`
}

func shapeOf(r *localstore.Record) recordJSON {
	j := recordJSON{ID: r.ID.String(), Kind: string(r.Kind), Title: r.Title, Deleted: r.Deleted,
		Fields: make(map[string]fieldJSON, len(r.Fields))}
	for _, f := range r.Fields {
		j.Fields[f.Key] = fieldJSON{Value: r.Values[f.Key], Raw: string(f.Line)}
	}
	return j
}

// conflictJSON is one key with several values in `conflicts --json`.
type conflictJSON struct {
	ID    string      `json:"id"`
	Kind  string      `json:"kind"`
	Title string      `json:"title"`
	Key   string      `json:"key"`
	Shown fieldJSON   `json:"shown"`
	Other []fieldJSON `json:"other"`
}

func conflictShape(r *localstore.Record, c localstore.Conflict) conflictJSON {
	j := conflictJSON{ID: r.ID.String(), Kind: string(r.Kind), Title: r.Title, Key: c.Key, Other: []fieldJSON{}}
	for i, s := range c.Siblings {
		f := fieldJSON{Value: s.Value, Raw: string(s.Field.Line)}
		if i == 0 {
			j.Shown = f
		} else {
			j.Other = append(j.Other, f)
		}
	}
	return j
}
