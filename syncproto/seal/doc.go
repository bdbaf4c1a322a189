// Package seal owns the keys of an account and everything that is made with
// them: ids, sealed versions and chunks, statements about devices and what they come
// to, and what a device signs to authenticate. It is pure but for the source
// of randomness that NewSecret and NewIdentity are given.
//
// It does not own transport, storage of keys, or what a version means. A *Keys
// may be used from any goroutine. The formats are specified in
// syncproto/SPEC.md, sections "Keys" and "Sealing".
//
// Start reading at secret.go (words and root), keys.go (derivation and ids),
// header.go and version.go (sealing), trust.go (who is trusted).
package seal
