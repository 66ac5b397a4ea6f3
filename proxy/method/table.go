package method

import (
	_ "embed"
	"fmt"
	"iter"
	"strings"
)

//go:embed table.txt
var builtin string

// Table holds methods by name. It never changes, so it may be used concurrently.
type Table struct {
	methods map[string]*Method
	order   []*Method
}

// Builtin returns the table of all methods of the protocol. It panics if the text that is built
// into the program is malformed.
func Builtin() *Table {
	table, err := parse(builtin)
	if err != nil {
		panic(fmt.Sprintf("built-in table of methods: %v", err))
	}
	return table
}

// Lookup returns the method with a name like "/gitaly.RefService/FindBranch". It does not
// allocate.
func (t *Table) Lookup(name string) (*Method, bool) {
	method, found := t.methods[name]
	return method, found
}

// All returns the methods in the order of their names.
func (t *Table) All() iter.Seq[*Method] {
	return func(yield func(*Method) bool) {
		for _, method := range t.order {
			if !yield(method) {
				return
			}
		}
	}
}

// Len returns the number of methods.
func (t *Table) Len() int { return len(t.order) }

// parse reads the text of a table.
func parse(text string) (*Table, error) {
	table := &Table{methods: make(map[string]*Method)}
	number := 0
	for line := range strings.Lines(text) {
		number++
		columns := strings.Fields(line)
		if len(columns) == 0 || strings.HasPrefix(columns[0], "#") {
			continue
		}
		method, err := parseMethod(columns)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if _, twice := table.methods[method.Name]; twice {
			return nil, fmt.Errorf("line %d: %w: %q twice", number, errMalformed, columns[0])
		}
		table.methods[method.Name] = method
		table.order = append(table.order, method)
	}
	return table, nil
}
