package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/backchannel"
	"praefect/proxy/sidechannel"
	"praefect/test/cluster"
)

const (
	startTimeout = 2 * time.Minute
	// caseMax bounds a case.
	caseMax = 5 * time.Minute
	// plain is the storage of a node that the proxy does not know.
	plain = "plain"
	// patience makes the proxy wait for nodes that lag behind: on a busy machine healthy nodes
	// drift further apart than in life.
	patience = `[transactions]
grace_min = "5s"
grace_max = "5s"
`
)

// stage is a cluster on which the cases are tried, and a client of it.
type stage struct {
	*cluster.Cluster
	dir    string
	gitaly bool
	git    version
	// program is the Git of the nodes, if one was named.
	program string
	// writes is how many writes the case with many makes.
	writes int

	conn         *grpc.ClientConn
	mux          *backchannel.Client
	sidechannels *sidechannel.Registry
	direct       map[string]*grpc.ClientConn
}

// newStage starts a cluster.
func newStage(ctx context.Context, config cluster.Config, writes int) (*stage, error) {
	dir, err := os.MkdirTemp("", "interop-")
	if err != nil {
		return nil, fmt.Errorf("create directory: %w", err)
	}
	s := &stage{
		dir: dir, writes: writes, program: config.Programs.Git,
		gitaly: config.Programs.Gitaly != "", direct: map[string]*grpc.ClientConn{},
	}
	if s.git, err = versionOf(ctx, config.Programs.Git); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	config.Dir, config.Outside = filepath.Join(dir, "cluster"), []string{plain}
	config.LogLevel, config.Extra = "debug", patience
	config.Env = append(config.Env, stopVariable(dir))
	if s.Cluster, err = cluster.Start(ctx, config); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.dial(); err != nil {
		return nil, errors.Join(err, s.close())
	}

	return s, nil
}

// dial connects to the proxy, the way GitLab does, and to the nodes behind it.
func (s *stage) dial() error {
	log := zap.NewNop()
	s.sidechannels = sidechannel.NewRegistry(log)
	s.mux = backchannel.NewClient(insecure.NewCredentials(),
		backchannel.Services{Sidechannel: s.sidechannels.Accept}, log, backchannel.DefaultConfig())
	var err error
	s.conn, err = cluster.Dial(s.Proxy().Address, s.Token(),
		grpc.WithTransportCredentials(s.mux), grpc.WithDisableRetry())
	if err != nil {
		return err
	}
	for _, node := range append(s.Nodes(), s.Outside()...) {
		s.direct[node.Storage], err = cluster.Dial(node.Address, s.Token())
		if err != nil {
			return err
		}
	}

	return nil
}

// close ends everything and removes it.
func (s *stage) close() error {
	var errs []error
	for _, conn := range s.direct {
		errs = append(errs, conn.Close())
	}
	if s.conn != nil {
		errs = append(errs, s.conn.Close())
	}
	if s.mux != nil {
		errs = append(errs, s.mux.Close())
	}

	return errors.Join(append(errs, s.Close(), os.RemoveAll(s.dir))...)
}

// saveLogs copies the logs to a directory.
func (s *stage) saveLogs(to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("remove old logs: %w", err)
	}
	if err := os.CopyFS(to, os.DirFS(filepath.Join(s.Dir(), "log"))); err != nil {
		return fmt.Errorf("copy logs: %w", err)
	}

	return nil
}

// lacks says what the nodes do not have of what a case needs, or nothing.
func (s *stage) lacks(n needs) string {
	switch {
	case n.gitaly != "" && !s.gitaly:
		return "needs an unmodified Gitaly: " + n.gitaly
	case s.git.before(n.git):
		return fmt.Sprintf("needs Git %s, the nodes have %s", n.git, s.git)
	}

	return ""
}

// version is the version of a Git.
type version struct{ major, minor int }

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func (v version) before(other version) bool {
	return v.major < other.major || v.major == other.major && v.minor < other.minor
}

func versionOf(ctx context.Context, program string) (version, error) {
	if program == "" {
		program = "git"
	}
	output, err := exec.CommandContext(ctx, program, "version").Output()
	if err != nil {
		return version{}, fmt.Errorf("ask for version of Git: %w", err)
	}
	var v version
	if _, err := fmt.Sscanf(string(output), "git version %d.%d", &v.major, &v.minor); err != nil {
		return v, fmt.Errorf("read version %q: %w", output, err)
	}

	return v, nil
}
