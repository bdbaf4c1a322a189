package rangeset

import "errors"

// Answer is the cloud's end of reconcile. For each Fingerprint range of m it
// says Skip if set is equal there, and otherwise gives the List of its items or
// the Fingerprints of smaller ranges. An answer may end before m does; the
// device then asks again from there. The error wraps ErrMessage if m is bad.
func Answer(set Set, m Message) (Message, error) { return Message{}, errors.ErrUnsupported }
