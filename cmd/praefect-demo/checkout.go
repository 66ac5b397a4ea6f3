package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// checkout is somebody's working copy.
type checkout struct {
	dir string
	env []string
}

// newCheckout makes an empty working copy whose origin is the given URL. It is not influenced by
// the configuration of whoever runs the demo.
func newCheckout(ctx context.Context, dir, remote string) (*checkout, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create working copy: %w", err)
	}

	c := &checkout{dir: dir, env: append(os.Environ(),
		"HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Demo", "GIT_AUTHOR_EMAIL=demo@example.com",
		"GIT_COMMITTER_NAME=Demo", "GIT_COMMITTER_EMAIL=demo@example.com",
	)}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"remote", "add", "origin", remote},
	} {
		if err := c.git(ctx, args...); err != nil {
			return nil, err
		}
	}

	return c, nil
}

// commit writes a file and commits it.
func (c *checkout) commit(ctx context.Context, name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o600); err != nil {
		return fmt.Errorf("write file: %w", err)
	}
	if err := c.git(ctx, "add", name); err != nil {
		return err
	}

	return c.git(ctx, "commit", "--quiet", "-m", "change "+name)
}

// git runs git in the working copy.
func (c *checkout) git(ctx context.Context, args ...string) error {
	_, err := c.output(ctx, args...)

	return err
}

func (c *checkout) output(ctx context.Context, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir, command.Env = c.dir, c.env

	output, err := command.CombinedOutput()
	text := strings.TrimSpace(string(output))
	if err != nil {
		return text, fmt.Errorf("git %s: %w: %s", args[0], err, text)
	}

	return text, nil
}
