// Package cloud is the server: it accepts websockets, drives one pure
// syncproto.CloudSession for each, carries its actions out against a
// cloudstore.Store, and tells the sessions of an account of each other's commits.
//
//   - server.go   Config, Server: listening, draining, health
//   - session.go  one connection: reader, machine and actions in one loop
//   - perform.go  what the machine asks of the store
//   - hub.go      who is connected for which account
//   - admit.go    which accounts are let in
//   - limits.go   what clients can make the server hold: Limits
//   - front.go    the listener: connections before authentication
//   - address.go  connections of one address
//   - fair.go     memory and commits, shared fairly between accounts
//   - reseed.go   who may write in bulk, and when the others come back
//   - metrics.go  counters for Prometheus
//
// It never sees plaintext, and neither its log nor its metrics hold the id of
// an account, device, record, version or chunk.
//
// LOAD.md has what it does under load, measured.
//
// Each connection has two goroutines, a reader and the session's loop, and a
// bounded inbox between them: a device that sends faster than the cloud stores
// is held back by TCP. A session that reads slower than others write holds no
// queue either: it only notes which kinds moved, and reads the log when its
// connection can take more.
package cloud
