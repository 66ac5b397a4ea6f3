package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"praefect/proxy/gitalypb"
)

// createHot creates the hot repository and pushes two commits into it.
func (e *endpoint) createHot(
	ctx context.Context, repository *gitalypb.Repository, remote string,
) error {
	_, err := e.repositories(0).CreateRepository(ctx, &gitalypb.CreateRepositoryRequest{
		Repository: repository, DefaultBranch: []byte("main"),
	})
	if err != nil {
		return fmt.Errorf("create repository: %w", err)
	}

	dir, err := os.MkdirTemp("", "praefect-bench-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // A left-over working copy does no harm.

	if _, err := git(ctx, dir, "init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	for _, message := range []string{"one", "two"} {
		_, err := git(ctx, dir, "commit", "--quiet", "--allow-empty", "-m", message)
		if err != nil {
			return err
		}
		commit, err := git(ctx, dir, "rev-parse", "HEAD")
		if err != nil {
			return err
		}
		e.commits = append(e.commits, commit)
	}
	e.hot, e.remote = repository, remote

	_, err = git(ctx, dir, "push", "--quiet", remote, "main")

	return err
}

// git runs git without the user's configuration.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(os.Environ(),
		"HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Bench", "GIT_AUTHOR_EMAIL=bench@example.org",
		"GIT_COMMITTER_NAME=Bench", "GIT_COMMITTER_EMAIL=bench@example.org",
	)

	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, output)
	}

	return strings.TrimSpace(string(output)), nil
}
