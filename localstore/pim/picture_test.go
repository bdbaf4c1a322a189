package pim_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color/palette"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strconv"
	"strings"
	"testing"

	"sidekeep/localstore/pim"
	"sidekeep/localstore/record"
)

// ifdEntry is a tag of a TIFF directory.
type ifdEntry struct {
	tag, typ uint16
	count    uint32
	value    []byte
}

// ifd writes a TIFF directory (TIFF 6.0 section 2) that begins at offset at.
// Values longer than four bytes follow it.
func ifd(at int, entries []ifdEntry) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(len(entries)))
	extra := []byte{}
	data := at + 2 + 12*len(entries) + 4
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.typ)
		b = binary.LittleEndian.AppendUint32(b, e.count)
		if len(e.value) <= 4 {
			b = append(b, append(e.value, 0, 0, 0, 0)[:4]...)
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(data+len(extra)))
			extra = append(extra, e.value...)
		}
	}
	return append(append(b, 0, 0, 0, 0), extra...)
}

func le32(n ...uint32) (b []byte) {
	for _, v := range n {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// exif makes the metadata of a picture taken on its side, at 57.5 south, 10.26 east.
func exif() []byte {
	exifAt, gpsAt := 200, 400
	out := make([]byte, 600)
	copy(out, "II*\x00\x08\x00\x00\x00")
	copy(out[8:], ifd(8, []ifdEntry{
		{0x0112, 3, 1, []byte{6, 0}},
		{0x8769, 4, 1, le32(uint32(exifAt))},
		{0x8825, 4, 1, le32(uint32(gpsAt))},
	}))
	copy(out[exifAt:], ifd(exifAt, []ifdEntry{
		{0x9003, 2, 20, []byte("2026:07:01 18:30:15\x00")},
		{0x9011, 2, 7, []byte("+02:00\x00")},
	}))
	copy(out[gpsAt:], ifd(gpsAt, []ifdEntry{
		{1, 2, 2, []byte("S\x00")},
		{2, 5, 3, le32(57, 1, 30, 1, 0, 1)},
		{3, 2, 2, []byte("E\x00")},
		{4, 5, 3, le32(10, 1, 15, 1, 36, 1)},
	}))
	return out
}

func box(name string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), name...), body...)
}

