// Package hostile tests what a device does when its cloud lies, is another
// server altogether, or comes back old: real agents and stores, a real cloud,
// and between them a websocket server that follows a script. There is no code
// here but tests.
//
// Package liar is the server and its scripts, harm_test.go what must hold with
// each of them;
// wrong_test.go the servers that are no cloud, and old_test.go the cloud's files
// put back.
package hostile
