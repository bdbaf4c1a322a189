package lab

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
)

// TestBench runs a small bench and checks what it counted, not how long it took.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("starts real processes; not with -short")
	}
	var out bytes.Buffer
	// Records 130 make 40 contacts. Each is edited once: their sizes differ, and their order is random.
	o := speedOptions{Records: 130, Pictures: 2, Edits: 40, Many: 40, Grow: 0, Accounts: 4, Seconds: 1, Counts: true,
		Rows: []string{"sync", "edits", "loss", "fleet"}, json: true}
	if err := runSpeed(t.Context(), o, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var result speedResult
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	rows := map[string]*speedRow{}
	for _, r := range result.Rows {
		rows[r.Name] = r
		if r.Seconds <= 0 && r.Median <= 0 {
			t.Errorf("%s: no time", r.Name)
		}
	}
	for _, c := range []struct {
		row        string
		up, down   int64 // bytes at most, samples that are read back included
		trips      int64
		moved      int64 // bytes at least, both ways
		cloudSyncs int64 // at least
	}{
		{"text up", result.RawText, 16 << 10, 20, result.RawText / 10, 1},
		{"join, text down", 8 << 10, 2 * result.RawText, 30, result.RawText / 10, 0},
		{"pictures up", result.RawBlobs * 105 / 100, 8 << 10, 20, result.RawBlobs, 1},
		{"pictures down", 8 << 10, result.RawBlobs * 105 / 100, 20, result.RawBlobs, 0},
		{"no-op sync", 640, 384, 2, 500, 0}, // at most 1 KiB, HTTP and frames included
		{"one edit, a to b", 500, 500, 1, 500, 1},
		{"cloud lost 1 record", 6 << 10, 6 << 10, 9, 500, 1}, // a sample that is overtaken is taken again
		{"cloud lost all records", result.RawText, 8 << 10, 25, result.RawText / 10, 1},
		{"40 edits offline, then sync", 40 * 800, 8 << 10, 8, 40 * 200, 1},
	} {
		r := rows[c.row]
		if r == nil || r.Up == nil || r.Down == nil || r.Trips == nil {
			t.Errorf("%s: not counted: %+v", c.row, r)
			continue
		}
		if *r.Up > c.up || *r.Down > c.down || *r.Trips > c.trips || *r.Up+*r.Down < c.moved {
			t.Errorf("%s: %d bytes up, %d down, %d round trips", c.row, *r.Up, *r.Down, *r.Trips)
		}
		if result.Traced && (r.Cloud.Fsyncs == nil || *r.Cloud.Fsyncs < c.cloudSyncs) {
			t.Errorf("%s: fsyncs of the cloud: %s", c.row, whole(r.Cloud.Fsyncs))
		}
	}
	if f := rows["fleet: 4 accounts"]; f == nil || f.Records == 0 {
		t.Errorf("the fleet edited nothing: %+v", f)
	}
}
