// Package rangeset finds which versions two sides do not share, without
// sending the whole set. It is pure: a Set is read through an interface, and
// the driver carries the messages.
//
// A set holds items (record id, version id), sorted by record id, then version
// id. Its Digest is their count and the sum of the version ids. The device
// drives: Reconciler.Next gives a message of ranges with their digests, the
// cloud's Answer says for each that it is equal, or gives digests of smaller
// ranges, or the list of its items, and Reconciler.Handle turns lists into
// differences and asks again about what still differs. Range-based set
// reconciliation was described by A. Meyer (arXiv 2212.13567); sums as
// fingerprints are safe here because version ids are keyed hashes, so that
// nobody without the account's key can aim at a sum.
//
// Start reading at set.go, then answer.go (the cloud) and reconcile.go (the device).
package rangeset
