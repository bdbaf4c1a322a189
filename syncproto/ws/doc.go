// Package ws adapts the websocket library to what sidekeep needs: Dial for a
// device, Accept for a cloud, and a Conn that carries whole binary messages. It
// is the only importer of the library.
//
// A Conn may be read by one goroutine and written by another at the same time.
// Reading must go on for pings to be answered and pongs to be seen.
package ws
