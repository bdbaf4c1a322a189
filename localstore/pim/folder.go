package pim

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"sidekeep/localstore/record"
)

// FileName returns the name that a record has in an exported folder. It comes
// from the record's id and type, never from its text.
func FileName(kind record.Kind, item Item) string {
	ext := ".ics"
	switch kind {
	case record.Contacts:
		ext = ".vcf"
	case record.Notes:
		if b := noteBody(item.Fields); b != nil {
			ext = ".md"
			if strings.HasPrefix(b.mediaType, typePlain) {
				ext = ".txt"
			}
		}
	case record.Pictures:
		ext = ".bin"
		if f := pictureField(item.Fields); f != nil {
			p, _ := parseProperty(f.Line)
			if e, ok := extensions[p.param("FMTTYPE")]; ok {
				ext = e
			}
		}
	}
	return item.ID.String() + ext
}

// ExportFile writes one record as the file that FileName names: a picture's
// bytes as they came, a note that is only text as that text, everything else as
// Export does.
func ExportFile(w io.Writer, kind record.Kind, item Item, o ExportOptions) error {
	x := &exporter{kind: kind, opt: o}
	switch kind {
	case record.Pictures:
		f := pictureField(item.Fields)
		if f == nil {
			return fmt.Errorf("export %s %s: %w", kind, item.ID, errors.New("the record has no picture"))
		}
		r, err := x.open(f.Blob)
		if err != nil {
			return fmt.Errorf("export %s %s: %w", kind, item.ID, err)
		}
		defer r.Close()
		if n, err := io.Copy(w, r); err != nil {
			return fmt.Errorf("export %s %s: %w", kind, item.ID, err)
		} else if uint64(n) != f.Blob.Size {
			return fmt.Errorf("export %s %s: %w", kind, item.ID, errSize)
		}
		return nil
	case record.Notes:
		if b := noteBody(item.Fields); b != nil {
			lines, err := x.lines(item)
			if err != nil {
				return fmt.Errorf("export %s %s: %w", kind, item.ID, err)
			}
			for _, l := range lines {
				if l.key == "DESCRIPTION" {
					_, err = io.WriteString(w, b.text(l.line))
				}
			}
			return err
		}
	}
	return Export(w, kind, func(yield func(Item, error) bool) { yield(item, nil) }, o)
}

// pictureField returns the field that holds a picture's bytes, or nil.
func pictureField(fields []record.Field) *record.Field {
	for i := range fields {
		if leafName(fields[i].Key) == "ATTACH" && fields[i].Blob != nil {
			return &fields[i]
		}
	}
	return nil
}

// body is the text of a note that says of itself that it was a text file.
type body struct {
	mediaType string
	crlf      bool
}

// noteBody returns what is known of a note's text, or nil if the note can only
// be written whole as a calendar entry.
func noteBody(fields []record.Field) *body {
	for i := range fields {
		switch name := leafName(fields[i].Key); name {
		case "DESCRIPTION":
			p, _ := parseProperty(fields[i].Line)
			if p.param("FMTTYPE") == "" {
				return nil
			}
			return &body{p.param("FMTTYPE"), p.param("X-EOL") == "CRLF"}
		}
	}
	return nil
}

func (b *body) text(line []byte) string {
	s := decodedText(record.Notes, "DESCRIPTION", line)
	if b.crlf {
		s = strings.ReplaceAll(s, "\n", "\r\n")
	}
	return s
}
