package tidy_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root   = "../.."
	module = "praefect"
)

// file is one parsed Go file of the module.
type file struct {
	// path is relative to the root of the module, with slashes; dir is its folder.
	path, dir string
	lines     []string
	fset      *token.FileSet
	syntax    *ast.File
	generated bool
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f file) line(pos token.Pos) int { return f.fset.Position(pos).Line }

// imports returns the import paths; those of the module without the module's name.
func (f file) imports(t *testing.T) (own, other []string) {
	t.Helper()

	for _, spec := range f.syntax.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)

		if rest, ok := strings.CutPrefix(path, module+"/"); ok {
			own = append(own, rest)
		} else {
			other = append(other, path)
		}
	}

	return own, other
}

// tree parses every Go file of the module, tests included. Nested modules (a folder with a go.mod
// of its own) and testdata are not part of it.
func tree(t *testing.T) []file {
	t.Helper()

	var files []file
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return enter(path, d.Name())
		case filepath.Ext(path) != ".go":
			return nil
		}

		files = append(files, parse(t, path))

		return nil
	}))
	require.NotEmpty(t, files)

	return files
}

func enter(path, name string) error {
	if path == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || path == filepath.Join(root, "bin") {
		return fs.SkipDir
	}

	_, err := os.Stat(filepath.Join(path, "go.mod"))
	if err == nil {
		return fs.SkipDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return err
}

func parse(t *testing.T, path string) file {
	t.Helper()

	content, err := os.ReadFile(path)
	require.NoError(t, err)

	fset := token.NewFileSet()
	syntax, err := parser.ParseFile(fset, path, content, parser.ParseComments)
	require.NoError(t, err)

	relative, err := filepath.Rel(root, path)
	require.NoError(t, err)
	relative = filepath.ToSlash(relative)

	return file{
		path:      relative,
		dir:       filepath.ToSlash(filepath.Dir(relative)),
		lines:     strings.Split(strings.TrimSuffix(string(content), "\n"), "\n"),
		fset:      fset,
		syntax:    syntax,
		generated: ast.IsGenerated(syntax),
	}
}

// written returns the files that people wrote.
func written(files []file) []file {
	var out []file
	for _, f := range files {
		if !f.generated {
			out = append(out, f)
		}
	}

	return out
}
