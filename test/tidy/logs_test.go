package tidy_test

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLogsPage compares docs/logs.md with the code: what it says to look for is logged, at that
// level, and what it says is not here is not.
func TestLogsPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root, "docs", "logs.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "\n## Messages to look for\n")
	require.True(t, found)
	here, absent, found := strings.Cut(rest,
		"\n## Messages of the existing Praefect that are not here\n")
	require.True(t, found)
	logged := map[string]map[string]bool{}
	for _, f := range written(tree(t)) {
		if !f.test() && !strings.HasPrefix(f.dir, "test/") {
			f.messages(logged)
		}
	}

	for _, row := range rows(here) {
		levels := strings.Split(row.rest[0], ", ")
		for i, message := range row.messages {
			level := levels[min(i, len(levels)-1)]
			if assert.Contains(t, logged, message, "nobody logs it") {
				assert.True(t, logged[message][level] || logged[message][anyLevel],
					"%q is not logged at level %s", message, level)
			}
		}
	}
	for _, row := range rows(absent) {
		for _, message := range row.messages {
			assert.NotContains(t, logged, message, "it is here")
		}
	}
}

// anyLevel is that of messages which are handed to the logger elsewhere.
const anyLevel = ""

type logRow struct{ messages, rest []string }

// rows reads a table whose first column has messages.
func rows(section string) []logRow {
	var all []logRow
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		var messages []string
		for _, match := range quoted.FindAllStringSubmatch(cells[0], -1) {
			messages = append(messages, match[1])
		}
		if strings.HasPrefix(line, "|") && len(messages) > 0 {
			all = append(all, logRow{messages: messages, rest: cells[1:]})
		}
	}

	return all
}

// messages collects what a file hands to a logger, by its level, and the texts of its composite
// literals, some of which are messages too.
func (f file) messages(into map[string]map[string]bool) {
	levels := map[string]string{
		"Debug": "debug", "Info": "info", "Warn": "warning", "Error": "error",
	}
	note := func(argument ast.Expr, level string) {
		text, ok := f.text(argument)
		if !ok {
			return
		}
		if into[text] == nil {
			into[text] = map[string]bool{}
		}
		into[text][level] = true
	}
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if ok && levels[called.Sel.Name] != "" && len(n.Args) > 0 {
				note(n.Args[0], levels[called.Sel.Name])
			}
		case *ast.KeyValueExpr:
			note(n.Value, anyLevel)
		}

		return true
	})
}

// text returns the value of a constant text: a literal, several of them, or the name of one.
func (f file) text(expression ast.Expr) (string, bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)

		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := f.text(e.X)
		right, also := f.text(e.Y)

		return left + right, ok && also
	case *ast.Ident:
		value, ok := f.constant(e.Name)
		if !ok {
			return "", false
		}

		return f.text(value)
	default:
		return "", false
	}
}

// constant returns what a constant of the file is made of.
func (f file) constant(name string) (value ast.Expr, found bool) {
	ast.Inspect(f.syntax, func(node ast.Node) bool {
		declared, ok := node.(*ast.GenDecl)
		if !ok || declared.Tok != token.CONST {
			return true
		}
		for _, spec := range declared.Specs {
			one, ok := spec.(*ast.ValueSpec)
			if ok && len(one.Values) == 1 && one.Names[0].Name == name {
				value, found = one.Values[0], true
			}
		}

		return false
	})

	return value, found
}
