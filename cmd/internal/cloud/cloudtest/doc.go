// Package cloudtest starts a real cloud inside a test: its own SQLite store in a
// temporary folder, a free loopback port, real websockets. Tests anywhere below
// cmd may use it.
package cloudtest
