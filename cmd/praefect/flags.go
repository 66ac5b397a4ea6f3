package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v3"
)

// Names of flags that several commands have.
const (
	flagVirtualStorage = "virtual-storage"
	flagRelativePath   = "relative-path"
	flagRepositoryID   = "repository-id"
	flagAuthoritative  = "authoritative-storage"
	flagReplicate      = "replicate-immediately"
	flagJSON           = "json"
)

func virtualStorageFlag(required bool) cli.Flag {
	return &cli.StringFlag{
		Name: flagVirtualStorage, Usage: "name of the virtual storage", Required: required,
	}
}

// relativePathFlag has the name of today and the one that older documentation uses.
func relativePathFlag(required bool) cli.Flag {
	return &cli.StringFlag{
		Name: flagRelativePath, Aliases: []string{"repository"},
		Usage: "`PATH` of the repository, as clients use it", Required: required,
	}
}

func repositoryIDFlag() cli.Flag {
	return &cli.Int64Flag{Name: flagRepositoryID, Usage: "`ID` of the repository"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: flagJSON, Usage: "print JSON for programs"}
}

// sayJSON prints a value in one document.
func sayJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write output: %w", err)
	}

	return nil
}

// printer prints lines and remembers the first that could not be printed.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) say(format string, args ...any) {
	if p.err == nil {
		p.err = say(p.out, format, args...)
	}
}
