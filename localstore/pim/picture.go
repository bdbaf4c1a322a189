package pim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bep/imagemeta"
	"golang.org/x/image/webp"

	"sidekeep/localstore/record"
)

// pictureInfo is what the header of a picture says. Pixels are never decoded.
type pictureInfo struct {
	width, height int
	orientation   int    // EXIF, 1 to 8; 0 when not said
	taken         string // 20060102T150405, with a Z where the zone is known
	lat, lon      float64
	placed        bool
}

// picture imports a picture: its bytes as a blob, untouched, and what its
// header says about it.
func (im *importer) picture(f format, r io.ReadSeeker, src BlobSource) error {
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, PictureBytesMax+1))
	if err != nil {
		return err
	}
	src.Size = n
	info, reason := readPicture(f, r)
	if reason != "" {
		im.problem(0, reason, Repaired)
	}
	b := newBuilder(record.Pictures)
	b.line("", []byte("SUMMARY:"+escapeText(baseName(im.name))))
	for _, l := range info.lines() {
		b.line("", []byte(l))
	}
	file := escapeParam(cutRunes(toUTF8([]byte(filepath.Base(im.name)), ""), 200))
	b.line("", []byte(fmt.Sprintf("ATTACH;FMTTYPE=%s;ENCODING=BASE64;VALUE=BINARY;SIZE=%d;FILENAME=%s:", f.mediaType(), n, file)))
	b.blobs["ATTACH"] = src
	o, err := b.object()
	if err != nil {
		im.problem(0, err.Error(), Refused)
		return nil
	}
	o.UID, o.ByContent, o.Line = "picture-"+hex.EncodeToString(h.Sum(nil)[:16]), true, 1
	im.report.Objects++
	return im.emit(o)
}

func (p *pictureInfo) lines() []string {
	var lines []string
	if p.taken != "" {
		lines = append(lines, "DTSTART:"+p.taken)
	}
	if p.placed {
		lines = append(lines, "GEO:"+strconv.FormatFloat(p.lat, 'f', 6, 64)+";"+strconv.FormatFloat(p.lon, 'f', 6, 64))
	}
	if p.width > 0 {
		lines = append(lines, "X-WIDTH:"+strconv.Itoa(p.width), "X-HEIGHT:"+strconv.Itoa(p.height))
	}
	if p.orientation > 0 {
		lines = append(lines, "X-ORIENTATION:"+strconv.Itoa(p.orientation))
	}
	return lines
}

// readPicture reads the header of a picture. It is total: what can not be read
// is left out, and reason says so.
func readPicture(f format, r io.ReadSeeker) (info pictureInfo, reason string) {
	defer func() {
		// The header decoders are other people's; a hostile picture must not
		// stop the import of the rest.
		if recover() != nil {
			reason = "the picture's header can not be read; its bytes are kept"
		}
	}()
	if f != formatHEIC {
		cfg, err := decodeConfig(f, &boundedReader{r: r})
		if err != nil {
			return info, "the picture's header can not be read; its bytes are kept"
		}
		info.width, info.height = cfg.Width, cfg.Height
	}
	if err := info.metadata(f, &boundedReader{r: r}); err != nil {
		reason = "the picture's metadata can not be read; its bytes are kept"
	}
	if info.width <= 0 || info.height <= 0 || info.height > PixelsMax/info.width {
		info.width, info.height = 0, 0
		if reason == "" {
			reason = "the picture claims an impossible size; its bytes are kept"
		}
	}
	return info, reason
}

func decodeConfig(f format, r *boundedReader) (image.Config, error) {
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return image.Config{}, err
	}
	switch f {
	case formatPNG:
		return png.DecodeConfig(r)
	case formatGIF:
		return gif.DecodeConfig(r)
	case formatWebP:
		return webp.DecodeConfig(r)
	}
	return jpeg.DecodeConfig(r)
}

