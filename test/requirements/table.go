package main

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed requirements.tsv
var requirements string

// requirement is a row of the table.
type requirement struct {
	id    string
	area  string
	text  string
	where string
	// moot is why there is nothing to test, if so.
	moot string
}

// columns of requirements.tsv.
const columns = 5

// table lists the requirements in their order.
func table() ([]requirement, error) {
	var rows []requirement

	for line := range strings.Lines(requirements) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != columns {
			return nil, fmt.Errorf("requirements.tsv: %d columns instead of %d: %q",
				len(fields), columns, line)
		}
		rows = append(rows, requirement{
			id: fields[0], area: fields[1], text: fields[2], where: fields[3], moot: fields[4],
		})
	}

	return rows, nil
}
