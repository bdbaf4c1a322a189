// Package liar is a hostile cloud: a relay between a device and a real cloud that
// lies in one of many ways. It knows no key of the account; it can use what any
// cloud has: everything it ever got.
//
// Tests and the lab put it where a device expects its cloud. Start reading at
// liar.go; lies.go lists the ways to lie. A Liar serves many connections at once.
package liar
