package git

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Config says which Git is run, and how.
type Config struct {
	// Binary is the program, by default "git", found in PATH.
	Binary string
	// NoSync leaves it to the operating system when a change reaches the disk. A power cut then
	// loses acknowledged changes; only for tests.
	NoSync bool
}

// Git starts Git processes.
type Git struct {
	binary   string
	settings []string
	environ  []string
}

// synced is what must be on disk before Git says that a change is done.
const synced = "objects,derived-metadata,reference"

// New returns a Git.
func New(cfg Config) *Git {
	if cfg.Binary == "" {
		cfg.Binary = "git"
	}
	fsync := synced
	if cfg.NoSync {
		fsync = "none"
	}

	return &Git{
		binary: cfg.Binary,
		settings: []string{
			"core.fsync=" + fsync,
			"core.fsyncMethod=fsync",
			// A node's repositories may belong to another user than its process.
			"safe.directory=*",
			// A lock on a reference is waited for, in milliseconds: it may be that of a write which
			// is about to be over.
			"core.filesRefLockTimeout=1000",
			// Housekeeping beside a change would lock what the change needs.
			"gc.auto=0",
			"maintenance.auto=0",
			"receive.autogc=false",
		},
		environ: []string{
			"PATH=" + os.Getenv("PATH"),
			"TMPDIR=" + os.TempDir(),
			"HOME=" + os.DevNull,
			"LC_ALL=C",
			"GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=" + os.DevNull,
			"GIT_ATTR_NOSYSTEM=1",
			"GIT_TERMINAL_PROMPT=0",
		},
	}
}

// Version returns the version of the program, for instance "2.39.5".
func (g *Git) Version(ctx context.Context) (string, error) {
	output, err := g.Output(ctx, Command{Args: []string{"version"}})
	if err != nil {
		return "", fmt.Errorf("ask for version: %w", err)
	}

	return strings.TrimPrefix(strings.TrimSpace(string(output)), "git version "), nil
}

// build makes the process for a command, without starting it.
func (g *Git) build(ctx context.Context, command Command) *exec.Cmd {
	hooks := command.Hooks
	if hooks == "" {
		hooks = os.DevNull
	}

	var args []string
	// The later setting wins, so what a client asks for comes first.
	for _, setting := range command.Config {
		args = append(args, "-c", setting)
	}
	for _, setting := range g.settings {
		args = append(args, "-c", setting)
	}
	args = append(args, "-c", "core.hooksPath="+hooks)
	if command.Repository != "" {
		args = append(args, "--git-dir="+command.Repository)
	}

	cmd := exec.CommandContext(ctx, g.binary, append(args, command.Args...)...)
	cmd.Dir = command.Repository
	if cmd.Dir == "" {
		cmd.Dir = string(os.PathSeparator) // where Git finds no repository by itself
	}
	cmd.Env = append(append([]string{}, g.environ...), command.Env...)
	cmd.ExtraFiles = command.Files
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	tie(cmd)

	return cmd
}
