package e2e_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// group is a running client program with all its children.
type group struct {
	command *exec.Cmd
	text    *bytes.Buffer
	ended   chan error
}

// setGroup gives a command a process group of its own and makes the end of its context kill it.
func setGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
}

// startGroup starts a command that setGroup has prepared.
func startGroup(command *exec.Cmd) (*group, error) {
	g := &group{command: command, text: new(bytes.Buffer), ended: make(chan error, 1)}
	command.Stdout, command.Stderr = g.text, g.text
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", command.Path, err)
	}
	go func() { g.ended <- command.Wait() }()

	return g, nil
}

// kill ends the program and its children at once.
func (g *group) kill(t *testing.T) {
	t.Helper()

	require.NoError(t, syscall.Kill(-g.command.Process.Pid, syscall.SIGKILL))
}

// wait waits for the end of the program, whose error it returns.
func (g *group) wait(t *testing.T) error {
	t.Helper()

	select {
	case err := <-g.ended:
		return err
	case <-t.Context().Done():
		return t.Context().Err()
	}
}

// output is what an ended program wrote.
func (g *group) output() string { return g.text.String() }
