package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// proof is a test that proves requirements.
type proof struct {
	// dir is the package's, from the root of the tree, with slashes.
	dir  string
	name string
}

// whole is the package all of whose tests are run; unnamed is the key of those that prove no
// requirement.
const (
	whole   = "test/acceptance"
	unnamed = ""
)

func (p proof) String() string { return p.dir + "." + p.name }

func byName(a, b proof) int { return strings.Compare(a.String(), b.String()) }

var (
	named  = regexp.MustCompile(`^Test((?:T\d{3})+)`)
	stated = regexp.MustCompile(`(?m)^Requirements?: (T\d{3}(?:, T\d{3})*)$`)
	id     = regexp.MustCompile(`T\d{3}`)
)

// proofs finds the tests of each requirement in the sources of a tree, sorted, and those of package
// whole that prove none.
func proofs(tree fs.FS) (map[string][]proof, error) {
	found := map[string][]proof{}

	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "bin" || entry.Name() == "testdata"):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}

		return collect(tree, name, found)
	})
	if err != nil {
		return nil, fmt.Errorf("find tests: %w", err)
	}
	for _, tests := range found {
		slices.SortFunc(tests, byName)
	}

	return found, nil
}

// collect adds what the tests of one file prove.
func collect(tree fs.FS, name string, found map[string][]proof) error {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("parse source: %w", err)
	}

	for _, declaration := range file.Decls {
		function, ok := declaration.(*ast.FuncDecl)
		if !ok || function.Recv != nil || !strings.HasPrefix(function.Name.Name, "Test") {
			continue
		}
		test := proof{dir: path.Dir(name), name: function.Name.Name}
		for _, requirement := range test.rows(function) {
			found[requirement] = append(found[requirement], test)
		}
	}

	return nil
}

// rows are the requirements that a test names. What the whole package has to show besides stands
// under a name of its own.
func (p proof) rows(function *ast.FuncDecl) []string {
	rows := proven(function)
	if len(rows) == 0 && p.dir == whole && p.name != "TestMain" {
		return []string{unnamed}
	}

	return rows
}

// proven lists the requirements that a test names, each once.
func proven(function *ast.FuncDecl) []string {
	ids := id.FindAllString(strings.Join(named.FindStringSubmatch(function.Name.Name), " "), -1)
	for _, line := range stated.FindAllString(function.Doc.Text(), -1) {
		ids = append(ids, id.FindAllString(line, -1)...)
	}
	slices.Sort(ids)

	return slices.Compact(ids)
}
