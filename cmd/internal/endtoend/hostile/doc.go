// Package hostile tests what a device does when its cloud lies, is another
// server altogether, or comes back old: real agents and stores, a real cloud,
// and between them a websocket server that follows a script.
//
// liar_test.go is the server, device_test.go the handset, lies_test.go the
// scripts, wrong_test.go the servers that are no cloud, backup_test.go the
// cloud's files put back.
package hostile
