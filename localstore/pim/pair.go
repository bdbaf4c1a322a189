package pim

import (
	"bytes"
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// Pair gives the lines of an edited record the keys that they had: fresh is
// the whole record as it came back (an import, a DAV PUT), old what is stored.
// Components are paired first: overrides by date, others by content, UID, then
// position. Lines of paired components are paired by exact line, then decoded
// value, then name and type, then position; the rest are new. The result has
// fresh's lines, blobs and order under their final keys. Fill in fresh's blobs
// before the call: its keys can change.
func Pair(kind record.Kind, old, fresh []record.Field) []record.Field {
	p := &pairing{kind: kind, used: keySet{}, keys: make([]string, len(fresh))}
	o, f := group(old), group(fresh)
	p.component(o, f, "")
	out := slices.Clone(fresh)
	for i := range out {
		out[i].Key = p.keys[i]
	}
	return out
}

// Merge gives the fields of a stored record after an import brought fresh for
// it: Pair, but an event that comes as overrides only (no main component)
// changes just those and keeps the stored main component, its other overrides
// and the calendar around it. A main component that comes for overrides that
// are stored alone completes them.
func Merge(kind record.Kind, old, fresh []record.Field) []record.Field {
	paired := Pair(kind, old, fresh)
	if kind == record.Contacts || hasMain(old) && hasMain(fresh) {
		return paired
	}
	if hasMain(fresh) {
		return append(paired, otherOverrides(old, paired)...)
	}
	replaced := map[string]bool{}
	out := slices.Clone(old)
	for i := range paired {
		path, leaf := splitKey(paired[i].Key)
		if p := mainPath(path, leaf); p != nil {
			replaced[*p] = true
		}
	}
	out = slices.DeleteFunc(out, func(f record.Field) bool {
		path, leaf := splitKey(f.Key)
		p := mainPath(path, leaf)
		return p != nil && replaced[*p]
	})
	have := map[string]bool{}
	for i := range out {
		have[out[i].Key] = true
	}
	for i := range paired {
		path, leaf := splitKey(paired[i].Key)
		zone := strings.HasPrefix(leaf, zonePrefix)
		if mainPath(path, leaf) != nil || zone && !have[paired[i].Key] {
			out = append(out, paired[i])
		}
	}
	return out
}

// otherOverrides gives the fields of the overrides in old that fresh has not.
func otherOverrides(old, fresh []record.Field) []record.Field {
	has := map[string]bool{}
	for i := range fresh {
		path, leaf := splitKey(fresh[i].Key)
		if p := mainPath(path, leaf); p != nil {
			has[*p] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(old), func(f record.Field) bool {
		path, leaf := splitKey(f.Key)
		p := mainPath(path, leaf)
		return p == nil || has[*p]
	})
}

func hasMain(fields []record.Field) bool {
	return slices.ContainsFunc(fields, func(f record.Field) bool {
		path, leaf := splitKey(f.Key)
		p := mainPath(path, leaf)
		return p != nil && *p == ""
	})
}

// part is one component of a record: its own fields and the components in it.
type part struct {
	segment string // of the key, "" for the outermost
	fields  []record.Field
	index   []int // of fields in the record
	parts   []*part
}

// group arranges fields by component.
func group(fields []record.Field) *part {
	root := &part{}
	byPath := map[string]*part{"": root}
	var find func(path string) *part
	find = func(path string) *part {
		if p := byPath[path]; p != nil {
			return p
		}
		trimmed := strings.TrimSuffix(path, "/")
		cut := strings.LastIndexByte(trimmed, '/') + 1
		parent := find(trimmed[:cut])
		p := &part{segment: trimmed[cut:]}
		parent.parts = append(parent.parts, p)
		byPath[path] = p
		return p
	}
	for i := range fields {
		path, _ := splitKey(fields[i].Key)
		p := find(path)
		p.fields = append(p.fields, fields[i])
		p.index = append(p.index, i)
	}
	return root
}

// name is the component's name, or its override date, without tag.
func (p *part) name() string {
	s, _, _ := strings.Cut(p.segment, ".")
	return s
}

// content is everything in p, as one string.
func (p *part) content() string {
	var b strings.Builder
	for i := range p.fields {
		b.Write(p.fields[i].Line)
		b.WriteByte('\n')
	}
	for _, s := range p.parts {
		b.WriteString(s.name() + "{" + s.content() + "}\n")
	}
	return b.String()
}

func (p *part) uid() string {
	for i := range p.fields {
		switch leafName(p.fields[i].Key) {
		case "UID", "X-WR-ALARMUID", "X-EVOLUTION-ALARM-UID":
			return string(p.fields[i].Line)
		}
	}
	return ""
}

// pairing finds the keys of fresh's fields.
type pairing struct {
	kind record.Kind
	used keySet
	keys []string // by index in fresh
}

// component pairs the fields of two components whose keys begin with path, and
// then the components inside them. old is nil for a new component.
func (p *pairing) component(old, fresh *part, path string) {
	if old == nil {
		old = &part{}
	}
	p.lines(old, fresh, path)
	match := matchParts(old.parts, fresh.parts)
	taken := keySet{}
	for _, o := range match {
		if o != nil {
			taken[o.segment]++
		}
	}
	for i, f := range fresh.parts {
		segment := f.segment
		if o := match[i]; o != nil {
			segment = o.segment
		} else {
			segment = taken.unique(segment)
		}
		p.component(match[i], f, path+segment+"/")
	}
}

// matchParts finds for each fresh component the old one that it was.
func matchParts(old, fresh []*part) []*part {
	match := make([]*part, len(fresh))
	taken := map[*part]bool{}
	pass := func(same func(o, f *part) bool) {
		for i, f := range fresh {
			for _, o := range old {
				if match[i] == nil && !taken[o] && o.name() == f.name() && same(o, f) {
					match[i], taken[o] = o, true
				}
			}
		}
	}
	contents := map[*part]string{}
	for _, p := range append(slices.Clone(old), fresh...) {
		contents[p] = p.content()
	}
	pass(func(o, f *part) bool { return o.segment == f.segment && f.segment[0] == '@' })
	pass(func(o, f *part) bool { return contents[o] == contents[f] })
	pass(func(o, f *part) bool { return o.uid() != "" && o.uid() == f.uid() })
	pass(func(o, f *part) bool { return true })
	return match
}

// lines pairs the fields of two components.
func (p *pairing) lines(old, fresh *part, path string) {
	taken := make([]bool, len(old.fields))
	done := make([]bool, len(fresh.fields))
	pass := func(id func(f *record.Field) string) {
		byID := map[string][]int{}
		for i := range old.fields {
			if k := id(&old.fields[i]); !taken[i] && k != "" {
				byID[k] = append(byID[k], i)
			}
		}
		for i := range fresh.fields {
			k := id(&fresh.fields[i])
			if list := byID[k]; !done[i] && k != "" && len(list) > 0 {
				p.keys[fresh.index[i]] = old.fields[list[0]].Key
				p.used[old.fields[list[0]].Key]++
				done[i], taken[list[0]], byID[k] = true, true, list[1:]
			}
		}
	}
	name := func(f *record.Field) string { return leafName(f.Key) }
	pass(func(f *record.Field) string { // the exact line
		if f.Blob != nil {
			return string(f.Line) + "\x00" + blobKey(f.Blob)
		}
		return name(f) + "\x00" + string(f.Line)
	})
	pass(func(f *record.Field) string { // name and decoded value
		if f.Blob != nil {
			return name(f) + "\x00" + blobKey(f.Blob)
		}
		value, _ := Decode(p.kind, f.Key, f.Line)
		s := joinValue(value, "\x1f")
		if s == "" {
			return ""
		}
		return name(f) + "\x00" + s
	})
	pass(func(f *record.Field) string { // name, group and type
		if colon := valueColon(f.Line); colon >= 0 {
			return name(f) + "\x00" + strings.ToUpper(string(f.Line[:colon]))
		}
		return ""
	})
	pass(name) // position among those of one name
	for i := range fresh.fields {
		if !done[i] {
			p.keys[fresh.index[i]] = p.fresh(path, &fresh.fields[i])
		}
	}
}

// fresh finds a key for a new field: its own, unless a paired field has it.
func (p *pairing) fresh(path string, f *record.Field) string {
	_, leaf := splitKey(f.Key)
	if bare := leafName(f.Key); leaf == bare && p.used[path+leaf] > 0 {
		value := f.Line
		if colon := valueColon(value); colon >= 0 {
			value = value[colon+1:]
		}
		return p.used.unique(path + bare + "." + tag(string(value)))
	}
	return p.used.unique(path + leaf)
}

func blobKey(b *record.Blob) string {
	var k bytes.Buffer
	for i := range b.Chunks {
		k.Write(b.Chunks[i][:])
	}
	return k.String()
}
