package pim_test

import (
	"slices"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// Overrides that stand apart from their event in a file come to it, whatever
// stands around them.
func TestOverridesApart(t *testing.T) {
	const (
		series   = "BEGIN:VEVENT\nUID:weekly\nDTSTART:20260101T100000\nRRULE:FREQ=WEEKLY\nSUMMARY:Series\nEND:VEVENT\n"
		single   = "BEGIN:VEVENT\nUID:weekly\nSUMMARY:One\nX-A:1\nX-B:2\nX-C:3\nEND:VEVENT\n"
		second   = "BEGIN:VEVENT\nUID:weekly\nRECURRENCE-ID:20260108T100000\nSUMMARY:Second\nEND:VEVENT\n"
		third    = "BEGIN:VEVENT\nUID:weekly\nRECURRENCE-ID:20260115T100000\nSUMMARY:Third\nEND:VEVENT\n"
		zoned    = "BEGIN:VTIMEZONE\nTZID:A\nEND:VTIMEZONE\nBEGIN:VEVENT\nUID:weekly\nRECURRENCE-ID;TZID=A:20260122T100000\nSUMMARY:Zoned\nEND:VEVENT\n"
		calendar = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\n"
		end      = "END:VCALENDAR\n"
	)
	in := func(events string) string { return calendar + events + end }
	for _, c := range []struct {
		name, text string
		records    int
		keys       []string // of the record that has the UID
	}{
		{"bare", series + second, 1, []string{"RRULE", "@20260108T100000/SUMMARY"}},
		{"bare, the override first", second + series, 1, []string{"RRULE", "@20260108T100000/SUMMARY"}},
		{"overrides alone", second + third, 1, []string{"@20260108T100000/SUMMARY", "@20260115T100000/SUMMARY"}},
		{"one date twice", series + second + second, 1, []string{"@20260108T100000/SUMMARY", "@20260108T100000-2/SUMMARY"}},
		{"calendars", in(second) + in(series) + in(third+zoned), 1, []string{"RRULE", "@20260108T100000/SUMMARY", "@20260115T100000/SUMMARY", "@20260122T100000/SUMMARY", "VTIMEZONE.A"}},
		{"to what recurs", single + series + second, 2, nil},
		{"calendars with other lines", in(series) + strings.Replace(in(second), "//x", "//y", 1), 2, nil},
		{"time zones of one name", in(series+strings.Replace(zoned, "END:VTIMEZONE", "X:1\nEND:VTIMEZONE", 1)) + in(zoned), 2, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			objs, report := importText(t, "x.ics", c.text)
			if len(objs) != c.records || report.Objects != c.records || report.Refused > 0 || objs[0].UID != "weekly" {
				t.Fatalf("%d records, %+v", len(objs), report)
			}
			for _, key := range c.keys {
				if !slices.Contains(keysOf(objs[0].Fields), key) {
					t.Errorf("no %s among %q", key, keysOf(objs[0].Fields))
				}
			}
			bs := blobStore{}
			for i := range objs {
				bs.fill(t, &objs[i])
				checkObject(t, objs[i])
				if c.name == "to what recurs" && slices.Contains(keysOf(objs[i].Fields), "@20260108T100000/SUMMARY") != slices.Contains(keysOf(objs[i].Fields), "RRULE") {
					t.Error("the override went to the event that does not recur")
				}
			}
			checkFixpoint(t, bs, record.Events, objs)
		})
	}
	// More overrides than a record can hold: none is lost.
	objs, _ := importText(t, "x.ics", series+strings.Repeat(second, pim.PropertiesMax))
	n := 0
	for _, o := range objs {
		for _, f := range o.Fields {
			if string(f.Line) == "SUMMARY:Second" {
				n++
			}
		}
	}
	if n != pim.PropertiesMax || len(objs[0].Fields) > pim.PropertiesMax {
		t.Errorf("%d overrides came back of %d", n, pim.PropertiesMax)
	}
}
