// Command praefect-hooks is what Git runs as a hook on a node. Git finds it through links that
// have the hooks' names (reference-transaction, pre-receive, update, post-receive) in the
// directory that core.hooksPath names. It casts the votes of the node; see package hooks.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"praefect/hooks"
)

func main() {
	if err := hooks.DieWithParent(); err != nil {
		fmt.Fprintf(os.Stderr, "praefect-hooks: %v\n", err)
		os.Exit(1)
	}

	os.Exit(hooks.Run(context.Background(), hooks.Call{
		Name:    filepath.Base(os.Args[0]),
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
	}))
}
