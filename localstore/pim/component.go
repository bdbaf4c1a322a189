package pim

import "bytes"

// component is a BEGIN...END block as it stood in the file.
type component struct {
	name       string // of the BEGIN line, upper case
	begin, end []byte // those lines; end is nil where it was missing
	no         int    // line number of BEGIN
	items      []item
}

// item is a content line of a component, or a component inside it.
type item struct {
	line []byte
	no   int
	sub  *component
}

// raw joins c's lines by line feeds.
func (c *component) raw() []byte {
	b := append(append([]byte(nil), c.begin...), '\n')
	for _, it := range c.items {
		if it.sub != nil {
			b = append(append(b, it.sub.raw()...), '\n')
		} else {
			b = append(append(b, it.line...), '\n')
		}
	}
	if c.end == nil {
		return append(append(b, "END:"...), c.name...)
	}
	return append(b, c.end...)
}

// property returns the first line of c with the given name (upper case).
func (c *component) property(name string) (property, bool) {
	for _, it := range c.items {
		if it.sub == nil {
			if p, ok := parseProperty(it.line); ok && equalFold(p.name, name) {
				return p, true
			}
		}
	}
	return property{}, false
}

// componentReader divides a file into its outermost components.
type componentReader struct {
	lines   *lineReader
	pending *logical // a BEGIN line that ended the component before it
	problem func(line int, reason string, o Outcome)
}

// next returns the next outermost component, or nil at the end of the file.
// Lines outside any component are refused, one problem for each run of them.
func (r *componentReader) next() *component {
	outside := 0
	for {
		l, ok := r.read()
		if !ok {
			return nil
		}
		if t := bytes.TrimLeft(l.text, " \t"); isMarker(t, "BEGIN") {
			l.text = t // the first line of a file can be indented
			return r.component(l)
		}
		if isMarker(l.text, "END") {
			r.problem(l.no, "an END without its BEGIN", Refused)
			outside = 0
			continue
		}
		if outside++; outside == 1 {
			r.problem(l.no, "text outside any card or calendar", Refused)
		}
	}
}

func (r *componentReader) read() (logical, bool) {
	if p := r.pending; p != nil {
		r.pending = nil
		return *p, true
	}
	return r.lines.next()
}

// component reads up to the END that belongs to the BEGIN line first, or to
// what shows that it is missing.
func (r *componentReader) component(first logical) *component {
	root := &component{name: markerName(first.text), begin: first.text, no: first.no}
	stack := []*component{root}
	for {
		l, ok := r.read()
		top := stack[len(stack)-1]
		switch {
		case !ok:
			r.closed(stack, "the file ends")
			return root
		case isMarker(l.text, "BEGIN"):
			name := markerName(l.text)
			if name == "VCARD" && root.name == "VCARD" && !endsInAgent(top) {
				r.closed(stack, "another card begins")
				r.pending = &l
				return root
			}
			for len(stack) > 0 && endsBefore(stack[len(stack)-1].name, name) {
				r.closed(stack[len(stack)-1:], "another component begins")
				stack = stack[:len(stack)-1]
			}
			if len(stack) == 0 {
				r.pending = &l
				return root
			}
			top = stack[len(stack)-1]
			if name == pathCalendar && len(stack) >= calendarsMax {
				r.rawBlock(l)
				r.problem(l.no, "calendars are nested too deep", Refused)
				continue
			}
			if depthBelowMain(stack) >= NestingMax && name != pathCalendar {
				top.items = append(top.items, item{line: r.rawBlock(l), no: l.no})
				r.problem(l.no, "components are nested too deep; the inner ones are kept as text", Repaired)
				continue
			}
			sub := &component{name: name, begin: l.text, no: l.no}
			top.items = append(top.items, item{no: l.no, sub: sub})
			stack = append(stack, sub)
		case isMarker(l.text, "END"):
			i := len(stack) - 1
			for name := markerName(l.text); i >= 0 && stack[i].name != name; i-- {
			}
			if i < 0 {
				r.problem(l.no, "an END without its BEGIN", Refused)
				continue
			}
			r.closed(stack[i+1:], "an outer one ends")
			if stack[i].end = l.text; i == 0 {
				return root
			}
			stack = stack[:i]
		default:
			top.items = append(top.items, item{line: l.text, no: l.no})
		}
	}
}

// depthBelowMain is how many components a new one would stand in, below the
// main component.
func depthBelowMain(stack []*component) int {
	for i := len(stack) - 1; i >= 0; i-- {
		if stack[i].name == pathCalendar {
			return len(stack) - i - 2
		}
	}
	return len(stack) - 1
}

// closed reports components whose END is missing.
func (r *componentReader) closed(stack []*component, because string) {
	for _, c := range stack {
		r.problem(c.no, "this component has no END before "+because+"; kept up to there", Repaired)
	}
}

// endsBefore reports whether a component called inner can not stand inside one
// called open, so that an END is missing.
func endsBefore(open, inner string) bool {
	switch inner {
	case "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", pathCalendar:
		return open != "VCALENDAR"
	case "VALARM", "STANDARD", "DAYLIGHT":
		return open == "VALARM" || open == "STANDARD" || open == "DAYLIGHT"
	}
	return false
}

func endsInAgent(c *component) bool {
	return len(c.items) > 0 && c.items[len(c.items)-1].sub == nil && isAgent(c.items[len(c.items)-1].line)
}

// isAgent reports whether line is an AGENT without a value, which vCard 2.1
// follows by a whole card.
func isAgent(line []byte) bool {
	p, ok := parseProperty(line)
	return ok && equalFold(p.name, "AGENT") && len(bytes.TrimSpace(p.value)) == 0
}

// rawBlock reads the component that the BEGIN line first opens, with all that is
// inside it, and returns it joined by line feeds. ENDs that are missing are added,
// so that what is written can be read again.
func (r *componentReader) rawBlock(first logical) []byte {
	b := bytes.Clone(first.text)
	names := []string{markerName(first.text)}
	open := map[string]int{names[0]: 1}
	closeTop := func() (name string) {
		name = names[len(names)-1]
		names, open[name] = names[:len(names)-1], open[name]-1
		return name
	}
	for len(names) > 0 {
		l, ok := r.read()
		name := ""
		switch {
		case ok && isMarker(l.text, "BEGIN"):
			name = markerName(l.text)
			names, open[name] = append(names, name), open[name]+1
		case ok && isMarker(l.text, "END"):
			name = markerName(l.text)
		}
		if !ok || isMarker(l.text, "END") && open[name] == 0 {
			r.problem(first.no, "this component has no END before an outer one ends; kept up to there", Repaired)
			for len(names) > 0 {
				b = append(append(b, "\nEND:"...), closeTop()...)
			}
			if ok {
				r.pending = &l
			}
			return b
		}
		if isMarker(l.text, "END") {
			for top := closeTop(); top != name; top = closeTop() {
				b = append(append(b, "\nEND:"...), top...)
			}
		}
		b = append(append(b, '\n'), l.text...)
	}
	return b
}

func equalFold(s, upper string) bool {
	return len(s) == len(upper) && bytes.EqualFold([]byte(s), []byte(upper))
}
