// Command praefect is the proxy in front of a cluster of Gitaly nodes, and the tool with which
// operators look after it.
//
// Without a subcommand it serves. Every subcommand is one file of this package and thin: it reads
// the configuration, calls the package that does the work, and prints.
//
// Exit status: 0 after success and after a graceful stop; 1 after any error; 2 when serve is called
// without a configuration; 130 when a subcommand was interrupted.
package main

import (
	"os"
)

func main() {
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}
