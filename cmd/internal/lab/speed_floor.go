package lab

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"sidekeep/cmd/internal/lab/sample"
	"sidekeep/syncproto/ws"
)

// speedFloor is what nobody can beat who keeps the same promises: the same rows
// and bytes without any sealing, merging or proof.
type speedFloor struct {
	Rows     cost `json:"rows"`             // all text records, in one durable transaction
	Text     cost `json:"text"`             // all of them through a websocket, compressed 100 a message
	Pictures cost `json:"pictures"`         // all pictures in one durable transaction
	Blobs    cost `json:"picture_messages"` // all of them through a websocket, one a message
	Commit   cost `json:"commit"`           // one row in a durable transaction of its own
	Echo     cost `json:"echo"`             // 780 bytes to the other end and back
}

// cost is what one part of the floor takes.
type cost struct {
	Seconds float64 `json:"seconds"`     // the median
	CPU     float64 `json:"cpu_seconds"` // of all processes that have a part in it; the mean
}

// of is the cost of both, so many times.
func (c cost) of(times float64, and cost) cost {
	return cost{times * (c.Seconds + and.Seconds), times * (c.CPU + and.CPU)}
}

const floorRuns = 5

// measureFloor measures the floor in a folder of its own.
func measureFloor(ctx context.Context, o speedOptions) (f speedFloor, err error) {
	b, err := newBench("sidekeep-floor")
	if err != nil {
		return f, err
	}
	defer b.Close(false)
	var text, pictures [][]byte
	err = sample.Workload(o.Records, func(r sample.File) error {
		text = append(text, r.Data)
		return nil
	})
	for i := range o.Pictures {
		pictures = append(pictures, sample.WorkloadPicture(i).Data)
	}
	if err == nil {
		f.Rows, err = insertTime(ctx, b.path("rows.db"), text, true)
	}
	if err == nil {
		f.Pictures, err = insertTime(ctx, b.path("pictures.db"), pictures, true)
	}
	if err == nil {
		f.Commit, err = insertTime(ctx, b.path("commits.db"), text[:100], false)
		f.Commit = f.Commit.of(1./100, cost{})
	}
	if err != nil {
		return f, err
	}
	conn, peer, err := b.floorPeer(ctx)
	if err != nil {
		return f, err
	}
	defer conn.CloseNow()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return f, err
	}
	defer z.Close()
	if f.Text, err = costOf(peer, func() error {
		for part := range slices.Chunk(text, 100) {
			if err := conn.Write(ctx, append([]byte{floorZipped}, z.EncodeAll(bytes.Join(part, nil), nil)...)); err != nil {
				return err
			}
		}
		return floorEcho(ctx, conn, []byte{floorAsk})
	}); err != nil {
		return f, err
	}
	if f.Blobs, err = costOf(peer, func() error {
		for _, p := range pictures {
			if err := conn.Write(ctx, append([]byte{floorPlain}, p...)); err != nil {
				return err
			}
		}
		return floorEcho(ctx, conn, []byte{floorAsk})
	}); err != nil {
		return f, err
	}
	const echoes = 200
	f.Echo, err = costOf(peer, func() error {
		for range echoes {
			if err := floorEcho(ctx, conn, append([]byte{floorAsk}, text[0][:min(779, len(text[0]))]...)); err != nil {
				return err
			}
		}
		return nil
	})
	f.Echo = f.Echo.of(1./echoes, cost{})
	return f, err
}

// costOf is what f takes of this process and of its peer, which may be nil.
func costOf(peer *process, f func() error) (cost, error) {
	cpu := func() float64 {
		total := cpuOf(os.Getpid())
		if peer != nil {
			total += meter{peer}.cpu()
		}
		return total
	}
	var seconds []float64
	var spent float64
	for range floorRuns {
		begun, before := time.Now(), cpu()
		if err := f(); err != nil {
			return cost{}, err
		}
		seconds = append(seconds, time.Since(begun).Seconds())
		spent += cpu() - before
	}
	return cost{percentile(seconds, 0.5), spent / floorRuns}, nil
}

// insertTime inserts rows into a fresh table each time, in one transaction or
// one each.
func insertTime(ctx context.Context, path string, rows [][]byte, together bool) (cost, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.ToSlash(path)+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return cost{}, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for i := range floorRuns {
		if _, err := db.ExecContext(ctx, "CREATE TABLE "+floorTable(i)+" (id TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID"); err != nil {
			return cost{}, err
		}
	}
	round := -1
	return costOf(nil, func() error {
		round++
		return insertRows(ctx, db, floorTable(round), rows, together)
	})
}

func floorTable(round int) string { return fmt.Sprint("rows", round) }

func insertRows(ctx context.Context, db *sql.DB, table string, rows [][]byte, together bool) error {
	statement := "INSERT INTO " + table + " VALUES (?, ?)"
	if !together {
		for i, r := range rows {
			if _, err := db.ExecContext(ctx, statement, fmt.Sprintf("%036d", i*7919%1000003), r); err != nil {
				return err
			}
		}
		return nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	for i, r := range rows {
		if _, err := insert.ExecContext(ctx, fmt.Sprintf("%036d", i*7919%1000003), r); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// The first byte of a message to the floor's other end.
const (
	floorPlain  = 'p' // read, and no more
	floorZipped = 'z' // unpacked
	floorAsk    = 'a' // sent back
)

// floorPeer starts the other end in a process of its own, and dials it.
func (b *bench) floorPeer(ctx context.Context) (*ws.Conn, *process, error) {
	p, err := b.start("floor", roleFloor, nil)
	if err != nil {
		return nil, nil, err
	}
	var addr string
	if err := until(ctx, "the floor's other end listens", 10*time.Second, func() (string, error) {
		out, err := os.ReadFile(p.log)
		addr = strings.TrimSpace(string(out))
		if err != nil || !strings.HasSuffix(string(out), "\n") {
			return "not yet", cmp.Or(err, p.ended())
		}
		return "", nil
	}); err != nil {
		return nil, nil, err
	}
	conn, err := ws.Dial(ctx, "ws://"+addr, ws.DialOptions{ReadLimit: 1 << 20})
	return conn, p, err
}

func floorEcho(ctx context.Context, conn *ws.Conn, ask []byte) error {
	if err := conn.Write(ctx, ask); err != nil {
		return err
	}
	_, err := conn.Read(ctx)
	return err
}

// floorMain is the floor's other end: it prints its address and serves until it
// is ended.
func floorMain(stdout, stderr io.Writer) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintln(stdout, l.Addr())
	err = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := ws.Accept(w, r, 1<<20)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		if err := floorServe(r.Context(), conn); err != nil {
			fmt.Fprintln(stderr, err)
		}
	}))
	fmt.Fprintln(stderr, err)
	return 1
}

func floorServe(ctx context.Context, conn *ws.Conn) error {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	for {
		m, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		switch m[0] {
		case floorZipped:
			_, err = z.DecodeAll(m[1:], nil)
		case floorAsk:
			err = conn.Write(ctx, m)
		}
		if err != nil {
			return err
		}
	}
}
