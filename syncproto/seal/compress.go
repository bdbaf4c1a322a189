package seal

import (
	_ "embed"
	"sync"

	"github.com/klauspost/compress/zstd"

	"sidekeep/localstore/record"
)

// The dictionaries, one a kind, made by dictgen from invented records. One
// trained on an account's own data would leak it through sizes. Numbers are
// forever: a better dictionary gets a new one, and the old one stays to open
// what was sealed with it.
var (
	//go:embed dict/contacts.dict
	contactsDict []byte
	//go:embed dict/events.dict
	eventsDict []byte
	//go:embed dict/notes.dict
	notesDict []byte
	//go:embed dict/tasks.dict
	tasksDict []byte
	//go:embed dict/pictures.dict
	picturesDict []byte
)

// Dictionary numbers, as in the header and inside the zstd frame.
const (
	dictNone     = 0 // the payload is the encoding itself
	dictContacts = 1
	dictEvents   = 2
	dictNotes    = 3 // also of kinds that the code does not know
	dictTasks    = 4
	dictPictures = 5
)

// dictionaries holds them by number.
var dictionaries = [...][]byte{
	dictContacts: contactsDict, dictEvents: eventsDict, dictNotes: notesDict, dictTasks: tasksDict, dictPictures: picturesDict,
}

func dictionaryOf(kind record.Kind) uint64 {
	switch kind {
	case record.Contacts:
		return dictContacts
	case record.Events:
		return dictEvents
	case record.Tasks:
		return dictTasks
	case record.Pictures:
		return dictPictures
	}
	return dictNotes
}

// idleEncoders holds the encoders that worked last. An encoder takes 0.8 to 1 MB,
// so at most encodersMax work at a time: a sync goes kind by kind, and garbage
// collection takes idle ones away.
var (
	encoding     = make(chan struct{}, encodersMax)
	idleEncoders sync.Pool // of *encoder
)

const encodersMax = 2

// encoder is a zstd encoder bound to one dictionary. Its window is what it can
// compress with the whole dictionary in reach, and most of its memory.
type encoder struct {
	dictionary uint64
	window     int // bytes
	*zstd.Encoder
}

// Windows, in bytes. A dictionary takes up to half of the usual one.
const (
	windowUsual = 64 << 10
	windowMax   = 256 << 10 // of the largest version; a frame may name it
)

// windowOf is the window for an encoding of so many bytes.
func windowOf(encoded int) int {
	if encoded <= windowUsual/2 {
		return windowUsual
	}
	return windowMax
}

// decoders holds the idle decoders of each dictionary. One that knew all of them
// would take five times the memory.
var decoders [len(dictionaries)]sync.Pool // of *zstd.Decoder

// frameWindowMax bounds what a decoder allocates for a frame's window.
const frameWindowMax = 1 << 20

// frameMagic begins every zstd frame; it is left out of a payload.
const frameMagic = "\x28\xb5\x2f\xfd"

// compress returns the payload of an encoded version and the dictionary it was
// made with: one zstd frame (RFC 8878) without its magic number, that names its
// dictionary and its content size and has no checksum; or the encoding itself
// where that is not longer.
func compress(kind record.Kind, encoded []byte) (payload []byte, dictionary uint64) {
	dictionary = dictionaryOf(kind)
	encoding <- struct{}{}
	defer func() { <-encoding }()
	enc, _ := idleEncoders.Get().(*encoder)
	if window := windowOf(len(encoded)); enc == nil || enc.dictionary != dictionary || enc.window != window {
		enc = newEncoder(dictionary, window)
	}
	payload = enc.EncodeAll(encoded, make([]byte, 0, len(encoded)/2+64))[len(frameMagic):]
	idleEncoders.Put(enc)
	if len(payload) >= len(encoded) {
		return encoded, dictNone
	}
	return payload, dictionary
}

func newEncoder(dictionary uint64, window int) *encoder {
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderDict(dictionaries[dictionary]),
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1),
		zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(window),
		zstd.WithEncoderCRC(false), // the seal is the checksum
		zstd.WithSingleSegment(true))
	if err != nil {
		panic("seal: zstd encoder: " + err.Error()) // only for bad options or a damaged program
	}
	return &encoder{dictionary, window, enc}
}

// decompress reverses compress. It takes one frame with the dictionary that the
// header names, gives at most EncodedBytesMax bytes, and uses memory within a
// small multiple of that whatever the payload is.
func decompress(dictionary uint64, payload []byte) ([]byte, bool) {
	if dictionary == dictNone {
		return payload, true
	}
	if dictionary >= uint64(len(dictionaries)) {
		return nil, false
	}
	frame := append([]byte(frameMagic), payload...)
	size, ok := frameSize(dictionary, frame)
	if !ok {
		return nil, false
	}
	idle := &decoders[dictionary]
	dec, _ := idle.Get().(*zstd.Decoder)
	if dec == nil {
		dec = newDecoder(dictionary)
	}
	defer idle.Put(dec)
	encoded, err := dec.DecodeAll(frame, make([]byte, 0, size))
	return encoded, err == nil && len(encoded) == size
}

// frameSize checks that b is exactly one frame with the given dictionary and
// returns its content size.
func frameSize(dictionary uint64, b []byte) (int, bool) {
	var h zstd.Header
	if err := h.Decode(b); err != nil || h.Skippable || !h.HasFCS || h.HasCheckSum ||
		uint64(h.DictionaryID) != dictionary || h.FrameContentSize > record.EncodedBytesMax || h.WindowSize > frameWindowMax {
		return 0, false
	}
	// RFC 8878 section 3.1.1.2: three bytes a block: last, type, size.
	for b = b[h.HeaderSize:]; len(b) >= 3; {
		head := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		size := head >> 3
		if head>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if b = b[3:]; size > len(b) {
			return 0, false
		}
		b = b[size:]
		if head&1 == 1 {
			return int(h.FrameContentSize), len(b) == 0
		}
	}
	return 0, false
}

func newDecoder(dictionary uint64) *zstd.Decoder {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(record.EncodedBytesMax),
		zstd.WithDecoderMaxWindow(frameWindowMax),
		zstd.WithDecodeAllCapLimit(true), // never more than the size that the frame declared
		zstd.WithDecoderDicts(dictionaries[dictionary]))
	if err != nil {
		panic("seal: zstd decoder: " + err.Error())
	}
	return dec
}
