package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// Node is one storage: a disk and, most of the time, a running praefect-node or
// Gitaly.
type Node struct {
	// Storage is its name, Address where it listens (tcp://host:port), Disk its directory.
	Storage string
	Address string
	Disk    string

	program  string
	git      string
	hooks    string
	token    string
	log      string
	sync     bool
	wrapper  []string
	patience time.Duration
	// gitaly is set when that is what runs, and not program.
	gitaly *gitaly
	// process is set by Start, and asked for by whoever wants to know the node's process id.
	process atomic.Pointer[Process]
}

func newNode(ctx context.Context, config Config, dir, storage string) (*Node, error) {
	address, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}

	disk := filepath.Join(dir, "disks", storage)
	if err := os.MkdirAll(disk, 0o755); err != nil {
		return nil, fmt.Errorf("create disk: %w", err)
	}

	hooks, ok := config.Hooks[storage]
	if !ok {
		hooks = config.Programs.Hooks
	}

	return &Node{
		Storage:  storage,
		Address:  "tcp://" + address,
		Disk:     disk,
		program:  config.Programs.Node,
		git:      config.Programs.Git,
		hooks:    hooks,
		token:    config.nodeToken(storage),
		sync:     config.Durable,
		patience: config.VoteTimeout,
		wrapper:  config.NodeWrapper,
		log:      filepath.Join(dir, "log", storage+".log"),
	}, nil
}

// Start starts the node's program and waits until it serves.
func (n *Node) Start(ctx context.Context) error {
	line := slices.Concat(n.wrapper, n.command())
	process, err := Spawn(Command{
		Path: line[0], Args: line[1:], Env: n.env(), Log: n.log,
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", n.Storage, err)
	}
	n.process.Store(process)

	if err := WaitServing(ctx, process, n.Address); err != nil {
		return fmt.Errorf("node %s: %w", n.Storage, err)
	}

	return nil
}

func (n *Node) env() []string {
	if n.gitaly != nil {
		return n.gitaly.env
	}

	return []string{"PRAEFECT_NODE_TOKEN=" + n.token}
}

// command is what starts the node's program.
func (n *Node) command() []string {
	if n.gitaly != nil {
		return n.gitaly.command()
	}
	args := []string{
		n.program, "-listen", n.Address, "-storage", n.Storage, "-path", n.Disk,
		"-hooks", n.hooks,
	}
	if n.git != "" {
		args = append(args, "-git", n.git)
	}
	if !n.sync {
		args = append(args, "-no-sync")
	}
	if n.patience > 0 {
		args = append(args, "-vote-timeout", n.patience.String())
	}

	return args
}

// UseHooks makes the next Start use another hooks program.
func (n *Node) UseHooks(path string) { n.hooks = path }

// Process is the latest program of the node; nil before the first Start.
func (n *Node) Process() *Process { return n.process.Load() }

// Kill ends the node and all that it started, as a power cut would.
func (n *Node) Kill() error { return n.Process().Kill() }

// Path is where a replica path lies on this node's disk.
func (n *Node) Path(replicaPath string) string { return filepath.Join(n.Disk, replicaPath) }
