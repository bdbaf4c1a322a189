package seal

import "sidekeep/localstore/record"

// compress returns the payload of an encoded version and the dictionary it was
// made with.
func compress(kind record.Kind, encoded []byte) (payload []byte, dictionary uint64) {
	return encoded, 0
}

// decompress reverses compress, within EncodedBytesMax.
func decompress(dictionary uint64, payload []byte) ([]byte, bool) {
	return payload, dictionary == 0
}
