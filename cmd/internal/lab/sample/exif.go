package sample

import "encoding/binary"

// exif is the little of Exif 2.32 that a camera always writes.
type exif struct {
	bigEndian   bool
	taken, zone string // "YYYY:MM:DD hh:mm:ss" and "+hh:mm"
	orientation uint16 // 0: not written
	place       bool
	north, east int // arc seconds
}

// TIFF 6.0 field types.
const (
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
)

type tiffField struct {
	tag, kind uint16
	count     uint32
	value     []byte
}

// insert returns the JPEG with an APP1 segment after its start-of-image mark.
func (e exif) insert(jpeg []byte) []byte {
	body := append([]byte("Exif\x00\x00"), e.tiff()...)
	out := append([]byte{}, jpeg[:2]...)
	out = append(out, 0xff, 0xe1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
	out = append(out, body...)
	return append(out, jpeg[2:]...)
}

// tiff lays out the header and the three directories one after another: the
// first knows the places of the other two, whose sizes do not depend on them.
func (e exif) tiff() []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	head := []byte("II*\x00\x08\x00\x00\x00")
	if e.bigEndian {
		order, head = binary.BigEndian, []byte("MM\x00*\x00\x00\x00\x08")
	}
	short := func(tag, v uint16) tiffField { return tiffField{tag, typeShort, 1, order.AppendUint16(nil, v)} }
	long := func(tag uint16, v uint32) tiffField { return tiffField{tag, typeLong, 1, order.AppendUint32(nil, v)} }
	text := func(tag uint16, s string) tiffField {
		return tiffField{tag, typeASCII, uint32(len(s) + 1), []byte(s + "\x00")}
	}

	camera := []tiffField{text(0x9003, e.taken), text(0x9011, e.zone)} // DateTimeOriginal, OffsetTimeOriginal
	var place []tiffField
	if e.place {
		angle := func(tag uint16, seconds int) tiffField {
			seconds = max(seconds, -seconds)
			var v []byte
			for _, n := range []int{seconds / 3600, seconds / 60 % 60, seconds % 60} {
				v = order.AppendUint32(order.AppendUint32(v, uint32(n)), 1)
			}
			return tiffField{tag, typeRational, 3, v}
		}
		place = []tiffField{text(1, letter(e.north, "N", "S")), angle(2, e.north), text(3, letter(e.east, "E", "W")), angle(4, e.east)}
	}
	first := func(cameraAt, placeAt uint32) []tiffField {
		fields := []tiffField{text(0x010f, "Sample"), text(0x0110, "Handset 7")}
		if e.orientation != 0 {
			fields = append(fields, short(0x0112, e.orientation))
		}
		fields = append(fields, text(0x0132, e.taken), long(0x8769, cameraAt))
		if e.place {
			fields = append(fields, long(0x8825, placeAt))
		}
		return fields
	}
	cameraAt := uint32(8 + len(directory(order, 8, first(0, 0))))
	placeAt := cameraAt + uint32(len(directory(order, cameraAt, camera)))
	out := append(head, directory(order, 8, first(cameraAt, placeAt))...)
	out = append(out, directory(order, cameraAt, camera)...)
	if e.place {
		out = append(out, directory(order, placeAt, place)...)
	}
	return out
}

func letter(n int, positive, negative string) string {
	if n < 0 {
		return negative
	}
	return positive
}

// directory encodes one image file directory that starts at offset at, with the
// values that do not fit into it right behind.
func directory(order binary.AppendByteOrder, at uint32, fields []tiffField) []byte {
	out := order.AppendUint16(nil, uint16(len(fields)))
	var rest []byte
	restAt := at + 2 + uint32(len(fields))*12 + 4
	for _, f := range fields {
		out = order.AppendUint16(order.AppendUint16(out, f.tag), f.kind)
		out = order.AppendUint32(out, f.count)
		if len(f.value) <= 4 {
			out = append(out, append(f.value, 0, 0, 0)[:4]...)
			continue
		}
		out = order.AppendUint32(out, restAt+uint32(len(rest)))
		rest = append(rest, f.value...)
		if len(rest)%2 == 1 {
			rest = append(rest, 0)
		}
	}
	return append(order.AppendUint32(out, 0), rest...)
}
