package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sidekeep/localstore/record"
)

// exports is the folder with everything a handset gives out of its data.
type exports string

// export writes all kinds of the handset into a folder: contacts.vcf,
// events.ics, notes.ics, tasks.ics, and notes/ and pictures/ file by file.
func (h *handset) export(ctx context.Context, dir string) (exports, error) {
	for _, folder := range []string{"notes", "pictures"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return "", err
		}
	}
	for _, x := range [][2]string{
		{string(record.Contacts), "contacts.vcf"}, {string(record.Events), "events.ics"}, {string(record.Tasks), "tasks.ics"},
		{string(record.Notes), "notes.ics"}, {string(record.Notes), "notes"}, {string(record.Pictures), "pictures"},
	} {
		if _, err := h.do(ctx, "export", x[0], "-o", filepath.Join(dir, x[1])); err != nil {
			return "", err
		}
	}
	return exports(dir), nil
}

// files returns the exported files by name.
func (e exports) files() (map[string][]byte, error) { return readTree(os.DirFS(string(e))) }

func readTree(tree fs.FS) (map[string][]byte, error) {
	files := map[string][]byte{}
	return files, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = fs.ReadFile(tree, name)
		return err
	})
}

// sameExports compares two handsets' exports byte for byte and returns the
// number of files and bytes that are equal.
func sameExports(a, b exports) (files, size int, err error) {
	one, err := a.files()
	if err != nil {
		return 0, 0, err
	}
	two, err := b.files()
	if err != nil {
		return 0, 0, err
	}
	for name, data := range one {
		other, ok := two[name]
		switch {
		case !ok:
			return 0, 0, fmt.Errorf("%s is only in %s", name, a)
		case !bytes.Equal(data, other):
			return 0, 0, fmt.Errorf("%s differs between %s and %s", name, a, b)
		}
		size += len(data)
	}
	if len(two) != len(one) {
		return 0, 0, fmt.Errorf("%s has %d files, %s has %d", a, len(one), b, len(two))
	}
	return len(one), size, nil
}

// originalsIn checks that nothing of the imported files is missing from an
// export: every content line of every card and calendar object, counted, and
// every note and picture byte for byte. It returns how much it looked for.
func originalsIn(e exports, originals fs.FS) (lines, files int, err error) {
	in, err := readTree(originals)
	if err != nil {
		return 0, 0, err
	}
	out, err := e.files()
	if err != nil {
		return 0, 0, err
	}
	have, whole := map[string]int{}, map[[sha256.Size]byte]int{}
	for name, data := range out {
		if filepath.Ext(name) == ".vcf" || filepath.Ext(name) == ".ics" {
			for _, line := range contentLines(data) {
				have[line]++
			}
		} else {
			whole[sha256.Sum256(data)]++
		}
	}
	for name, data := range in {
		if filepath.Ext(name) == ".vcf" || filepath.Ext(name) == ".ics" {
			for _, line := range contentLines(data) {
				if have[line]--; have[line] < 0 {
					return 0, 0, fmt.Errorf("a line of %s is missing from %s: %.60q", name, e, line)
				}
				lines++
			}
			continue
		}
		sum := sha256.Sum256(data)
		if whole[sum]--; whole[sum] < 0 {
			return 0, 0, fmt.Errorf("the bytes of %s are missing from %s", name, e)
		}
		files++
	}
	return lines, files, nil
}

// contentLines unfolds a .vcf or .ics file and returns the lines of its cards,
// events, tasks and journal entries. What stands around them, the calendar's
// own head and its time zones, is written once for many on export. This reader
// is deliberately not the one that sidekeep uses.
func contentLines(data []byte) []string {
	var lines []string
	depth, quoted := 0, false // quoted: a soft line break of quoted-printable came before
	for line := range strings.SplitSeq(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n") {
		if last := len(lines) - 1; quoted {
			lines[last], quoted = strings.CutSuffix(lines[last]+line, "=")
			continue
		} else if depth > 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) {
			lines[last] += line[1:]
			continue
		}
		name, component, _ := strings.Cut(line, ":")
		object := depth > 0 || slices.Contains([]string{"VCARD", "VEVENT", "VTODO", "VJOURNAL"}, component)
		if name == "BEGIN" && object {
			depth++
		}
		if depth > 0 {
			if strings.Contains(name, "QUOTED-PRINTABLE") {
				line, quoted = strings.CutSuffix(line, "=")
			}
			lines = append(lines, line)
		}
		if name == "END" && object {
			depth--
		}
	}
	return lines
}
