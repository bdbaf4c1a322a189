package pim

import (
	"bytes"
	"path/filepath"
	"strings"
)

// format is what a file is.
type format int

const (
	formatUnknown    format = iota
	formatComponents        // vCards and calendars
	formatText
	formatJPEG
	formatPNG
	formatGIF
	formatWebP
	formatHEIC
)

func (f format) isPicture() bool { return f >= formatJPEG }

// mediaType is the MIME type of a picture format.
func (f format) mediaType() string {
	return [...]string{formatJPEG: "image/jpeg", formatPNG: "image/png", formatGIF: "image/gif", formatWebP: "image/webp", formatHEIC: "image/heic"}[f]
}

// extensions are the file extensions of picture media types.
var extensions = map[string]string{
	"image/jpeg": ".jpg", "image/png": ".png", "image/gif": ".gif", "image/webp": ".webp", "image/heic": ".heic",
}

// sniff finds a file's format by its first bytes, then by its extension.
func sniff(name string, b []byte) format {
	switch {
	case bytes.HasPrefix(b, []byte("\xff\xd8\xff")):
		return formatJPEG
	case bytes.HasPrefix(b, []byte("\x89PNG\r\n\x1a\n")):
		return formatPNG
	case bytes.HasPrefix(b, []byte("GIF87a")), bytes.HasPrefix(b, []byte("GIF89a")):
		return formatGIF
	case len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP":
		return formatWebP
	case len(b) >= 12 && string(b[4:8]) == "ftyp" && isHEIC(b):
		return formatHEIC
	case beginsComponent(b):
		return formatComponents
	}
	switch strings.ToLower(filepath.Ext(name)) {
	case ".vcf", ".vcard", ".ics", ".ical", ".ifb", ".vcs":
		return formatComponents
	case ".txt", ".md", ".markdown", ".text":
		return formatText
	}
	return formatUnknown
}

// isHEIC looks for a HEIF image brand among the major and compatible brands
// (ISO/IEC 23008-12 section 10).
func isHEIC(b []byte) bool {
	end := min(len(b), int(b[2])<<8|int(b[3]), 64)
	for i := 8; i+4 <= end; i += 4 {
		switch string(b[i : i+4]) {
		case "heic", "heix", "heim", "heis", "mif1", "msf1":
			return true
		}
	}
	return false
}

// beginsComponent reports whether the first line that is not empty begins a
// card or a calendar component.
func beginsComponent(b []byte) bool {
	b = bytes.ReplaceAll(b, []byte{0}, nil) // UTF-16, roughly
	b = bytes.TrimLeft(b, "\xef\xbb\xbf\xff\xfe \t\r\n")
	line, _, _ := bytes.Cut(b, []byte("\n"))
	if !isMarker(line, "BEGIN") {
		return false
	}
	switch name := markerName(line); name {
	case "VCARD", "VCALENDAR", "VTIMEZONE", "VFREEBUSY":
		return true
	default:
		return entryKinds[name] != ""
	}
}
