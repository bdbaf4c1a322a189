package carve

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// lockBytePlace is where SQLite takes its locks: the page there (section 1.6)
// is never written.
const lockBytePlace = 1 << 30

// Cut says what is missing of the database file at path, or "" when all its
// pages are there, in the file or in the committed part of its log. SQLite does
// not look: beside a log it takes a file that was cut off for a whole one, and
// fills the hole with zeros at the next checkpoint. A program that was stopped
// at any moment, in a checkpoint too, never leaves such a file, because the log
// is kept until the file is safe. Other processes may write meanwhile; this one
// must not have the database open, because closing a file drops SQLite's locks.
func Cut(path string) (missing string, err error) {
	for range 2 { // a file may also have become shorter between two looks at it
		if missing, err = cut(path); missing == "" || err != nil {
			return "", err
		}
	}
	return missing, nil
}

// cut looks at the file's header, then at the log, then at the file's length. A
// checkpoint that runs meanwhile either leaves its pages in the log or ended,
// and then they are all in the file.
func cut(path string) (missing string, err error) {
	db, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer db.Close()
	log := &File{overlay: map[uint32]int64{}}
	head := make([]byte, fileHeaderBytes)
	n, _ := db.ReadAt(head, 0)
	head = head[:n]
	sound := n == fileHeaderBytes && bytes.HasPrefix(head, magic) && head[18] == 2 // section 1.3.2: it has a log
	if sound {
		if log.pageSize = int(binary.BigEndian.Uint16(head[16:])); log.pageSize == 1 {
			log.pageSize = 65536
		}
	} else if n > 16 {
		return "", nil // no database, or one that is just being made: SQLite says it
	}
	wal, err := os.Open(path + "-wal")
	if err == nil {
		defer wal.Close()
		err = log.readAll(wal)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the log: %w", err)
	}
	if log.pageSize < 512 || log.pageSize&(log.pageSize-1) != 0 {
		return "", nil
	}
	pages := log.pages
	if pages == 0 && sound && bytes.Equal(head[24:28], head[92:96]) { // section 1.3.7: otherwise the number is not to be believed
		pages = binary.BigEndian.Uint32(head[28:])
	}
	info, err := db.Stat()
	if err != nil {
		return "", err
	}
	whole := info.Size() / int64(log.pageSize)
	if whole == 0 && pages > 0 {
		return "the file was cut off: nothing of it is left", nil // SQLite would throw the log away
	}
	lost := 0
	for n := whole + 1; n <= int64(pages); n++ {
		if _, ok := log.overlay[uint32(n)]; !ok && n != lockBytePlace/int64(log.pageSize)+1 {
			lost++
		}
	}
	if lost == 0 {
		return "", nil
	}
	return fmt.Sprintf("the file was cut off: %d of its %d pages are missing", lost, pages), nil
}

// readAll reads the log; without a page size it takes that of the log.
func (f *File) readAll(wal *os.File) error {
	info, err := wal.Stat()
	if err != nil {
		return err
	}
	var head [walHeaderBytes]byte
	if n, _ := wal.ReadAt(head[:], 0); n == len(head) && f.pageSize == 0 {
		f.pageSize = int(binary.BigEndian.Uint32(head[8:]))
	}
	if f.pageSize < 512 || f.pageSize > 65536 {
		return nil
	}
	f.wal = wal
	return f.readLog(info.Size())
}
