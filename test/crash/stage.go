package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"praefect/test/cluster"
)

// Times of the cluster: as short as two busy cores allow, so that what is decided by the passing of
// time is decided soon.
const (
	// extraConfig is for the proxies. The nodes' own deadline is below node_deadline.
	extraConfig = `[transactions]
lease = "3s"
lease_margin = "1s"
settle = "500ms"
node_deadline = "8s"
drain_timeout = "4s"
`
	voteTimeout = 5 * time.Second

	startTimeout = 60 * time.Second
)

// stage is a cluster on which cases are tried, one after the other.
type stage struct {
	*cluster.Cluster
	stops *stops
	dir   string
}

// newStage starts three nodes and two proxies.
func newStage(
	ctx context.Context, programs cluster.Programs, env []string,
) (*stage, error) {
	dir, err := os.MkdirTemp("", "crash-")
	if err != nil {
		return nil, fmt.Errorf("create directory: %w", err)
	}
	s := &stage{dir: dir}
	socket := filepath.Join(dir, "stops")
	if s.stops, err = listen(ctx, socket); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	s.Cluster, err = cluster.Start(ctx, cluster.Config{
		Programs: programs, Dir: filepath.Join(dir, "cluster"), Proxies: 2,
		VoteTimeout: voteTimeout, Extra: extraConfig, LogLevel: "debug",
		GracefulStop: time.Second,
		Env:          append([]string{"PRAEFECT_FAILPOINTS=*=" + socket}, env...),
	})
	if err != nil {
		return nil, errors.Join(err, s.stops.close(), os.RemoveAll(dir))
	}

	return s, nil
}

// close ends everything and removes it.
func (s *stage) close() error {
	return errors.Join(s.Close(), s.stops.close(), os.RemoveAll(s.dir))
}

// saveLogs copies the logs to a directory.
func (s *stage) saveLogs(to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("remove old logs: %w", err)
	}

	return os.CopyFS(to, os.DirFS(filepath.Join(s.Dir(), "log")))
}

// newPath is the path of a repository that was never there.
func newPath() string { return fmt.Sprintf("crash/%x.git", rand.Uint64()) }

// survivor returns a proxy that runs; the second one if both do, as the first carries the writes
// that are to be disturbed.
func (s *stage) survivor() (*cluster.Proxy, error) {
	proxies := s.Proxies()
	for i := range proxies {
		if proxy := proxies[len(proxies)-1-i]; proxy.Process().Answers() {
			return proxy, nil
		}
	}

	return nil, errors.New("no proxy is left")
}

// heal starts what does not run and resumes what is frozen.
func (s *stage) heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, node := range s.Nodes() {
		var err error
		switch {
		case !node.Process().Running():
			err = node.Start(ctx)
		case !node.Process().Answers():
			err = node.Process().Resume()
		}
		if err != nil {
			return err
		}
	}
	for _, proxy := range s.Proxies() {
		var err error
		switch {
		case !proxy.Process().Running():
			err = proxy.Start(ctx)
		case !proxy.Process().Answers():
			err = proxy.Process().Resume()
		}
		if err != nil {
			return err
		}
	}

	return nil
}
