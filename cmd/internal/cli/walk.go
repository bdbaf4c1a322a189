package cli

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// found is one file that import was given or found in a folder.
type found struct {
	path  string
	named bool   // given by name, not found in a folder
	skip  string // why it is not read; "" for files to read
	lost  bool   // it could not be read, rather than being nothing to read
}

// findFiles lists the regular files behind paths, folders with all they hold,
// in lexical order within each path. Links inside folders are not followed, so
// a folder can not loop or lead outside; hidden files and folders in folders
// are left out. What can not be read is in the list with the reason.
func findFiles(ctx context.Context, paths []string) ([]found, error) {
	var all []found
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			all = append(all, found{path: path, named: true, skip: reason(err), lost: true})
			continue
		}
		if !info.IsDir() {
			f := found{path: path, named: true}
			if !info.Mode().IsRegular() {
				f.skip = "not a regular file"
			}
			all = append(all, f)
			continue
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				all = append(all, found{path: p, skip: reason(err), lost: true})
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			hidden := p != path && strings.HasPrefix(d.Name(), ".")
			switch {
			case d.IsDir() && hidden:
				return fs.SkipDir
			case d.IsDir() || hidden:
				return nil
			case d.Type()&fs.ModeSymlink != 0:
				all = append(all, found{path: p, skip: "a link; import what it leads to by its own name"})
				return nil
			case !d.Type().IsRegular():
				all = append(all, found{path: p, skip: "not a regular file"})
				return nil
			}
			all = append(all, found{path: p})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// reason gives the cause of a path error without the path, which stands beside it.
func reason(err error) string {
	if pe, ok := err.(*fs.PathError); ok {
		return pe.Err.Error()
	}
	return err.Error()
}
