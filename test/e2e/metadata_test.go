package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// metadata is what the proxy has recorded about a repository.
type metadata struct {
	replicaPath string
	primary     string
	epoch       int64
	generation  int64
	// replicas are the generations of the assigned replicas by storage.
	replicas map[string]int64
}

// current lists the storages that are recorded as current, sorted.
func (m metadata) current() []string {
	var storages []string
	for storage, generation := range m.replicas {
		if generation == m.generation {
			storages = append(storages, storage)
		}
	}
	slices.Sort(storages)

	return storages
}

// metadata reads what is recorded, in one snapshot.
func (r *repository) metadata(t require.TestingT) metadata {
	const query = `
		SELECT r.replica_path, r.primary_storage, r.epoch, r.generation,
		       c.storage, c.generation
		FROM praefect.repositories AS r
		JOIN praefect.replicas AS c ON c.repository_id = r.id
		WHERE r.virtual_storage = $1 AND r.relative_path = $2
			AND r.state = 'ready' AND c.assigned`

	ctx := r.rig.context
	conn, err := pgx.Connect(ctx, r.rig.Database().DSN())
	require.NoError(t, err)
	defer conn.Close(ctx)

	rows, err := conn.Query(ctx, query, r.proto.GetStorageName(), r.proto.GetRelativePath())
	require.NoError(t, err)

	found := metadata{replicas: map[string]int64{}}
	var storage string
	var generation int64
	_, err = pgx.ForEachRow(rows, []any{
		&found.replicaPath, &found.primary, &found.epoch, &found.generation, &storage, &generation,
	}, func() error {
		found.replicas[storage] = generation

		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, found.replicas, "no metadata of %s", r.proto.GetRelativePath())

	return found
}

// waitOutdated waits until a replica is recorded as outdated.
func (r *repository) waitOutdated(t *testing.T, storage string) {
	t.Helper()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NotContains(c, r.metadata(c).current(), storage)
	}, promised, tick)
}

// waitConverged waits until all replicas are recorded as current, and then demands that they are
// equal, sound and free of locks.
func (r *repository) waitConverged(t *testing.T) {
	t.Helper()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Len(c, r.metadata(c).current(), len(r.rig.Nodes()))
	}, waitLong, tick, "replicas were not repaired")

	r.requireConsistent(t)
	for _, node := range r.rig.Nodes() {
		checkObjects(t, node, r.replicaPath)
		require.Empty(t, locks(t, node))
	}
}

// requireConsistent demands that the replicas recorded as current come to be equal, as read from
// the disks and as the nodes answer. Calls that are just ending may take a moment.
func (r *repository) requireConsistent(t *testing.T) {
	t.Helper()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		before := r.metadata(c)
		states := map[string]string{}
		for _, storage := range before.current() {
			states[storage] = r.state(c, r.node(t, storage))
		}
		require.Equal(c, before, r.metadata(c), "metadata changed meanwhile")

		first := before.current()[0]
		for storage, state := range states {
			require.Equal(c, states[first], state, "%s and %s differ", first, storage)
		}
	}, promised, tick)
}

// state is all references of a replica, and its checksum if the node runs.
func (r *repository) state(t require.TestingT, node *cluster.Node) string {
	text, err := readReferences(r.rig.context, node, r.replicaPath)
	require.NoError(t, err)
	if !node.Process().Running() {
		return text
	}

	conn, err := cluster.Dial(node.Address, r.rig.Token())
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is under way.

	answer, err := gitalypb.NewRepositoryServiceClient(conn).CalculateChecksum(r.rig.context,
		&gitalypb.CalculateChecksumRequest{Repository: &gitalypb.Repository{
			StorageName: node.Storage, RelativePath: r.replicaPath,
		}})
	require.NoError(t, err)

	return strings.Join([]string{text, "checksum " + answer.GetChecksum()}, "\n")
}
