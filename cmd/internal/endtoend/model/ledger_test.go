package model

import (
	"fmt"
	"slices"
	"strings"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// ledger knows every version that exists anywhere, and the events behind it.
type ledger struct {
	chronicle
	versions map[record.VersionID]*known
	dots     map[record.Dot]bool         // in any of them
	sent     map[record.Dot]string       // what each dot wrote, of versions that left their device
	vectors  map[string]record.VersionID // of those, by record and vector
}

// known is a version and the events that it must show.
type known struct {
	kind    record.Kind
	id      record.ID
	vid     record.VersionID
	version *record.Version
	events  set
}

func newLedger() *ledger {
	return &ledger{versions: map[record.VersionID]*known{}, dots: map[record.Dot]bool{}, sent: map[record.Dot]string{}, vectors: map[string]record.VersionID{}}
}

// events returns the events behind a version; nil is no version.
func (l *ledger) history(vid *record.VersionID) set {
	if vid == nil {
		return nil
	}
	return l.versions[*vid].events
}

// enter checks a version against the events that it must show, and keeps it.
func (l *ledger) enter(k *known) error {
	if old := l.versions[k.vid]; old != nil {
		if a, b := old.events.minus(k.events), k.events.minus(old.events); !a.empty() || !b.empty() {
			return fmt.Errorf("version %s of %s stands for two histories: first also%s\n  then also%s", short(k.vid[:]), name(k.id), l.describe(a), l.describe(b))
		}
		return nil
	}
	l.versions[k.vid] = k
	for _, es := range k.version.Fields {
		for i := range es {
			l.dots[es[i].Dot] = true
		}
	}
	if err := l.shows(k); err != nil {
		return fmt.Errorf("version %s of %s: %w\n  it holds %s\n  its events%s", short(k.vid[:]), name(k.id), err, describe(k.version), l.describe(k.events))
	}
	return nil
}

// identities is I5: a dot never has two values, a vector never two contents. It
// counts from when a version leaves its device: before that its dots move to
// another replica when a copy of the device was faster (MERGE.md C5).
func (l *ledger) identities(k *known) error {
	key := name(k.id) + " " + describeVector(k.version.Vector)
	if old, ok := l.vectors[key]; ok && old != k.vid {
		return fmt.Errorf("I5: versions %s and %s of %s have one vector %s:\n  %s\n  %s", short(old[:]), short(k.vid[:]), name(k.id),
			describeVector(k.version.Vector), describe(l.versions[old].version), describe(k.version))
	}
	l.vectors[key] = k.vid
	for field, es := range k.version.Fields {
		for i := range es {
			value := fmt.Sprintf("%s %s %s", name(k.id), field, describeEntry(&es[i]))
			if old, ok := l.sent[es[i].Dot]; ok && old != value {
				return fmt.Errorf("I5: one dot %s wrote two things: %s, and %s", describeDot(es[i].Dot), old, value)
			}
			l.sent[es[i].Dot] = value
		}
	}
	return nil
}

// shows compares a version with what its events amount to.
func (l *ledger) shows(k *known) error {
	v := l.view(k.events)
	if got := k.version.Dead(); got != v.dead {
		return fmt.Errorf("dead is %v, and should be %v", got, v.dead)
	}
	keys := map[string]bool{}
	for field := range k.version.Fields {
		keys[field] = record.IsFieldKey(field)
	}
	for field := range v.values {
		keys[field] = true
	}
	for field, is := range keys {
		if !is {
			continue
		}
		var got, want []string
		for _, e := range k.version.Fields[field] {
			got = append(got, content(e.Line, e.Blob))
		}
		for _, e := range v.values[field] {
			want = append(want, e.value)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s is %q, and should be %q", field, got, want)
		}
	}
	return nil
}

// rescues finds what a merge wrote by itself: values that stood outside any
// purge's sight, given back beside an edit (MERGE.md W7). They become events.
func (l *ledger) rescues(k *known, by string) error {
	past := k.events
	for _, field := range k.version.Keys() {
		es := k.version.Fields[field]
		for i := range es {
			if l.dots[es[i].Dot] || !es[i].Rescued {
				continue
			}
			value := content(es[i].Line, es[i].Blob)
			if !slices.ContainsFunc(l.of(past), func(e *event) bool { return e.kind == write && e.key == field && e.value == value }) {
				return fmt.Errorf("%s: a merge wrote %s=%s, which nobody wrote: %s%s", name(k.id), field, value, describe(k.version), l.describe(past))
			}
			e := l.add(event{rec: k.id, kind: write, key: field, value: value, rescued: true,
				replica: es[i].Dot.Replica, counter: es[i].Dot.Counter, past: past, by: by})
			k.events = k.events.with(e.id)
		}
	}
	return nil
}

// content is the value of a line, and of the picture that it refers to.
func content(line []byte, blob *record.Blob) string {
	_, value, _ := strings.Cut(string(line), ":")
	if blob != nil {
		for _, c := range blob.Chunks {
			value += " " + short(c[:])
		}
	}
	return value
}

// display is what a person sees of a version: of each key the newest value; of
// the keys of a merge unit that several wrote, the values that the newest of
// them wrote, and no others.
func display(kind record.Kind, v *record.Version) []record.Field {
	newest := map[string]record.Dot{}
	several := map[string]bool{} // units of which a key has values of several replicas
	for _, key := range v.Keys() {
		unit := pim.Unit(kind, key)
		here := map[record.ReplicaID]bool{}
		for _, e := range v.Fields[key] {
			here[e.Dot.Replica] = true
			if newest[unit].Compare(e.Dot) < 0 {
				newest[unit] = e.Dot
			}
		}
		several[unit] = several[unit] || len(here) > 1
	}
	var fields []record.Field
	for _, key := range v.Keys() {
		unit := pim.Unit(kind, key)
		for i, es := len(v.Fields[key])-1, v.Fields[key]; i >= 0; i-- {
			if !several[unit] || es[i].Dot.Replica == newest[unit].Replica {
				fields = append(fields, record.Field{Key: key, Line: es[i].Line, Blob: es[i].Blob})
				break
			}
		}
	}
	return fields
}

func short(b []byte) string { return fmt.Sprintf("%x", b[:3]) }

func describeDot(d record.Dot) string { return fmt.Sprintf("%s:%d", short(d.Replica[:]), d.Counter) }

func describeVector(v record.Vector) string {
	var parts []string
	for _, r := range v.Replicas() {
		parts = append(parts, fmt.Sprintf("%s:%d", short(r[:]), v[r]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func describeEntry(e *record.Entry) string {
	s := string(e.Line)
	if e.Blob != nil {
		s = content(e.Line, e.Blob)
	}
	if e.Seen != nil {
		s += " seen " + describeVector(e.Seen)
	}
	if e.Rescued {
		s += " rescued"
	}
	return s
}

func describe(v *record.Version) string {
	keys := make([]string, 0, len(v.Fields))
	for k := range v.Fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	b.WriteString(describeVector(v.Vector))
	for _, k := range keys {
		es := v.Fields[k]
		for i := range es {
			fmt.Fprintf(&b, " %s@%s(%s)", k, describeDot(es[i].Dot), describeEntry(&es[i]))
		}
	}
	return b.String()
}
