package pim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sidekeep/localstore/record"
)

// noteTitleMax is how many characters of a first line become a note's title.
const noteTitleMax = 120

// Media types of notes that came from text files.
const (
	typeMarkdown = "text/markdown"
	typePlain    = "text/plain"
)

// note imports a text file as one note: the title is its first line, the body
// all of it. The body's FMTTYPE and X-EOL parameters let an export give back
// the same file.
func (im *importer) note(raw []byte) error {
	b := bytes.TrimPrefix(im.fromUTF16(raw), []byte("\xef\xbb\xbf"))
	switch {
	case len(bytes.TrimSpace(b)) == 0:
		im.problem(0, "the file is empty", Refused)
		return nil
	case bytes.IndexByte(b, 0) >= 0:
		im.problem(1+bytes.Count(b[:bytes.IndexByte(b, 0)], []byte("\n")), "a zero byte: this is no text", Refused)
		return nil
	case !utf8.Valid(b):
		im.problem(0, "text that is not UTF-8; converted from Windows-1252", Repaired)
	}
	text := toUTF8(b, "")
	head := "DESCRIPTION;FMTTYPE=" + typePlain
	if e := strings.ToLower(filepath.Ext(im.name)); e == ".md" || e == ".markdown" {
		head = "DESCRIPTION;FMTTYPE=" + typeMarkdown
	}
	if crlf, lf, cr := strings.Count(text, "\r\n"), strings.Count(text, "\n"), strings.Count(text, "\r"); crlf > 0 && crlf == lf && crlf == cr {
		head += ";X-EOL=CRLF"
	} else if cr > 0 {
		im.problem(0, "mixed line ends; all made the same", Repaired)
	}
	text = lineEnds.Replace(text)
	title := noteTitle(text)
	if title == "" {
		title = baseName(im.name)
	}
	bu := newBuilder(record.Notes)
	bu.line("", []byte("SUMMARY:"+escapeText(title)))
	bu.line("", []byte(head+":"+escapeText(text)))
	o, err := bu.object()
	if err != nil {
		im.problem(0, err.Error(), Refused)
		return nil
	}
	sum := sha256.Sum256([]byte(text))
	o.UID, o.ByContent, o.Line = "note-"+hex.EncodeToString(sum[:16]), true, 1
	im.report.Objects++
	return im.emit(o)
}

// noteTitle is the first line with text in it, without Markdown's heading marks.
func noteTitle(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimLeft(strings.TrimSpace(line), "#"))
		if line != "" {
			return cutRunes(line, noteTitleMax)
		}
	}
	return ""
}

// cutRunes returns at most n characters of s.
func cutRunes(s string, n int) string {
	for i := range s {
		if n--; n < 0 {
			return s[:i]
		}
	}
	return s
}

// baseName is a file's name without folder and extension, as valid UTF-8.
func baseName(name string) string {
	base := filepath.Base(name)
	return toUTF8([]byte(strings.TrimSuffix(base, filepath.Ext(base))), "")
}
