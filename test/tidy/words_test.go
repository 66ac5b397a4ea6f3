package tidy_test

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestText asserts plain ASCII and that nothing is put off in a comment.
func TestText(t *testing.T) {
	t.Parallel()

	// Written apart, so that this file does not find itself.
	later := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, f := range written(tree(t)) {
		for i, line := range f.lines {
			if word := later.FindString(line); word != "" {
				t.Errorf("%s:%d: %s: do it or describe the limit", f.path, i+1, word)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
				t.Errorf("%s:%d: text that is not ASCII", f.path, i+1)
			}
		}
	}
}

// TestCalls asserts three things about code: no init function (it runs before anybody can hand it
// a logger or a configuration), no sleeping (wait for an event), and outside of tests no result
// thrown away without a comment that says why.
func TestCalls(t *testing.T) {
	t.Parallel()

	for _, f := range written(tree(t)) {
		commented := f.commentedLines()
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s:%d: init function", f.path, f.line(n.Pos()))
				}
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name == "Sleep" {
					t.Errorf("%s:%d: time.Sleep", f.path, f.line(n.Pos()))
				}
			case *ast.AssignStmt:
				if !f.test() && discards(n) && !f.explained(n, commented) {
					t.Errorf("%s:%d: result thrown away without a reason",
						f.path, f.line(n.Pos()))
				}
			}

			return true
		})
	}
}

// discards tells whether an assignment throws away all results of a call.
func discards(assign *ast.AssignStmt) bool {
	if assign.Tok != token.ASSIGN || len(assign.Rhs) != 1 {
		return false
	}
	if _, ok := assign.Rhs[0].(*ast.CallExpr); !ok {
		return false
	}

	for _, left := range assign.Lhs {
		if name, ok := left.(*ast.Ident); !ok || name.Name != "_" {
			return false
		}
	}

	return true
}

// explained tells whether there is a comment beside a statement or right above it.
func (f file) explained(n ast.Node, commented map[int]bool) bool {
	for line := f.line(n.Pos()) - 1; line <= f.line(n.End()); line++ {
		if commented[line] {
			return true
		}
	}

	return false
}

func (f file) commentedLines() map[int]bool {
	lines := map[int]bool{}
	for _, group := range f.syntax.Comments {
		for line := f.line(group.Pos()); line <= f.line(group.End()); line++ {
			lines[line] = true
		}
	}

	return lines
}

// statusTable is where errors get their gRPC codes.
const statusTable = "proxy/status.go"

// TestSentinelsHaveCodes asserts that no error of the deciding packages reaches a client by
// accident: the table names each of them.
func TestSentinelsHaveCodes(t *testing.T) {
	t.Parallel()

	table, err := os.ReadFile(filepath.Join(root, statusTable))
	require.NoError(t, err)

	deciding := []string{"transaction", "transaction/registry", "coordinator"}
	for _, f := range tree(t) {
		if f.test() || !slices.Contains(deciding, f.dir) {
			continue
		}
		for _, name := range f.variables() {
			qualified := f.syntax.Name.Name + "." + name
			if strings.HasPrefix(name, "Err") && !strings.Contains(string(table), qualified) {
				t.Errorf("%s: %s is not in %s", f.path, qualified, statusTable)
			}
		}
	}
}

// variables returns the names of the file's package-level variables.
func (f file) variables() []string {
	var names []string
	for _, declaration := range f.syntax.Decls {
		general, ok := declaration.(*ast.GenDecl)
		if !ok || general.Tok != token.VAR {
			continue
		}
		for _, spec := range general.Specs {
			if value, ok := spec.(*ast.ValueSpec); ok {
				for _, name := range value.Names {
					names = append(names, name.Name)
				}
			}
		}
	}

	return names
}
