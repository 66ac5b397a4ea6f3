package acceptance_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// git runs Git in a directory, with no configuration but what is set here.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir = dir
	command.Env = append(command.Environ(),
		"HOME="+dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=User", "GIT_AUTHOR_EMAIL=user@example.org",
		"GIT_COMMITTER_NAME=User", "GIT_COMMITTER_EMAIL=user@example.org",
	)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "git %v: %s", args, output)

	return strings.TrimSpace(string(output))
}
