// Command generate turns the .proto files of package gitalypb into Go code. It compiles them
// itself, so neither protoc nor buf is needed, and runs the two code generators at the versions
// that the go.mod file beside it pins. It is a module of its own so that the compiler does not
// become a dependency of the project. The same input always gives the same bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("generate", flag.ContinueOnError)
	flags.SetOutput(out)
	dir := flags.String("dir", "..", "directory of the .proto files and of the generated code")
	check := flags.Bool("check", false, "write nothing; fail when a generated file is not current")
	if err := flags.Parse(args); err != nil {
		return fmt.Errorf("parse flags: %w", err)
	}
	request, err := compile(ctx, *dir)
	if err != nil {
		return err
	}
	files, err := generate(ctx, request)
	if err != nil {
		return err
	}
	if *check {
		return verify(*dir, files)
	}
	return write(*dir, files)
}