// heic makes the boxes of a HEIC picture without pixels (ISO/IEC 14496-12, 23008-12).
func heic(w, h uint32, tiff []byte) []byte {
	be := func(n ...uint32) (b []byte) {
		for _, v := range n {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	ftyp := box("ftyp", []byte("heic"), be(0), []byte("mif1heic"))
	ispe := box("ispe", be(0, w, h))
	ipma := box("ipma", be(0, 1), []byte{0, 1, 1, 1}) // item 1 has property 1
	infe := box("infe", []byte{2, 0, 0, 0, 0, 2, 0, 0}, []byte("Exif\x00"))
	iinf := box("iinf", be(0), []byte{0, 1}, infe)
	meta := func(at uint32) []byte {
		item := append(be(4), append([]byte("\x00\x00\x00\x00"), tiff...)...)[4:]
		iloc := box("iloc", be(0), []byte{0x44, 0x00, 0, 1, 0, 2, 0, 0, 0, 1}, be(at, uint32(len(item))))
		return box("meta", be(0), box("hdlr", be(0, 0), []byte("pict"), be(0, 0, 0), []byte{0}), box("pitm", be(0), []byte{0, 1}), iinf, iloc,
			box("iprp", box("ipco", ispe), ipma))
	}
	m := meta(0)
	m = meta(uint32(len(ftyp) + len(m) + 8))
	return append(append(ftyp, m...), box("mdat", []byte("\x00\x00\x00\x00"), tiff)...)
}

func TestPictures(t *testing.T) {
	img := image.NewPaletted(image.Rect(0, 0, 31, 17), palette.Plan9)
	var j, p, g bytes.Buffer
	if jpeg.Encode(&j, img, nil) != nil || png.Encode(&p, img) != nil || gif.Encode(&g, img, nil) != nil {
		t.Fatal("encode")
	}
	app1 := append([]byte("Exif\x00\x00"), exif()...)
	withEXIF := append([]byte{0xff, 0xd8, 0xff, 0xe1, byte((len(app1) + 2) >> 8), byte(len(app1) + 2)}, app1...)
	withEXIF = append(withEXIF, j.Bytes()[2:]...)
	webp := append([]byte("RIFF\x1a\x00\x00\x00WEBPVP8L\x0d\x00\x00\x00\x2f"), 30, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0) // 31 by 17
	taken := "DTSTART:20260701T163015Z GEO:-57.500000;10.260000"
	for _, c := range []struct {
		name string
		data []byte
		want string
		ext  string
	}{
		{"plain.jpg", j.Bytes(), "X-WIDTH:31 X-HEIGHT:17", ".jpg"},
		{"exif.jpeg", withEXIF, taken + " X-WIDTH:31 X-HEIGHT:17 X-ORIENTATION:6", ".jpg"},
		{"named.txt", p.Bytes(), "X-WIDTH:31 X-HEIGHT:17", ".png"},
		{"a.gif", g.Bytes(), "X-WIDTH:31 X-HEIGHT:17", ".gif"},
		{"a.webp", webp, "X-WIDTH:31 X-HEIGHT:17", ".webp"},
		{"a.heic", heic(40, 30, exif()), taken + " X-WIDTH:40 X-HEIGHT:30 X-ORIENTATION:6", ".heic"},
	} {
		bs := blobStore{}
		var objs []pim.Object
		report, err := pim.Import("Holiday \"a;b,c\"/"+c.name, bytes.NewReader(c.data), func(o pim.Object) error {
			bs.fill(t, &o)
			objs = append(objs, o)
			return nil
		})
		if err != nil || len(objs) != 1 || len(report.Problems) > 0 {
			t.Errorf("%s: %v, %+v", c.name, err, report)
			continue
		}
		o := objs[0]
		var got []string
		for _, f := range o.Fields[1 : len(o.Fields)-1] {
			got = append(got, string(f.Line))
		}
		if s := strings.Join(got, " "); s != c.want || o.Kind != record.Pictures || !o.ByContent {
			t.Errorf("%s: got %q, want %q", c.name, s, c.want)
		}
		var out bytes.Buffer
		item := pim.Item{Fields: o.Fields}
		if err := pim.ExportFile(&out, o.Kind, item, pim.ExportOptions{OpenBlob: bs.open}); err != nil || !bytes.Equal(out.Bytes(), c.data) {
			t.Errorf("%s: the bytes changed: %v", c.name, err)
		}
		if name := pim.FileName(o.Kind, item); !strings.HasSuffix(name, c.ext) {
			t.Errorf("%s: exported as %s", c.name, name)
		}
		if again, _ := importBytes(t, bs, "other name", c.data); again[0].UID != o.UID {
			t.Errorf("%s: another identity under another name", c.name)
		}
		if s := string(exportAll(t, bs, o.Kind, objs)); !strings.Contains(s, "BEGIN:VJOURNAL") {
			t.Errorf("%s: as a calendar entry: %s", c.name, s)
		}
	}
}

// claims is a file that says it is larger than it is.
type claims struct {
	*strings.Reader
	size int64
}

func (c claims) Seek(o int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		return c.size, nil
	}
	return c.Reader.Seek(o, whence)
}

func TestFileLimits(t *testing.T) {
	none := func(pim.Object) error { return nil }
	for _, over := range []int64{-1, 0, 1} {
		if _, err := pim.Import("x.jpg", claims{strings.NewReader("\xff\xd8\xff"), pim.PictureBytesMax + over}, none); errors.Is(err, pim.ErrTooLarge) != (over > 0) {
			t.Errorf("picture %+d: %v", over, err)
		}
		if _, err := pim.Import("x.vcf", claims{strings.NewReader("BEGIN:VCARD\nEND:VCARD\n"), pim.TextFileBytesMax + over}, none); errors.Is(err, pim.ErrTooLarge) != (over > 0) {
			t.Errorf("card %+d: %v", over, err)
		}
		n := pim.ProblemsMax + int(over)
		if _, report := importText(t, "x.vcf", strings.Repeat("END:X\n", n)); report.Refused != n || len(report.Problems) != min(n, pim.ProblemsMax) {
			t.Errorf("problems %+d: %d refused, %d listed", over, report.Refused, len(report.Problems))
		}
	}
}

func TestPictureBounds(t *testing.T) {
	const wide = strconv.IntSize == 64 // image/png reads a quarter of the limit where an int has 32 bits
	huge := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x00\x00\x00\x00\x80\x00\x08\x06\x00\x00\x00"), 0, 0, 0, 0)
	for _, c := range []struct {
		height byte
		sized  bool
	}{{0x40, wide}, {0x3f, wide}, {0x41, false}, {0x10, wide}, {0x0f, true}} { // 65536 by 16384 is the limit
		huge[22] = c.height
		binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
		var got pim.Object
		report, err := pim.Import("x.png", bytes.NewReader(huge), func(o pim.Object) error { got = o; return nil })
		sized := strings.Contains(strings.Join(keysOf(got.Fields), " "), "X-WIDTH")
		if err != nil || sized != c.sized || (report.Repaired > 0) == c.sized {
			t.Errorf("height %x00: sized %v, %+v, %v", c.height, sized, report, err)
		}
	}
}
