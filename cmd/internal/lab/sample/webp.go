package sample

import (
	"encoding/binary"
	"image"
)

// webpLossless encodes m as VP8L (WebP Lossless Bitstream Specification) in the
// plainest way: no transform, no reference, eight bits a channel.
func webpLossless(m *image.NRGBA) []byte {
	var w bitWriter
	width, height := m.Rect.Dx(), m.Rect.Dy()
	w.write(0x2f, 8)
	w.write(uint32(width-1), 14)
	w.write(uint32(height-1), 14)
	w.write(0, 1) // no alpha
	w.write(0, 3) // version
	w.write(0, 3) // no transform, no colour cache, no meta prefix codes
	flatCode(&w, 256+24)
	flatCode(&w, 256)
	flatCode(&w, 256)
	singleCode(&w, 255) // alpha
	singleCode(&w, 0)   // distance
	for y := range height {
		for x := range width {
			c := m.NRGBAAt(x, y)
			for _, v := range []byte{c.G, c.R, c.B} {
				w.write(reversed(v), 8)
			}
		}
	}
	data := w.bytes()
	if len(data)%2 == 1 {
		data = append(data, 0)
	}
	out := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(len(data)+12))...)
	out = append(out, "WEBPVP8L"...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(w.bytes())))
	return append(out, data...)
}

// flatCode writes a prefix code that gives the first 256 of n symbols 8 bits
// each and the others none. Its lengths are coded with the two symbols 0 and 8.
func flatCode(w *bitWriter, n int) {
	w.write(0, 1)    // not a simple code
	w.write(12-4, 4) // twelve lengths follow, in the order 17 18 0 1 2 3 4 5 16 6 7 8
	for i := range 12 {
		length := uint32(0)
		if i == 2 || i == 11 {
			length = 1
		}
		w.write(length, 3)
	}
	w.write(0, 1) // all n symbols
	for i := range n {
		if i < 256 {
			w.write(1, 1) // symbol 8
		} else {
			w.write(0, 1) // symbol 0
		}
	}
}

// singleCode writes a prefix code with one symbol, which then takes no bits.
func singleCode(w *bitWriter, symbol uint32) {
	w.write(1, 1)
	w.write(0, 1)
	w.write(1, 1)
	w.write(symbol, 8)
}

// reversed turns the bits around: prefix codes are written from their top bit.
func reversed(v byte) uint32 {
	var r uint32
	for i := range 8 {
		r |= uint32(v>>i&1) << (7 - i)
	}
	return r
}

// bitWriter packs values from the lowest bit up.
type bitWriter struct {
	out  []byte
	have uint64
	n    uint
}

func (w *bitWriter) write(v uint32, bits uint) {
	w.have |= uint64(v) << w.n
	for w.n += bits; w.n >= 8; w.n -= 8 {
		w.out = append(w.out, byte(w.have))
		w.have >>= 8
	}
}

// bytes returns what was written, the last byte filled with zeros.
func (w *bitWriter) bytes() []byte {
	if w.n == 0 {
		return w.out
	}
	return append(w.out[:len(w.out):len(w.out)], byte(w.have))
}
