package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/stretchr/testify/require"
)

// checkout is a working copy of a user, whose configuration is nothing but what is set here. It
// uses the Git of PATH, whatever the nodes use.
type checkout struct {
	*take
	dir string
	// files are passed on to Git, as descriptors from 3.
	files []*os.File
}

// checkout makes an empty working copy on branch main.
func (t *take) checkout(args ...string) *checkout {
	c := &checkout{take: t, dir: t.tempDir()}
	c.git(append([]string{"init", "--quiet", "--initial-branch=main"}, args...)...)

	return c
}

// try runs git and returns what it wrote, messages included.
func (c *checkout) try(input io.Reader, args ...string) (string, error) {
	var output bytes.Buffer
	command := exec.CommandContext(c.context, "git", args...)
	command.Dir, command.Stdin, command.ExtraFiles = c.dir, input, c.files
	command.Stdout, command.Stderr = &output, &output
	command.Env = append(os.Environ(),
		"HOME="+c.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=User", "GIT_AUTHOR_EMAIL=user@example.org",
		"GIT_COMMITTER_NAME=User", "GIT_COMMITTER_EMAIL=user@example.org",
	)
	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, &output)
	}

	return strings.TrimSpace(output.String()), nil
}

func (c *checkout) git(args ...string) string {
	output, err := c.try(nil, args...)
	require.NoError(c, err)

	return output
}

// commit writes a file, commits it on the current branch and returns the commit's id.
func (c *checkout) commit(file, content string) string {
	require.NoError(c, os.WriteFile(filepath.Join(c.dir, file), []byte(content), 0o600))
	c.git("add", file)
	c.git("commit", "--quiet", "-m", "change "+file)

	return c.git("rev-parse", "HEAD")
}

// bundle packs revisions into a bundle.
func (c *checkout) bundle(revisions ...string) []byte {
	file := filepath.Join(c.dir, ".git", "bundle")
	c.git(append([]string{"bundle", "create", "--quiet", file}, revisions...)...)
	content, err := os.ReadFile(file)
	require.NoError(c, err)

	return content
}
