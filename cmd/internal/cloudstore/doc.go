// Package cloudstore says what a cloud needs of its storage: the Store and
// Chunks interfaces, the rule that keeps the antichain of versions (Judge), and
// the shapes of the operator's report.
//
// Implementations: sqlitestore (one machine). storetest is the suite that every
// implementation passes. Everything here speaks of one account at a time: the
// account leads every key, no operation touches two accounts, and nothing of
// one is seen through another.
//
// A method that writes returns only when what it wrote is durable. Methods may
// be called from any goroutine. Errors wrap a *syncproto.Error whose code can
// be sent to a device; others mean CodeStorage.
package cloudstore
