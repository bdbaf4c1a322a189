package pagecache

import (
	"encoding/binary"
	"sync"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

var once sync.Once

// Keep gives SQLite one piece of memory for so many pages of so many bytes, which
// it cuts up itself for all caches of the process (SQLITE_CONFIG_PAGECACHE in
// sqlite.org/c3ref/c_config_getmalloc.html). One by one each page and its header,
// some 300 bytes, would take nearly twice as much: the driver's allocator rounds
// up to powers of two. Only the first call counts, before the process's first
// connection: where SQLite is in use already it refuses, and pages come one by
// one, as larger ones always do.
//
// It should have room for all caches when they are full, and ten pages more. With
// fewer left SQLite takes memory to be short: caches give up pages for each other,
// and a writer writes what it has changed to the log before it commits, and again.
func Keep(pages, pageBytes int) {
	once.Do(func() { keep(int32(pages), int32(pageBytes)) })
}

func keep(pages, pageBytes int32) {
	tls := libc.NewTLS()
	defer tls.Close()
	args := libc.Xmalloc(tls, 4*8) // three arguments, and one value that comes back
	if args == 0 {
		return
	}
	defer libc.Xfree(tls, args)
	answer := args + 3*8 // int32: bytes that SQLite adds to each page
	if sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PCACHE_HDRSZ, libc.VaList(args, answer)) != sqlite3.SQLITE_OK {
		return
	}
	slot := pageBytes + int32(binary.NativeEndian.Uint32(libc.GoBytes(answer, 4)))
	memory := libc.Xmalloc(tls, types.Size_t(pages)*types.Size_t(slot))
	if memory != 0 &&
		sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, libc.VaList(args, memory, slot, pages)) != sqlite3.SQLITE_OK {
		libc.Xfree(tls, memory)
	}
}
