// Package syncproto is the contract between a device and a cloud: the wire
// messages, their codec and limits, the error codes, and the session machines
// of both ends. SPEC.md beside this file is its letter.
//
// Everything here is pure. There is no socket, clock, disk, randomness or
// goroutine: a session machine takes an event and gives back actions, which a
// driver carries out (cmd/internal/cloud for the cloud, agent for the device),
// feeding results back as events. A machine belongs to one goroutine at a time;
// messages may be handed between goroutines, but not changed after that.
//
// Start reading at Message (message.go), then one message of the handshake
// (handshake.go), then CloudSession (cloud.go) and DeviceSession (device.go).
package syncproto
