package git

import (
	"context"
	"fmt"
	"io"
	"os/exec"
)

// Process is a Git process that is spoken with.
type Process struct {
	// Stdin is the process's input. Close it once everything is said; Wait does if nobody did.
	Stdin io.WriteCloser
	// Stdout is its output. It must be read to its end before Wait.
	Stdout io.Reader

	command Command
	cmd     *exec.Cmd
	stderr  *tail
}

// Start starts a command. Its Stdin and Stdout must be nil, and Wait must be called. The process is
// terminated when ctx ends; for commands that change a repository ctx must be one that does not,
// and closing Stdin is how they are told to give up.
func (g *Git) Start(ctx context.Context, command Command) (*Process, error) {
	cmd := g.build(ctx, command)
	stderr := &tail{}
	cmd.Stderr = stderr
	if command.Stderr != nil {
		cmd.Stderr = io.MultiWriter(stderr, command.Stderr)
	}

	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("open input of git: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("open output of git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, failure(command, cmd, stderr, err)
	}

	return &Process{Stdin: stdin, Stdout: stdout, command: command, cmd: cmd, stderr: stderr}, nil
}

// Wait closes the input and waits until the process has ended. It is called once.
func (p *Process) Wait() error {
	_ = p.Stdin.Close() // Closed already, or there is nobody to read any more.

	return failure(p.command, p.cmd, p.stderr, p.cmd.Wait())
}
