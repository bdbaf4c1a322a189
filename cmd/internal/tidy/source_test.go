package tidy

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// longFiles may have more than linesMax lines, each for its reason.
var longFiles = map[string]string{
	"localstore/pim/corpus_test.go": "the run over the corpus, its table and an independent reader to check it by",
}

const linesMax = 600

var promises = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|X` + `XX)\b`)

// TestFiles holds what every Go file must be: formatted, of a readable length,
// without promises.
func TestFiles(t *testing.T) {
	for _, name := range tracked(t) {
		if !strings.HasSuffix(name, ".go") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(top(t), name))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := format.Source(src); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !bytes.Equal(out, src) {
			t.Errorf("%s: not formatted; run gofmt -w %s", name, name)
		}
		if n := bytes.Count(src, []byte("\n")); n > linesMax && longFiles[name] == "" {
			t.Errorf("%s: %d lines; one idea a file, or a reason in longFiles", name, n)
		}
		for i, line := range bytes.Split(src, []byte("\n")) {
			if promise := promises.Find(line); promise != nil {
				t.Errorf("%s:%d: a promise (%s) does not land", name, i+1, promise)
			}
		}
	}
}

// parsed is one package folder's files without tests.
type parsed struct {
	path  string
	name  string
	files map[string]*ast.File
	fset  *token.FileSet
}

func parseAll(t *testing.T) []parsed {
	t.Helper()
	byDir := map[string][]string{}
	for _, name := range tracked(t) {
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			dir := filepath.ToSlash(filepath.Dir(name))
			byDir[dir] = append(byDir[dir], name)
		}
	}
	var all []parsed
	for dir, names := range byDir {
		p := parsed{path: dir, files: map[string]*ast.File{}, fset: token.NewFileSet()}
		for _, name := range names {
			f, err := parser.ParseFile(p.fset, filepath.Join(top(t), name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			p.files[name], p.name = f, f.Name.Name
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b parsed) int { return strings.Compare(a.path, b.path) })
	return all
}

// TestPackages holds that each package says in doc.go what it is (a command in
// main.go), and bears a name that says something.
func TestPackages(t *testing.T) {
	for _, p := range parseAll(t) {
		if slices.Contains([]string{"util", "utils", "common", "helpers", "base", "types", "misc"}, p.name) {
			t.Errorf("%s: the name %s says nothing", p.path, p.name)
		}
		home := p.path + "/doc.go"
		if p.name == "main" {
			home = p.path + "/main.go"
		}
		if p.path == "testdata" {
			home = "testdata/embed.go"
		}
		f := p.files[home]
		if f == nil || f.Doc == nil || !strings.Contains(f.Doc.Text(), " ") {
			t.Errorf("%s: no package comment in %s", p.path, home)
			continue
		}
		if p.name != "main" && !strings.HasPrefix(f.Doc.Text(), "Package "+p.name+" ") {
			t.Errorf("%s: the comment begins %.40q", home, f.Doc.Text())
		}
	}
}

// TestDocstrings holds that every exported name has a comment of its own, or
// stands in a group that has one.
func TestDocstrings(t *testing.T) {
	for _, p := range parseAll(t) {
		for _, f := range p.files {
			for _, decl := range f.Decls {
				for _, bare := range undocumented(decl) {
					t.Errorf("%s: %s has no comment", relative(t, p.fset.Position(bare.Pos()).String()), bare.Name)
				}
			}
		}
	}
}

func undocumented(decl ast.Decl) []*ast.Ident {
	var bare []*ast.Ident
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && exportedReceiver(d) && !wellKnown[d.Name.Name] {
			bare = append(bare, d.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					bare = append(bare, s.Name)
				}
			case *ast.ValueSpec:
				if s.Names[0].IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					bare = append(bare, s.Names[0])
				}
			}
		}
	}
	return bare
}

// wellKnown methods say all by their name: they belong to interfaces of the
// standard library.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "Is": true, "String": true, "Len": true, "Less": true, "Swap": true,
	"MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true, "Write": true, "Read": true, "Close": true}

// exportedReceiver reports whether d is a function, or a method of an exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// TestPure holds what makes replay honest: the session machines and the algebra
// start no goroutine, read no clock and open no connection.
func TestPure(t *testing.T) {
	pure := []string{"localstore/record", "localstore/rangeset", "localstore/pim", "syncproto", "syncproto/seal"}
	clocks := []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}
	addresses := []string{"JoinHostPort", "SplitHostPort", "ParseIP"}
	for _, p := range parseAll(t) {
		if !slices.Contains(pure, p.path) {
			continue
		}
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: a goroutine in a pure package", relative(t, p.fset.Position(n.Pos()).String()))
				case *ast.SelectorExpr:
					x, ok := n.X.(*ast.Ident)
					if ok && (x.Name == "time" && slices.Contains(clocks, n.Sel.Name) || x.Name == "net" && !slices.Contains(addresses, n.Sel.Name)) {
						t.Errorf("%s: %s.%s in a pure package", relative(t, p.fset.Position(n.Pos()).String()), x.Name, n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
