package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds the programs of this module into dir, with build tags if there are any. The working
// directory must lie in the module. The Go build cache makes a second build of the same sources a
// matter of a second.
func Build(ctx context.Context, dir string, tags ...string) (Programs, error) {
	var output bytes.Buffer

	command := exec.CommandContext(ctx, "go", "build",
		"-tags", strings.Join(tags, ","), "-o", dir+string(filepath.Separator),
		"praefect/cmd/praefect", "praefect/cmd/praefect-node", "praefect/cmd/praefect-hooks")
	// Without C there is nothing to be linked at each start, and hooks start often.
	command.Env = append(command.Environ(), "CGO_ENABLED=0")
	command.Stdout, command.Stderr = &output, &output

	if err := command.Run(); err != nil {
		return Programs{}, fmt.Errorf("build programs: %w: %s", err, output.String())
	}

	return Programs{
		Praefect: filepath.Join(dir, "praefect"),
		Node:     filepath.Join(dir, "praefect-node"),
		Hooks:    filepath.Join(dir, "praefect-hooks"),
	}, nil
}
