package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"praefect/proxy/digest"
	"praefect/proxy/gitalypb"
)

// repository is a repository of a case.
type repository struct {
	*take
	proto *gitalypb.Repository
}

// newRepository names a repository that does not exist yet.
func (t *take) newRepository() *repository {
	number := rand.Uint32()

	return &repository{take: t, proto: &gitalypb.Repository{
		StorageName:   t.stage.VirtualStorage(),
		RelativePath:  fmt.Sprintf("@hashed/ab/cd/%08x.git", number),
		GlRepository:  fmt.Sprintf("project-%d", number),
		GlProjectPath: fmt.Sprintf("group/project-%d", number),
	}}
}

// create creates an empty repository.
func (t *take) create() *repository {
	return t.createWith(gitalypb.ObjectFormat_OBJECT_FORMAT_SHA1)
}

func (t *take) createWith(format gitalypb.ObjectFormat) *repository {
	r := t.newRepository()
	r.mutate(func(options ...grpc.CallOption) error {
		_, err := r.repositories().CreateRepository(t.context, &gitalypb.CreateRepositoryRequest{
			Repository: r.proto, DefaultBranch: []byte("main"), ObjectFormat: format,
		}, options...)

		return err
	})

	return r
}

func (t *take) repositories() gitalypb.RepositoryServiceClient {
	return gitalypb.NewRepositoryServiceClient(t.stage.conn)
}

// outcomeKey is the trailer that says what became of a write.
const outcomeKey = "praefect-outcome"

// mutate makes a call that must succeed, and demands that all replicas are current and equal after
// it.
func (r *repository) mutate(call func(options ...grpc.CallOption) error) {
	var trailer metadata.MD
	require.NoError(r, call(grpc.Trailer(&trailer)))
	require.Equal(r, []string{"recorded"}, trailer.Get(outcomeKey), "outcome of the call")
	r.requireEqual()
}

// known is what the metadata say of a repository.
type known struct {
	path       string
	primary    string
	generation int64
	intents    int
	// replicas are the generations by storage.
	replicas map[string]int64
}

// outdated lists the storages whose replicas are not current.
func (k known) outdated() []string {
	var storages []string
	for storage, generation := range k.replicas {
		if generation != k.generation {
			storages = append(storages, storage)
		}
	}
	slices.Sort(storages)

	return storages
}

// look reads the metadata.
func (r *repository) look() (known, error) {
	const query = `
		SELECT r.replica_path, coalesce(r.primary_storage, ''), r.generation,
			c.storage, c.generation,
			(SELECT count(*) FROM praefect.write_intents AS i WHERE i.repository_id = r.id)
		FROM praefect.repositories AS r
		JOIN praefect.replicas AS c ON c.repository_id = r.id
		WHERE r.relative_path = $1 AND r.state = 'ready' AND c.assigned`

	conn, err := pgx.Connect(r.context, r.stage.Database().DSN())
	if err != nil {
		return known{}, fmt.Errorf("connect to database: %w", err)
	}
	defer func() { _ = conn.Close(r.context) }() // Nothing is under way.

	rows, err := conn.Query(r.context, query, r.proto.GetRelativePath())
	if err != nil {
		return known{}, fmt.Errorf("read metadata: %w", err)
	}
	found := known{replicas: map[string]int64{}}
	var storage string
	var generation int64
	_, err = pgx.ForEachRow(rows, []any{
		&found.path, &found.primary, &found.generation, &storage, &generation, &found.intents,
	}, func() error {
		found.replicas[storage] = generation

		return nil
	})
	if err != nil {
		return known{}, fmt.Errorf("read metadata: %w", err)
	}

	return found, nil
}

// requireEqual demands that all replicas come to be current and equal.
func (r *repository) requireEqual() { r.eventually(settles, r.unequal) }

// unequal says what is not as it should be between calls.
func (r *repository) unequal() error {
	found, err := r.look()
	switch {
	case err != nil:
		return err
	case len(found.replicas) != len(r.stage.Nodes()):
		return fmt.Errorf("replicas in the metadata: %v", found.replicas)
	case len(found.outdated()) > 0:
		return fmt.Errorf("outdated: %v", found.outdated())
	case found.intents > 0:
		return errors.New("somebody holds the turn")
	}

	first := ""
	for i, node := range r.stage.Nodes() {
		text, err := r.digest(node.Storage, found.path)
		if err != nil {
			return err
		}
		if i == 0 {
			first = text
		}
		if text != first {
			return fmt.Errorf("replicas differ:\n%s: %s\n%s: %s",
				r.stage.Nodes()[0].Storage, first, node.Storage, text)
		}
	}

	return nil
}

// digest asks a node what it holds, past the proxy.
func (r *repository) digest(storage, path string) (string, error) {
	asker := digest.New(r.stage)
	var texts []string
	for _, kind := range []digest.Kind{digest.Verification, digest.Config} {
		text, err := asker.Digest(r.context,
			digest.Question{Storage: storage, Path: path, Kind: kind})
		if err != nil {
			return "", fmt.Errorf("%s of %s: %w", kind, storage, err)
		}
		texts = append(texts, text)
	}

	return strings.Join(texts, " "), nil
}

// Conn implements digest.Nodes.
func (s *stage) Conn(_, storage string) (grpc.ClientConnInterface, bool) {
	conn, ok := s.direct[storage]

	return conn, ok
}

// reference reads what a reference holds, from the primary; empty if it is not there.
func (r *repository) reference(name string) string {
	ctx := metadata.AppendToOutgoingContext(r.context,
		"gitaly-route-repository-accessor-policy", "primary-only")
	found, err := readReference(ctx, r.stage.conn, r.proto, name)
	require.NoError(r, err)

	return found
}

func readReference(
	ctx context.Context, conn grpc.ClientConnInterface, repo *gitalypb.Repository, name string,
) (string, error) {
	stream, err := gitalypb.NewRefServiceClient(conn).ListRefs(ctx, &gitalypb.ListRefsRequest{
		Repository: repo, Patterns: [][]byte{[]byte(name)},
	})
	if err != nil {
		return "", fmt.Errorf("list references: %w", err)
	}
	messages, err := all(stream)
	if err != nil {
		return "", fmt.Errorf("list references: %w", err)
	}
	for _, message := range messages {
		for _, found := range message.GetReferences() {
			if string(found.GetName()) == name {
				return found.GetTarget(), nil
			}
		}
	}

	return "", nil
}
