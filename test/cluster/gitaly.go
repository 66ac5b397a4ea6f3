package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// gitaly starts an unmodified Gitaly on a node's storage.
type gitaly struct {
	program, config string
	env             []string
}

// newGitaly writes the configuration of a Gitaly for the node. It needs a runtime directory with a
// short path, since it makes sockets there.
func newGitaly(n *Node, programs Programs, dir, gitlab string) (*gitaly, error) {
	g := &gitaly{
		program: programs.Gitaly,
		config:  filepath.Join(dir, n.Storage+".toml"),
	}
	runtime := filepath.Join(dir, "run-"+n.Storage)
	secret := filepath.Join(dir, n.Storage+".secret")
	if err := os.MkdirAll(runtime, 0o700); err != nil {
		return nil, fmt.Errorf("create runtime directory: %w", err)
	}
	if err := os.WriteFile(secret, []byte(n.token), 0o600); err != nil {
		return nil, fmt.Errorf("write secret: %w", err)
	}

	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	line("listen_addr = %q", strings.TrimPrefix(n.Address, "tcp://"))
	line("bin_dir = %q\nruntime_dir = %q", filepath.Dir(g.program), runtime)
	line("[auth]\ntoken = %q", n.token)
	line("[git]\nignore_gitconfig = true")
	if programs.Git != "" {
		// Without it a Gitaly that has Git built in would prefer that.
		g.env = []string{"GITALY_TESTING_GIT_BINARY=" + programs.Git}
	}
	line("[gitlab]\nurl = %q\nsecret_file = %q", gitlab, secret)
	line("[logging]\nformat = \"json\"\nlevel = \"info\"\ndir = %q", filepath.Join(dir, "log"))
	line("[[storage]]\nname = %q\npath = %q", n.Storage, n.Disk)
	if !n.sync {
		line("[[git.config]]\nkey = \"core.fsync\"\nvalue = \"none\"")
	}
	if err := os.WriteFile(g.config, []byte(text.String()), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}

	return g, nil
}

// command is what starts it.
func (g *gitaly) command() []string { return []string{g.program, "serve", g.config} }
