// Command praefect-node serves one storage as its own process: a small node on real Git, for
// clusters without GitLab. See package hooks/node.
//
//	praefect-node -listen tcp://127.0.0.1:9999 -storage gitaly-1 -path /disk -hooks praefect-hooks
//
// It prints one line when it serves, and ends in good order on SIGTERM or SIGINT. It leads its own
// process group: killing the group ends Git and the hooks with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"praefect/hooks/node"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "praefect-node: %v\n", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	listen string
	level  zapcore.Level
	node   node.Config
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{level: zapcore.InfoLevel}

	flags := flag.NewFlagSet("praefect-node", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.listen, "listen", "", "`address`: tcp://host:port or unix:path")
	flags.StringVar(&o.node.Storage, "storage", "", "`name` of the storage")
	flags.StringVar(&o.node.Directory, "path", "", "`directory` of the storage")
	flags.StringVar(&o.node.HooksBinary, "hooks", "", "`path` of praefect-hooks")
	flags.StringVar(&o.node.Token, "token", os.Getenv("PRAEFECT_NODE_TOKEN"),
		"`secret` of callers; default $PRAEFECT_NODE_TOKEN, which other users cannot see")
	flags.StringVar(&o.node.GitBinary, "git", "git", "`program`")
	flags.DurationVar(&o.node.VoteTimeout, "vote-timeout", 0, "wait for each verdict (default 5m)")
	flags.DurationVar(&o.node.StopTimeout, "stop-timeout", 0,
		"time for running calls when told to stop (default 10s)")
	flags.BoolVar(&o.node.NoSync, "no-sync", false, "lose changes in a power cut; for tests")
	flags.Var(&o.level, "log-level", "`level`: debug, info, warn or error")
	if err := flags.Parse(args); err != nil {
		return options{}, err //nolint:wrapcheck // The flag package has printed it.
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.listen == "" {
		return options{}, errors.New("-listen is required")
	}

	return o, nil
}

func run(args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	if err := leadGroup(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	log := zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(stderr)), o.level))

	n, err := node.New(o.node, log)
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	listener, err := listen(ctx, o.listen)
	if err != nil {
		return errors.Join(err, n.Close())
	}

	_, err = fmt.Fprintf(stdout, "ready: storage %s on %s\n", o.node.Storage, listener.Addr())
	if err != nil {
		return errors.Join(fmt.Errorf("say that it is ready: %w", err), listener.Close(), n.Close())
	}

	return n.Run(ctx, listener)
}

// listen opens a listener for tcp://host:port or unix:path. A socket file that a killed process
// left is replaced: the storage, which this process has by now, belongs to one process at a time.
func listen(ctx context.Context, address string) (net.Listener, error) {
	network, target := "tcp", strings.TrimPrefix(address, "tcp://")
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, target = "unix", strings.TrimPrefix(path, "//")
		info, err := os.Lstat(target)
		if err == nil && info.Mode().Type() == os.ModeSocket {
			if err := os.Remove(target); err != nil {
				return nil, fmt.Errorf("remove old socket: %w", err)
			}
		}
	}

	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, target)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}

	return listener, nil
}

// leadGroup makes this process the leader of a process group, unless whoever started it did.
func leadGroup() error {
	if syscall.Getpgrp() == os.Getpid() {
		return nil
	}
	if err := syscall.Setpgid(0, 0); err != nil {
		return fmt.Errorf("lead process group: %w", err)
	}

	return nil
}
