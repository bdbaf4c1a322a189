package pim

import (
	"bytes"
	"strings"

	"sidekeep/localstore/record"
)

// node is a component to be written. Its children stand in the order in which
// the first field of each stood in the record.
type node struct {
	name       string // in upper case, for the usual markers
	begin, end []byte // markers that are not the usual ones
	items      []nodeItem
	byName     map[string]*node
}

type nodeItem struct {
	line []byte
	zone string // key of a time zone whose text line is
	sub  *node
}

func (n *node) child(segment, name string) *node {
	if c := n.byName[segment]; c != nil {
		return c
	}
	c := &node{name: name}
	if n.byName == nil {
		n.byName = map[string]*node{}
	}
	n.byName[segment] = c
	n.items = append(n.items, nodeItem{sub: c})
	return c
}

// buildTree arranges a record's lines as components. The result is the
// calendar; for contacts it holds just the card.
func buildTree(kind record.Kind, lines []outLine) *node {
	root := &node{name: pathCalendar}
	for _, l := range lines {
		path, leaf := splitKey(l.key)
		if strings.HasPrefix(leaf, zonePrefix) && path == "" {
			root.items = append(root.items, nodeItem{line: l.line, zone: leaf})
			continue
		}
		segments := strings.Split(strings.TrimSuffix(path, "/"), "/")
		n := root
		switch {
		case segments[0] == pathCalendar && kind != record.Contacts:
			segments = segments[1:]
		case strings.HasPrefix(segments[0], "@"):
			n = root.child(segments[0], mainName(kind))
			segments = segments[1:]
		default:
			n = root.child("", mainName(kind))
			if path == "" {
				segments = nil
			}
		}
		for _, s := range segments {
			name, _, _ := strings.Cut(s, ".")
			n = n.child(s, name)
		}
		switch leaf {
		case leafBegin:
			n.begin = l.line
		case leafEnd:
			n.end = l.line
		default:
			n.items = append(n.items, nodeItem{line: l.line})
		}
	}
	return root
}

// lines returns the lines that stand in n itself, not in its components.
func (n *node) lines() [][]byte {
	var lines [][]byte
	for _, it := range n.items {
		if it.sub == nil && it.zone == "" {
			lines = append(lines, it.line)
		}
	}
	return lines
}

// headKey tells apart calendars whose own lines differ: those before the
// entries and those after.
func (n *node) headKey() string {
	var b bytes.Buffer
	b.Write(n.begin)
	entries := false
	for _, it := range n.items {
		if it.sub != nil && !entries {
			entries = true
			b.WriteByte(1)
		} else if it.sub == nil && it.zone == "" {
			b.Write(it.line)
			b.WriteByte(0)
		}
	}
	b.Write(n.end)
	return b.String()
}

// write writes n with everything inside it.
func (n *node) write(lw *lineWriter) {
	n.marker(lw, n.begin, leafBegin)
	for _, it := range n.items {
		if it.sub != nil {
			it.sub.write(lw)
		} else {
			lw.line(it.line)
		}
	}
	n.marker(lw, n.end, leafEnd)
}

func (n *node) marker(lw *lineWriter, line []byte, word string) {
	if line == nil {
		line = []byte(word + ":" + n.name)
	}
	lw.line(line)
}

// calendarOut is one VCALENDAR of an export: records with one head.
type calendarOut struct {
	roots []*node
	zones map[string][]byte // key to text
}

func newCalendarOut(root *node) *calendarOut {
	c := &calendarOut{zones: map[string][]byte{}}
	c.take(root)
	return c
}

// take adds a record unless a time zone of the same name is different here.
func (c *calendarOut) take(root *node) bool {
	for _, it := range root.items {
		if text, ok := c.zones[it.zone]; ok && it.zone != "" && !bytes.Equal(text, it.line) {
			return false
		}
	}
	for _, it := range root.items {
		if it.zone != "" {
			c.zones[it.zone] = it.line
		}
	}
	c.roots = append(c.roots, root)
	return true
}

// main writes a contact.
func (x *exporter) main(lw *lineWriter, root *node) {
	for _, it := range root.items {
		if it.sub == nil {
			continue
		}
		lw.unfolded = false
		for _, l := range it.sub.lines() {
			if bytes.EqualFold(bytes.TrimSpace(l), []byte("VERSION:2.1")) {
				lw.unfolded = true
			}
		}
		it.sub.write(lw)
	}
}

// calendar writes one VCALENDAR. A record alone in it is written in its own
// order; several share the head, then come the time zones, the entries and what
// stood after them.
func (x *exporter) calendar(lw *lineWriter, c *calendarOut) {
	first := c.roots[0]
	first.marker(lw, first.begin, leafBegin)
	if len(first.lines()) == 0 && first.begin == nil {
		for _, l := range defaultHead {
			lw.line([]byte(l))
		}
	}
	after := -1 // where the first record's entries begin
	written := map[string]bool{}
	alone := len(c.roots) == 1
	for i, it := range first.items {
		if it.sub != nil && !alone {
			after = i
			break
		}
		written[it.zone] = true
		if it.sub != nil {
			it.sub.write(lw)
		} else {
			lw.line(it.line)
		}
	}
	if !alone {
		c.entries(lw, written)
		for _, it := range first.items[max(after, 0):] {
			if it.sub == nil && it.zone == "" && after >= 0 {
				lw.line(it.line)
			}
		}
	}
	first.marker(lw, first.end, leafEnd)
}

// entries writes the time zones that are not written yet, then every entry.
func (c *calendarOut) entries(lw *lineWriter, written map[string]bool) {
	for _, r := range c.roots {
		for _, it := range r.items {
			if it.zone != "" && !written[it.zone] {
				written[it.zone] = true
				lw.line(it.line)
			}
		}
	}
	for _, r := range c.roots {
		for _, it := range r.items {
			if it.sub != nil {
				it.sub.write(lw)
			}
		}
	}
}
