package carve

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// Sizes of the file format.
const (
	fileHeaderBytes  = 100 // section 1.3
	walHeaderBytes   = 32  // section 4.1
	frameHeaderBytes = 24
)

var magic = []byte("SQLite format 3\x00")

// File is a database file, with the committed part of its write-ahead log laid
// over it. It may be used from one goroutine.
type File struct {
	db       io.ReaderAt
	dbPages  uint32
	wal      io.ReaderAt
	pageSize int
	pages    uint32           // in the database by the newest commit in the log, 0 if there is none
	overlay  map[uint32]int64 // page to the place of its newest frame's content in the log
	beyond   []uint32         // pages that only the log has, ascending
	free     map[uint32]bool  // pages on the freelist: what is in them is no longer in any table
	cut      int              // pages that the head counts and that are not there
}

// Open reads the log (nil if there is none) and the freelist. pageSize is what
// the file was made with; its own header is not trusted.
func Open(db io.ReaderAt, dbBytes int64, wal io.ReaderAt, walBytes int64, pageSize int) (*File, error) {
	f := &File{db: db, dbPages: uint32((dbBytes + int64(pageSize) - 1) / int64(pageSize)), wal: wal, pageSize: pageSize,
		overlay: map[uint32]int64{}, free: map[uint32]bool{}}
	if wal != nil {
		if err := f.readLog(walBytes); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
	}
	for n := range f.overlay {
		if n > f.dbPages {
			f.beyond = append(f.beyond, n)
		}
	}
	slices.Sort(f.beyond)
	f.readFreelist()
	f.cut = f.cutPages()
	return f, nil
}

// cutPages counts the pages of which only the head knows (section 1.3.8), as of
// a file that was cut short.
func (f *File) cutPages() int {
	first, ok := f.page(1)
	if !ok || !bytes.HasPrefix(first, magic) {
		return 0
	}
	return max(0, int(binary.BigEndian.Uint32(first[28:]))-int(f.dbPages)-len(f.beyond))
}

// readLog finds the newest committed frame of each page: section 4.3, with the
// checksums of 4.2.
func (f *File) readLog(size int64) error {
	var head [walHeaderBytes]byte
	if size < walHeaderBytes {
		return nil
	}
	if err := readFull(f.wal, head[:], 0); err != nil {
		return err
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch binary.BigEndian.Uint32(head[:]) {
	case 0x377f0682:
	case 0x377f0683:
		order = binary.BigEndian
	default:
		return nil
	}
	s0, s1 := checksum(order, 0, 0, head[:24])
	if int(binary.BigEndian.Uint32(head[8:])) != f.pageSize ||
		binary.BigEndian.Uint32(head[24:]) != s0 || binary.BigEndian.Uint32(head[28:]) != s1 {
		return nil
	}
	frame := make([]byte, frameHeaderBytes+f.pageSize)
	pending := map[uint32]int64{}
	for at := int64(walHeaderBytes); at+int64(len(frame)) <= size; at += int64(len(frame)) {
		if err := readFull(f.wal, frame, at); err != nil {
			return err
		}
		if !bytes.Equal(frame[8:16], head[16:24]) { // salts: a frame of an earlier round
			return nil
		}
		s0, s1 = checksum(order, s0, s1, frame[:8])
		s0, s1 = checksum(order, s0, s1, frame[frameHeaderBytes:])
		if binary.BigEndian.Uint32(frame[16:]) != s0 || binary.BigEndian.Uint32(frame[20:]) != s1 {
			return nil
		}
		pending[binary.BigEndian.Uint32(frame)] = at + frameHeaderBytes
		if binary.BigEndian.Uint32(frame[4:]) == 0 {
			continue
		}
		f.pages = binary.BigEndian.Uint32(frame[4:])
		for page, place := range pending { // the end of a commit
			f.overlay[page] = place
		}
		clear(pending)
	}
	return nil
}

func checksum(order binary.ByteOrder, s0, s1 uint32, b []byte) (uint32, uint32) {
	for ; len(b) >= 8; b = b[8:] {
		s0 += order.Uint32(b) + s1
		s1 += order.Uint32(b[4:]) + s0
	}
	return s0, s1
}

// readFreelist follows the trunk pages (section 1.5). A file whose head is
// damaged has no freelist that could be believed.
func (f *File) readFreelist() {
	first, ok := f.page(1)
	if !ok || !bytes.HasPrefix(first, magic) {
		return
	}
	count := binary.BigEndian.Uint32(first[36:])
	for trunk := binary.BigEndian.Uint32(first[32:]); f.has(trunk) && !f.free[trunk] && uint32(len(f.free)) < count; {
		p, ok := f.page(trunk)
		if !ok {
			return
		}
		f.free[trunk] = true
		n := min(binary.BigEndian.Uint32(p[4:]), uint32(f.pageSize/4-2))
		for i := range n {
			if leaf := binary.BigEndian.Uint32(p[8+4*i:]); f.has(leaf) {
				f.free[leaf] = true
			}
		}
		trunk = binary.BigEndian.Uint32(p)
	}
}

// has reports whether there is a page n that may be free.
func (f *File) has(n uint32) bool {
	_, over := f.overlay[n]
	return n > 1 && (n <= f.dbPages || over)
}

// page reads a page; one that is not there, or not whole, is reported by ok.
func (f *File) page(n uint32) (p []byte, ok bool) {
	p = make([]byte, f.pageSize)
	src, at := f.db, int64(n-1)*int64(f.pageSize)
	if place, over := f.overlay[n]; over {
		src, at = f.wal, place
	} else if n == 0 || n > f.dbPages {
		return nil, false
	}
	// A sector that can not be read is like a page that is not there.
	got, _ := src.ReadAt(p, at)
	return p, got == len(p)
}

func readFull(r io.ReaderAt, b []byte, at int64) error {
	if n, err := r.ReadAt(b, at); n < len(b) {
		return err
	}
	return nil
}
