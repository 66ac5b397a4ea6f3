package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// CustomHooksDir is the directory of a repository in which its custom hooks lie.
const CustomHooksDir = "custom_hooks"

// outputWait is how long the output of an ended custom hook is still copied. A program that it
// left in the background can hold the output open for ever.
const outputWait = time.Second

// customHooks are the programs that an administrator has put into a repository.
type customHooks struct {
	paths  []string
	call   Call
	pusher Pusher
	stdin  []byte
}

// findCustomHooks returns the executable files of a hook, in the order in which they run: the file
// with the hook's name, then those in the directory <hook>.d by name.
func findCustomHooks(repository, hook string) ([]string, error) {
	dir := filepath.Join(repository, CustomHooksDir)
	candidates := []string{filepath.Join(dir, hook)}

	entries, err := os.ReadDir(filepath.Join(dir, hook+".d"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list custom hooks: %w", err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), "~") { // an editor's copy
			candidates = append(candidates, filepath.Join(dir, hook+".d", entry.Name()))
		}
	}

	return slices.DeleteFunc(candidates, isNoProgram), nil
}

func isNoProgram(path string) bool {
	info, err := os.Stat(path)

	return err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0
}

// run runs the hooks one after the other until one fails. They are ended when the node is lost or
// nobody waits for their result any more.
func (c customHooks) run(ctx context.Context, node client) error {
	held, release := node.hold(ctx)
	defer release()

	for _, path := range c.paths {
		if err := c.runOne(held, path); err != nil {
			if held.Err() != nil {
				return fmt.Errorf("end custom hook: %w", context.Cause(held))
			}

			return fmt.Errorf("run custom hook: %w", err)
		}
	}

	return nil
}

func (c customHooks) runOne(ctx context.Context, path string) error {
	command := exec.CommandContext(ctx, path, c.call.Args...)
	command.Env = append(c.environ(), c.pusher.Environ()...)
	command.Stdin = bytes.NewReader(c.stdin)
	// Hidden behind a plain writer, the output passes a pipe of ours, which is closed when a
	// program that was left in the background does not.
	command.Stdout = struct{ io.Writer }{c.call.Stdout}
	command.Stderr = struct{ io.Writer }{c.call.Stderr}
	command.WaitDelay = outputWait
	tie(command)

	err := command.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // It succeeded; only its background went on.
	}

	return err //nolint:wrapcheck // The caller wraps.
}

// environ is the environment of this process without what belongs to the node: the payload, and
// the configuration of the Git process that runs the hook.
func (c customHooks) environ() []string {
	return slices.DeleteFunc(slices.Clone(c.call.Environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")

		return name == PayloadVariable || name == "GIT_CONFIG_PARAMETERS" ||
			name == "GIT_CONFIG_COUNT" || strings.HasPrefix(name, "GIT_CONFIG_KEY_") ||
			strings.HasPrefix(name, "GIT_CONFIG_VALUE_")
	})
}