// metadata reads EXIF (and the size of a HEIC) into p.
func (p *pictureInfo) metadata(f format, r *boundedReader) error {
	formats := map[format]imagemeta.ImageFormat{
		formatJPEG: imagemeta.JPEG, formatPNG: imagemeta.PNG, formatWebP: imagemeta.WebP, formatHEIC: imagemeta.HEIF,
	}
	as, ok := formats[f]
	if !ok {
		return nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	sources := imagemeta.EXIF
	if f == formatHEIC {
		sources |= imagemeta.CONFIG
	}
	tags := map[string]any{}
	res, err := imagemeta.Decode(imagemeta.Options{
		R: r, ImageFormat: as, Sources: sources, LimitNumTags: metadataTagsMax,
		ShouldHandleTag: func(t imagemeta.TagInfo) bool {
			return strings.HasPrefix(t.Namespace, "IFD0") && wantedTags[t.Tag]
		},
		HandleTag: func(t imagemeta.TagInfo) error {
			if _, twice := tags[t.Tag]; !twice {
				tags[t.Tag] = t.Value
			}
			return nil
		},
	})
	if f == formatHEIC {
		p.width, p.height = res.ImageConfig.Width, res.ImageConfig.Height
	}
	p.fromTags(tags)
	return err
}

var wantedTags = nameSet(`Orientation DateTimeOriginal DateTimeDigitized CreateDate DateTime ModifyDate OffsetTimeOriginal OffsetTime
	GPSLatitude GPSLatitudeRef GPSLongitude GPSLongitudeRef`)

func (p *pictureInfo) fromTags(tags map[string]any) {
	if o, err := strconv.Atoi(fmt.Sprint(tags["Orientation"])); err == nil && o >= 1 && o <= 8 {
		p.orientation = o
	}
	for _, name := range []string{"DateTimeOriginal", "DateTimeDigitized", "CreateDate", "DateTime", "ModifyDate"} {
		if s, ok := tags[name].(string); ok && p.taken == "" {
			offset, _ := tags["OffsetTimeOriginal"].(string)
			if offset == "" {
				offset, _ = tags["OffsetTime"].(string)
			}
			p.taken = exifTime(s, offset)
		}
	}
	lat, ok1 := tags["GPSLatitude"].(float64)
	lon, ok2 := tags["GPSLongitude"].(float64)
	if !ok1 || !ok2 || math.IsNaN(lat) || math.IsNaN(lon) || math.Abs(lat) > 90 || math.Abs(lon) > 180 || lat == 0 && lon == 0 {
		return
	}
	p.lat, p.lon, p.placed = lat, lon, true
	if s, _ := tags["GPSLatitudeRef"].(string); strings.HasPrefix(s, "S") {
		p.lat = -lat
	}
	if s, _ := tags["GPSLongitudeRef"].(string); strings.HasPrefix(s, "W") {
		p.lon = -lon
	}
}

// exifTime converts an EXIF date (2006:01:02 15:04:05), which is wall time
// unless the offset is known, to iCalendar's form. It is "" for the zeros and
// blanks of cameras without a clock.
func exifTime(s, offset string) string {
	s = strings.TrimRight(s, "\x00 ")
	if t, err := time.Parse("2006:01:02 15:04:05-07:00", s+strings.TrimRight(offset, "\x00 ")); err == nil && t.Year() > 1 {
		return t.UTC().Format("20060102T150405Z")
	}
	if t, err := time.Parse("2006:01:02 15:04:05", s); err == nil && t.Year() > 1 {
		return t.Format("20060102T150405")
	}
	return ""
}

// boundedReader ends a reading of headers that goes on for too long: hostile
// offsets can lead a decoder round in circles.
type boundedReader struct {
	r            io.ReadSeeker
	bytes, seeks int
}

const (
	headerBytesMax = 8 << 20
	headerSeeksMax = 1 << 12
)

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.bytes >= headerBytesMax {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(len(p), headerBytesMax-b.bytes)])
	b.bytes += n
	return n, err
}

func (b *boundedReader) Seek(offset int64, whence int) (int64, error) {
	if b.seeks++; b.seeks > headerSeeksMax {
		return 0, io.ErrUnexpectedEOF
	}
	return b.r.Seek(offset, whence)
}
