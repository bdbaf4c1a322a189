// Package pagecache gives SQLite memory for its page caches.
package pagecache
