package localstore

import (
	"encoding/binary"
	"sync"

	"modernc.org/libc"
	"modernc.org/libc/sys/types"
	sqlite3 "modernc.org/sqlite/lib"
)

// pagesKept is how many pages of databases the process keeps in memory: the
// writer's cache, and what readers have beside it.
const pagesKept = 512

// keepPages gives SQLite one piece of memory for the pages of its caches, which
// it cuts up itself (SQLITE_CONFIG_PAGECACHE in sqlite.org/c3ref/c_config_getmalloc.html).
// One by one each page and its header, 2.3 KB, would take 4: the driver's allocator
// rounds up to powers of two. It is for the whole process and before its first
// connection; where SQLite is already in use it refuses, and pages come one by
// one, as they do when this piece is used up.
var keepPages = sync.OnceFunc(func() {
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
	memory := libc.Xmalloc(tls, types.Size_t(pagesKept*slot))
	if memory != 0 &&
		sqlite3.Xsqlite3_config(tls, sqlite3.SQLITE_CONFIG_PAGECACHE, libc.VaList(args, memory, slot, int32(pagesKept))) != sqlite3.SQLITE_OK {
		libc.Xfree(tls, memory)
	}
})
