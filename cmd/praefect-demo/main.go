// Command praefect-demo shows what praefect does, on this machine and without any configuration:
// it starts PostgreSQL in a private directory, three nodes, the proxy and a Git-over-HTTP gateway.
//
//	praefect-demo story   pushes, kills, repairs and compares, and says what happens
//	praefect-demo run     leaves the cluster to you until Ctrl-C
//
// The programs are expected beside it (make build). Every port is chosen free, and whatever it
// started ends with it, even if it is killed. Story exits 0 only if everything it claims was seen;
// its last line is "demo: ok pushes=N replicas=3 equal=3 killed=2 repaired=2".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"praefect/test/cluster"
)

// storyTimeout is several times what the story takes on a slow machine.
const storyTimeout = 3 * time.Minute

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(
		context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()

	act := tell
	switch {
	case len(args) == 1 && args[0] == "run":
		act = stay
	case len(args) != 1 || args[0] != "story":
		fmt.Fprintln(stderr, "usage: praefect-demo story|run") //nolint:errcheck // Nobody is left.

		return 2
	}

	if err := act(ctx, newNarrator(stdout)); err != nil {
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(stderr, "demo: failed: %v\n", err) //nolint:errcheck // Nobody is left.

		return 1
	}

	return 0
}

// programs are the binaries beside this one.
func programs() (cluster.Programs, error) {
	self, err := os.Executable()
	if err != nil {
		return cluster.Programs{}, fmt.Errorf("find programs: %w", err)
	}

	dir := filepath.Dir(self)
	found := cluster.Programs{
		Praefect: filepath.Join(dir, "praefect"),
		Node:     filepath.Join(dir, "praefect-node"),
		Hooks:    filepath.Join(dir, "praefect-hooks"),
	}
	for _, program := range []string{found.Praefect, found.Node, found.Hooks} {
		if _, err := os.Stat(program); err != nil {
			return found, fmt.Errorf("find programs: %w (run make build)", err)
		}
	}

	return found, nil
}
