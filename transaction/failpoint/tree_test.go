package failpoint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/transaction/failpoint"
)

const root = "../.."

// TestEveryNameIsUsed compares the lists of this package with the calls in the product, both ways:
// a name that stands nowhere tests nothing, and one that is not listed cannot be asked for.
func TestEveryNameIsUsed(t *testing.T) {
	t.Parallel()

	var points, variants []string
	for _, point := range failpoint.Points() {
		points = append(points, string(point))
	}
	for _, variant := range failpoint.Variants() {
		variants = append(variants, string(variant))
	}
	used := map[string][]string{"Hit": nil, "Sabotaged": nil}
	constants := declared(t)
	for _, folder := range []string{"cmd", "coordinator", "proxy", "transaction"} {
		for _, file := range sources(t, filepath.Join(root, folder)) {
			collect(t, file, constants, used)
		}
	}
	require.ElementsMatch(t, points, unique(used["Hit"]))
	require.ElementsMatch(t, variants, unique(used["Sabotaged"]))
}

// TestListsAreWhole compares the lists with the constants.
func TestListsAreWhole(t *testing.T) {
	t.Parallel()

	var listed, all []string
	for _, point := range failpoint.Points() {
		listed = append(listed, string(point))
	}
	for _, variant := range failpoint.Variants() {
		listed = append(listed, string(variant))
	}
	for _, value := range declared(t) {
		all = append(all, value)
	}
	require.ElementsMatch(t, all, listed)
}

// declared returns the constants of this package that are names, with their values.
func declared(t *testing.T) map[string]string {
	t.Helper()

	found := map[string]string{}
	for _, name := range []string{"point.go", "variant.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(node ast.Node) bool {
			spec, ok := node.(*ast.ValueSpec)
			if !ok {
				return true
			}
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			found[spec.Names[0].Name] = value
			return false
		})
	}
	return found
}

func sources(t *testing.T, folder string) []*ast.File {
	t.Helper()

	var files []*ast.File
	require.NoError(t, filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		files = append(files, file)
		return err
	}))
	return files
}

// collect notes the arguments of calls of this package's functions.
func collect(
	t *testing.T, file *ast.File, constants map[string]string, used map[string][]string,
) {
	t.Helper()

	ast.Inspect(file, func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		function, ok := member(call.Fun)
		if _, ours := used[function]; !ok || !ours {
			return true
		}
		name, ok := member(call.Args[0])
		require.True(t, ok, "%s takes a constant of the package", function)
		require.Contains(t, constants, name)
		used[function] = append(used[function], constants[name])
		return true
	})
}

// member returns the name behind "failpoint.".
func member(expression ast.Expr) (string, bool) {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	qualifier, ok := selector.X.(*ast.Ident)
	return selector.Sel.Name, ok && qualifier.Name == "failpoint"
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
