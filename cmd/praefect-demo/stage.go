package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

const repositoryPath = "demo.git"

// stage is a running cluster with one repository, and the means to look at both.
type stage struct {
	*cluster.Cluster

	store *postgres.Store
	votes *voteLog
	// replicaPath is where the repository lies on every disk.
	replicaPath string
}

// onStage starts a cluster, creates a repository, acts, and removes everything again.
func onStage(ctx context.Context, n *narrator, act func(*stage) error) (err error) {
	n.step("Start PostgreSQL, three nodes, the proxy and a Git-over-HTTP gateway")
	found, err := programs()
	if err != nil {
		return err
	}
	started, err := cluster.Start(ctx, cluster.Config{Programs: found, LogLevel: "debug"})
	if err != nil {
		return err
	}
	// The cluster has to be ended above all when the context has ended.
	defer func() { err = errors.Join(err, started.Close()) }() //nolint:contextcheck // as above

	s := &stage{
		Cluster: started,
		votes:   &voteLog{path: filepath.Join(started.Dir(), "log", "praefect.log")},
	}
	if err := s.openStore(ctx); err != nil {
		return err
	}
	defer s.store.Close()

	n.saw("PostgreSQL  %s", s.Database().DSN())
	for _, node := range s.Nodes() {
		n.saw("%s    %s  process %d", node.Storage, node.Address, node.Process().PID())
	}
	n.saw("praefect    %s  process %d", s.Proxy().Address, s.Proxy().Process().PID())

	n.step("Create a repository through the proxy")
	if err := s.create(ctx); err != nil {
		return err
	}
	n.saw("%s in storage %q, on every disk as %s",
		repositoryPath, s.VirtualStorage(), s.replicaPath)

	if err := act(s); err != nil {
		n.complaints(s.votes.path)

		return err
	}

	return nil
}

func (s *stage) openStore(ctx context.Context) error {
	database := s.Database()
	store, err := postgres.Open(ctx, zap.NewNop(), postgres.Config{
		Host: database.Host, Port: fmt.Sprint(database.Port), User: database.User,
		Password: database.Password, DBName: database.Name, SSLMode: "disable",
	})
	if err != nil {
		return fmt.Errorf("open metadata: %w", err)
	}
	s.store = store

	return nil
}

func (s *stage) create(ctx context.Context) (err error) {
	conn, err := cluster.Dial(s.Proxy().Address, s.Token())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	_, err = gitalypb.NewRepositoryServiceClient(conn).CreateRepository(ctx,
		&gitalypb.CreateRepositoryRequest{
			Repository: &gitalypb.Repository{
				StorageName: s.VirtualStorage(), RelativePath: repositoryPath,
			},
			DefaultBranch: []byte("main"),
		}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("create repository: %w", err)
	}

	m, err := s.metadata(ctx)
	s.replicaPath = m.ReplicaPath

	return err
}

func (s *stage) remote() string { return s.GitURL(repositoryPath) }

// metadata is what is recorded about the repository.
type metadata struct{ coordinator.Repository }

func (s *stage) metadata(ctx context.Context) (metadata, error) {
	repository, err := s.store.Lookup(ctx, coordinator.Key{
		VirtualStorage: coordinator.VirtualStorage(s.VirtualStorage()),
		RelativePath:   repositoryPath,
	})
	if err != nil {
		return metadata{}, fmt.Errorf("look up metadata: %w", err)
	}

	return metadata{repository}, nil
}

// current lists the storages whose replica holds every recorded write.
func (m metadata) current() []string {
	var current []string
	for _, replica := range m.Replicas {
		if m.Current(replica.Storage) {
			current = append(current, string(replica.Storage))
		}
	}

	return current
}

// secondary is some node that is not the primary.
func (s *stage) secondary(m metadata) (*cluster.Node, error) {
	for _, node := range s.Nodes() {
		if node.Storage != string(m.Primary) {
			return node, nil
		}
	}

	return nil, errors.New("there is no secondary")
}

// await polls the metadata until they are as wanted.
func (s *stage) await(ctx context.Context, what string, wanted func(metadata) bool) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()

	for {
		m, err := s.metadata(ctx)
		if err == nil && wanted(m) {
			return nil
		}

		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, errors.Join(err, ctx.Err()))
		}
	}
}

// killDuringUpload kills a node, and all that it started, as soon as it has begun to receive
// objects of a push.
func (s *stage) killDuringUpload(ctx context.Context, victim *cluster.Node) error {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()

	// Git receives objects into a directory beside the others and moves them later.
	quarantine := filepath.Join(victim.Path(s.replicaPath), "objects", "*incoming-*", "*", "*")
	for {
		received, err := filepath.Glob(quarantine)
		if err != nil {
			return fmt.Errorf("watch upload: %w", err)
		}
		if len(received) > 0 {
			return victim.Kill()
		}

		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the upload to reach %s: %w", victim.Storage, ctx.Err())
		}
	}
}
