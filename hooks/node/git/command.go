package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// stderrMax bounds what an [Error] repeats of the end of standard error.
const stderrMax = 8 << 10

// Command is one run of Git.
type Command struct {
	// Repository is the directory of a bare repository; empty when the command needs none.
	Repository string
	// Config is a list of "key=value". The settings of the node override it.
	Config []string
	// Hooks is the directory with the hooks that run; by default none do.
	Hooks string
	// Args are the subcommand and its arguments.
	Args []string
	// Env is added to the environment.
	Env []string
	// Stdin is read by the process; nil is empty.
	Stdin io.Reader
	// Stdout takes the output; nil discards it.
	Stdout io.Writer
	// Stderr takes standard error in addition to what an error repeats of it.
	Stderr io.Writer
	// Files are passed on as descriptors 3 and up.
	Files []*os.File
}

// Error says that a Git process did not succeed.
type Error struct {
	// Command is the subcommand.
	Command string
	// Code is the exit code, -1 when a signal ended the process or it could not be started.
	Code int
	// Stderr is the end of what the process wrote to standard error.
	Stderr string

	cause error
}

// Error returns the subcommand and the reason.
func (e *Error) Error() string {
	text := fmt.Sprintf("git %s: %v", e.Command, e.cause)
	if e.Stderr != "" {
		text += ": " + e.Stderr
	}

	return text
}

// Unwrap returns the error of starting or waiting.
func (e *Error) Unwrap() error { return e.cause }

// Run runs a command and waits for it and its output. It is terminated when ctx ends; for commands
// that change a repository ctx must be one that does not. Whoever passes a Stdin or Stdout that can
// block for ever must unblock it when ctx ends.
func (g *Git) Run(ctx context.Context, command Command) error {
	cmd := g.build(ctx, command)
	cmd.Stdin, cmd.Stdout = command.Stdin, command.Stdout
	stderr := &tail{}
	cmd.Stderr = stderr
	if command.Stderr != nil {
		cmd.Stderr = io.MultiWriter(stderr, command.Stderr)
	}

	err := cmd.Run()
	if ctx.Err() != nil && err != nil {
		err = errors.Join(context.Cause(ctx), err)
	}

	return failure(command, cmd, stderr, err)
}

// Output runs a command as [Git.Run] does and returns its output.
func (g *Git) Output(ctx context.Context, command Command) ([]byte, error) {
	var output bytes.Buffer
	command.Stdout = &output
	if err := g.Run(ctx, command); err != nil {
		return nil, err
	}

	return output.Bytes(), nil
}

func failure(command Command, cmd *exec.Cmd, stderr *tail, err error) error {
	if err == nil {
		return nil
	}

	code := -1
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}

	return &Error{
		Command: command.Args[0],
		Code:    code,
		Stderr:  string(bytes.TrimSpace(stderr.content)),
		cause:   err,
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	content []byte
}

// Write implements io.Writer; it never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.content = append(t.content, p...)
	if excess := len(t.content) - stderrMax; excess > 0 {
		t.content = append(t.content[:0], t.content[excess:]...)
	}

	return len(p), nil
}
