package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/hooks"
	"praefect/hooks/node/disk"
	"praefect/hooks/node/git"
	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
)

// Node serves one storage.
type Node struct {
	cfg  Config
	log  *zap.Logger
	git  *git.Git
	disk *disk.Disk

	peers *backchannel.Peers
	links *backchannel.Server
	auth  *auth.Verifier

	hooks    *hooks.Server
	hooksDir string // has links with the hooks' names to the hooks program
	socket   string // where hooks reach this node
	private  string // holds the socket when the storage's path is too long; removed at the end
}

// New takes the storage into use, and tidies up what a crash left there. The caller runs the node
// with Run or lets go of the storage with Close.
func New(cfg Config, log *zap.Logger) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	log = log.With(zap.String("storage", cfg.Storage))

	verifier, err := auth.New(prometheus.NewRegistry(), auth.Config{Token: cfg.Token})
	if err != nil {
		return nil, fmt.Errorf("set up authentication: %w", err)
	}
	storage, recovered, err := disk.Open(cfg.Directory, disk.Config{NoSync: cfg.NoSync})
	if err != nil {
		return nil, fmt.Errorf("open disk: %w", err)
	}
	log.Info("storage opened", zap.Int("repositories", recovered.Repositories),
		zap.Int("locks_removed", recovered.Locks),
		zap.Int("quarantines_removed", recovered.Quarantines),
		zap.Int("unfinished_removed", recovered.Unfinished))

	peers := backchannel.NewPeers(log)
	n := &Node{
		cfg:   cfg,
		log:   log,
		git:   git.New(git.Config{Binary: cfg.GitBinary, NoSync: cfg.NoSync}),
		disk:  storage,
		peers: peers,
		links: backchannel.NewServer(
			insecure.NewCredentials(), peers, log, backchannel.DefaultConfig()),
		auth: verifier,
		hooks: hooks.NewServer(func(err error) {
			log.Warn("hook not served", zap.Error(err))
		}),
	}
	if err := n.install(); err != nil {
		return nil, errors.Join(err, n.Close())
	}

	return n, nil
}

// Close lets go of the storage of a node that does not run.
func (n *Node) Close() error {
	var removed error
	if n.private != "" {
		removed = os.RemoveAll(n.private)
	}

	return errors.Join(removed, n.disk.Close())
}

// socketMax is a little less than the length of a path that every system takes for a socket.
const socketMax = 100

// install makes the directory in which Git finds the hooks, and chooses where they find the node.
func (n *Node) install() error {
	n.hooksDir = n.disk.Own("hooks")
	if err := os.RemoveAll(n.hooksDir); err != nil {
		return fmt.Errorf("remove old hooks: %w", err)
	}
	if err := os.MkdirAll(n.hooksDir, 0o755); err != nil {
		return fmt.Errorf("create directory of hooks: %w", err)
	}
	binary, err := filepath.Abs(n.cfg.HooksBinary)
	if err != nil {
		return fmt.Errorf("find hooks program: %w", err)
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("find hooks program: %w", err)
	}
	for _, name := range hooks.Names() {
		if err := os.Symlink(binary, filepath.Join(n.hooksDir, name)); err != nil {
			return fmt.Errorf("install hook: %w", err)
		}
	}

	n.socket = n.disk.Own("socket")
	if len(n.socket) > socketMax {
		n.private, err = os.MkdirTemp("", "praefect-node-")
		if err != nil {
			return fmt.Errorf("create directory of socket: %w", err)
		}
		n.socket = filepath.Join(n.private, "socket")
	}
	if err := os.RemoveAll(n.socket); err != nil { // A killed node left it.
		return fmt.Errorf("remove old socket: %w", err)
	}

	return nil
}

// Run serves until ctx ends, and returns when everything that was started has ended, the node
// closed included. Calls may go on for Config.StopTimeout after ctx ended.
func (n *Node) Run(ctx context.Context, listeners ...net.Listener) error {
	var listen net.ListenConfig
	socket, err := listen.Listen(ctx, "unix", n.socket)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for hooks: %w", err), n.Close())
	}

	server := n.server()
	serving, failed := errgroup.WithContext(ctx)
	for _, listener := range listeners {
		serving.Go(func() error {
			if err := server.Serve(n.links.Listener(listener)); err != nil {
				return fmt.Errorf("serve calls: %w", err)
			}

			return nil
		})
	}

	// Hooks are answered until the last call has ended.
	hooksCtx, endHooks := context.WithCancel(context.WithoutCancel(ctx))
	defer endHooks()
	serving.Go(func() error {
		n.hooks.Serve(hooksCtx, socket)

		return nil
	})

	<-failed.Done()
	n.stop(ctx, server)
	endHooks()

	return errors.Join(serving.Wait(), n.peers.Close(), n.Close())
}

// stop ends the calls, in good order as far as there is time.
func (n *Node) stop(ctx context.Context, server *grpc.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.StopTimeout)
	defer cancel()

	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		server.GracefulStop()
	}()

	select {
	case <-stopped:
	case <-ctx.Done():
		n.log.Warn("calls cancelled", zap.Duration("waited", n.cfg.StopTimeout))
		server.Stop()
		<-stopped
	}
}
