// Package endtoend holds the tests that join real parts: agents with real
// stores, and a real cloud in the same process, over real sockets. A proxy
// between them reads the messages' types and cuts connections. There is no
// code here but tests.
//
// Start reading at device_test.go (a device of a test) and proxy_test.go.
package endtoend
