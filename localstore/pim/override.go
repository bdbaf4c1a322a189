package pim

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// joinOverrides puts overrides that stand apart from their event in a file, in
// a calendar of their own or without one, where they belong: to the first main
// component of their UID that recurs, else the first, else the first override.
// Overrides in a calendar with other lines of its own stay apart, and so do
// those that would make the record too large. objects have one kind and UID.
func joinOverrides(objects []Object) []Object {
	home := -1
	for _, fits := range []func(Object) bool{recurs, func(o Object) bool { return hasMain(o.Fields) }, overridesOnly} {
		if home < 0 {
			home = slices.IndexFunc(objects, fits)
		}
	}
	if home < 0 || objects[home].Kind == record.Contacts {
		return objects
	}
	around, zones := surroundingsOf(objects[home])
	room := roomIn(objects[home])
	var joined, apart []Object
	at := 0 // of home in apart
	for i, o := range objects {
		need := roomIn(o)
		if i == home {
			at = len(apart)
		}
		if i == home || !overridesOnly(o) || need.fields > PropertiesMax-room.fields || need.bytes > objectBytesAim-room.bytes || !fits(o, around, zones) {
			apart = append(apart, o)
			continue
		}
		room.fields, room.bytes = room.fields+need.fields, room.bytes+need.bytes
		joined = append(joined, o)
	}
	if len(joined) == 0 {
		return objects
	}
	whole, err := join(objects[home], joined)
	if err != nil {
		return objects
	}
	apart[at] = whole
	return apart
}

// size is what a record takes of what it may.
type size struct{ fields, bytes int }

func roomIn(o Object) size {
	s := size{fields: len(o.Fields)}
	for _, f := range o.Fields {
		s.bytes += len(f.Key) + len(f.Line) + fieldOverheadBytes
	}
	return s
}

func recurs(o Object) bool {
	return slices.ContainsFunc(o.Fields, func(f record.Field) bool {
		path, leaf := splitKey(f.Key)
		return path == "" && (leafName(leaf) == "RRULE" || leafName(leaf) == "RDATE")
	})
}

func overridesOnly(o Object) bool {
	return !hasMain(o.Fields) && slices.ContainsFunc(o.Fields, isOverride)
}

func isOverride(f record.Field) bool { return strings.HasPrefix(f.Key, "@") }

// join adds the overrides of others, and the time zones they use, to home.
func join(home Object, others []Object) (Object, error) {
	b := &builder{kind: home.Kind, keys: keySet{}, fields: slices.Clone(home.Fields), blobs: map[string]BlobSource{}}
	maps.Copy(b.blobs, home.Blobs)
	for _, f := range home.Fields {
		b.keys[f.Key]++
		if date, _, _ := strings.Cut(f.Key, "/"); isOverride(f) {
			b.keys[date] = 1
		}
	}
	for _, o := range others {
		dates := map[string]string{} // as they stand in o, and here
		for _, f := range o.Fields {
			key := f.Key
			if isOverride(f) {
				date, rest, _ := strings.Cut(key, "/")
				if dates[date] == "" {
					dates[date] = b.keys.unique(date)
				}
				key = dates[date] + "/" + rest
			} else if b.keys[key] > 0 {
				continue // of the calendar around, or a time zone that is there
			}
			b.keys[key]++
			b.fields = append(b.fields, record.Field{Key: key, Line: f.Line})
			if data, ok := o.Blobs[f.Key]; ok {
				b.blobs[key] = data
			}
		}
	}
	whole, err := b.object()
	whole.UID, whole.Line = home.UID, home.Line
	return whole, err
}

// surroundingsOf gives the lines of the calendar around a record, and its time
// zones by key.
func surroundingsOf(o Object) (around []record.Field, zones map[string][]byte) {
	zones = map[string][]byte{}
	for _, f := range o.Fields {
		if path, leaf := splitKey(f.Key); strings.HasPrefix(leaf, zonePrefix) {
			zones[f.Key] = f.Line
		} else if mainPath(path, leaf) == nil {
			around = append(around, f)
		}
	}
	return around, zones
}

// fits reports whether o has the same lines of the calendar around it, and no
// time zone of one name in another way; none of them large. What it has new, it adds to zones.
func fits(o Object, around []record.Field, zones map[string][]byte) bool {
	mine, others := surroundingsOf(o)
	for key, line := range others {
		_, large := o.Blobs[key]
		if there, ok := zones[key]; large || ok && !bytes.Equal(there, line) {
			return false
		}
	}
	same := slices.EqualFunc(around, mine, func(x, y record.Field) bool {
		_, large := o.Blobs[y.Key]
		return x.Key == y.Key && bytes.Equal(x.Line, y.Line) && !large
	})
	if same {
		maps.Copy(zones, others)
	}
	return same
}
