package tidy_test

import (
	"go/ast"
	"go/scanner"
	"go/token"
	"strings"
	"testing"
	"unicode/utf8"
)

// Limits. They hold for tests too: a test that nobody can read proves nothing.
const (
	// codeLinesMax bounds a file, comments and blank lines not counted.
	codeLinesMax = 500
	// functionLinesMax bounds a function from its first to its last line, comments not counted.
	functionLinesMax = 60
	// columnsMax bounds a line, a tab counting tabWidth.
	columnsMax = 100
	tabWidth   = 4
)

func TestFileLength(t *testing.T) {
	t.Parallel()

	for _, f := range written(tree(t)) {
		if n := len(f.codeLines(t, 1, len(f.lines))); n > codeLinesMax {
			t.Errorf("%s: %d lines of code, more than %d: split it by duty",
				f.path, n, codeLinesMax)
		}
	}
}

func TestFunctionLength(t *testing.T) {
	t.Parallel()

	for _, f := range written(tree(t)) {
		for _, declaration := range f.syntax.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Body == nil {
				continue
			}

			first, last := f.line(function.Pos()), f.line(function.End())
			if last-first < functionLinesMax {
				continue
			}
			if n := len(f.codeLines(t, first, last)); n > functionLinesMax {
				t.Errorf("%s:%d: %s has %d lines, more than %d",
					f.path, first, function.Name.Name, n, functionLinesMax)
			}
		}
	}
}

func TestLineLength(t *testing.T) {
	t.Parallel()

	for _, f := range written(tree(t)) {
		for i, line := range f.lines {
			line = strings.ReplaceAll(line, "\t", strings.Repeat(" ", tabWidth))
			if n := utf8.RuneCountInString(line); n > columnsMax {
				t.Errorf("%s:%d: %d columns, more than %d", f.path, i+1, n, columnsMax)
			}
		}
	}
}

// codeLines returns the numbers of the lines from first to last that hold a token.
func (f file) codeLines(t *testing.T, first, last int) map[int]bool {
	t.Helper()

	source := []byte(strings.Join(f.lines, "\n"))
	fset := token.NewFileSet()
	handle := fset.AddFile(f.path, -1, len(source))

	var s scanner.Scanner
	s.Init(handle, source, nil, 0)

	lines := map[int]bool{}
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF {
			return lines
		}

		// A raw string may span lines, all of which count.
		line := fset.Position(pos).Line
		for range 1 + strings.Count(strings.TrimSuffix(literal, "\n"), "\n") {
			if first <= line && line <= last {
				lines[line] = true
			}
			line++
		}
	}
}
