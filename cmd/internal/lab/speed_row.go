package lab

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// speedRow is one line of the table. What was not measured is 0 or null.
type speedRow struct {
	Name    string  `json:"name"`
	Records int     `json:"records,omitempty"` // or edits, that it is about
	Seconds float64 `json:"seconds"`
	Median  float64 `json:"median_ms,omitempty"` // of single edits
	P99     float64 `json:"p99_ms,omitempty"`
	Rate    float64 `json:"per_second,omitempty"`
	Floor   float64 `json:"floor_seconds,omitempty"` // what the floor needs for the same; for edits of one
	Ratio   float64 `json:"ratio,omitempty"`
	Effort  float64 `json:"cpu_ratio,omitempty"` // processor time of both ends to the floor's: load changes it little

	Device party `json:"device"`
	Cloud  party `json:"cloud"`

	Trips *int64  `json:"round_trips"`
	Up    *int64  `json:"bytes_up"`   // through the device's socket; of single edits: the sender's leg, both ways, for one
	Down  *int64  `json:"bytes_down"` // ... and the receiver's
	Wire  float64 `json:"wire_ratio,omitempty"`
	raw   int64   // payload that moved, for Wire
	floor cost
}

// party is what one end spent.
type party struct {
	CPU    float64 `json:"cpu_seconds"`
	RSS    int64   `json:"peak_rss_bytes"`
	Own    int64   `json:"peak_own_bytes,omitempty"` // of that what is no page of a file
	Disk   int64   `json:"disk_bytes"`
	Fsyncs *int64  `json:"fsyncs"`
}

// relate fills the ratios.
func (r *speedRow) relate(result *speedResult) {
	r.Floor = r.floor.Seconds
	if r.Floor > 0 {
		r.Ratio = cmp.Or(r.Median/1000, r.Seconds) / r.Floor
	}
	if r.floor.CPU > 0 {
		r.Effort = (r.Device.CPU + r.Cloud.CPU) / r.floor.CPU
	}
	if r.raw > 0 && r.Up != nil {
		r.Wire = float64(*r.Up+*r.Down) / float64(r.raw)
	}
}

// printSpeed writes the table.
func printSpeed(w io.Writer, result *speedResult) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ttime\tx floor\tround trips\tfsyncs device\tcloud\tbytes up\tdown\tx raw\tCPU s device\tcloud\tx floor\tpeak MB device\town\tcloud\tdisk MB device\tcloud\t")
	for _, r := range result.Rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Name, r.time(), fraction(r.Ratio, 1), whole(r.Trips), whole(r.Device.Fsyncs), whole(r.Cloud.Fsyncs),
			whole(r.Up), whole(r.Down), fraction(r.Wire, 3), fraction(r.Device.CPU, 2), fraction(r.Cloud.CPU, 2), fraction(r.Effort, 1), megabytes(r.Device.RSS), megabytes(r.Device.Own), megabytes(r.Cloud.RSS), megabytes(r.Device.Disk), megabytes(r.Cloud.Disk))
	}
	t.Flush()
	f := result.Floor
	fmt.Fprintf(w, "\nfloor: %d rows in one transaction %s, through a websocket 100 a message, compressed, %s; %d pictures %s and %s; one durable commit %s, an echo of 780 bytes %s\n",
		result.Options.Records, duration(f.Rows.Seconds), duration(f.Text.Seconds), result.Options.Pictures, duration(f.Pictures.Seconds), duration(f.Blobs.Seconds), duration(f.Commit.Seconds), duration(f.Echo.Seconds))
	fmt.Fprintf(w, "floor's processor time: text %s, pictures %s\n", duration(f.Rows.of(1, f.Text).CPU), duration(f.Pictures.of(1, f.Blobs).CPU))
	fmt.Fprintf(w, "raw: %d bytes of text, %d of pictures; bytes are those of TCP, websocket and handshake included\n", result.RawText, result.RawBlobs)
	fmt.Fprintln(w, "peak: resident memory; own: of that what is no page of a file, such as the program's")
	fmt.Fprintln(w, "edits: for one of them, up is the sender's leg and down the receiver's, each in both directions; the device is the sender")
	switch {
	case !result.Options.Counts:
		fmt.Fprintln(w, "not counted (--counts=false): round trips, fsyncs, bytes")
	case !result.Traced:
		fmt.Fprintln(w, "fsyncs were not counted: strace is not installed, or may not be used here")
	default:
		fmt.Fprintln(w, "fsyncs: fsync and fdatasync, counted by strace in a second pass")
	}
}

func (r *speedRow) time() string {
	switch {
	case r.Rate > 0:
		return fmt.Sprintf("%.0f/s, p50 %.1f p99 %.1f ms", r.Rate, r.Median, r.P99)
	case r.Median > 0:
		return fmt.Sprintf("p50 %.1f p99 %.1f ms", r.Median, r.P99)
	case r.Seconds == 0:
		return "-"
	}
	return duration(r.Seconds)
}

func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

func whole(n *int64) string {
	if n == nil {
		return "-"
	}
	return fmt.Sprint(*n)
}

func fraction(f float64, digits int) string {
	if f == 0 {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, f)
}

func megabytes(n int64) string { return fraction(float64(n)/1e6, 1) }

// percentile returns the p-th part of what was measured, 0 to 1.
func percentile(ms []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(ms))
	return s[min(len(s)-1, int(p*float64(len(s))))]
}
