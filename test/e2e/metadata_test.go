package e2e_test

import (
	"slices"
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
	defer func() { _ = conn.Close(ctx) }() // nothing is under way

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

// waitCurrent waits until all replicas are recorded as current.
func (r *repository) waitCurrent(t *testing.T) {
	t.Helper()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Len(c, r.metadata(c).current(), len(r.rig.Nodes()))
	}, waitLong, tick, "replicas were not repaired")
}

// waitConverged waits until all replicas are recorded as current, and then demands that they are
// equal, sound and free of locks.
func (r *repository) waitConverged(t *testing.T) {
	t.Helper()

	r.waitCurrent(t)
	r.requireConsistent(t)
	for _, node := range r.rig.Nodes() {
		checkObjects(t, node, r.replicaPath)
		require.Empty(t, locks(t, node))
	}
}

// requireConsistent demands that the replicas recorded as current come to be equal, as read from
// the disks and as those nodes answer that can. Calls that are just ending may take a moment.
func (r *repository) requireConsistent(t *testing.T) {
	t.Helper()

	require.EventuallyWithT(t, func(c *assert.CollectT) {
		before := r.metadata(c)
		var current []*cluster.Node
		for _, storage := range before.current() {
			current = append(current, r.node(t, storage))
		}
		requireEqual(c, current, r.references)
		requireEqual(c, slices.DeleteFunc(current, func(n *cluster.Node) bool {
			return !n.Process().Answers()
		}), r.checksum)
		require.Equal(c, before, r.metadata(c), "metadata changed meanwhile")
	}, promised, tick)
}

// requireEqual demands that all nodes show the same of something.
func requireEqual(
	t require.TestingT, nodes []*cluster.Node,
	show func(require.TestingT, *cluster.Node) string,
) {
	for _, node := range nodes {
		require.Equal(t, show(t, nodes[0]), show(t, node), "%s and %s differ",
			nodes[0].Storage, node.Storage)
	}
}

// references reads all references of a replica from its disk.
func (r *repository) references(t require.TestingT, node *cluster.Node) string {
	text, err := readReferences(r.rig.context, node, r.replicaPath)
	require.NoError(t, err)

	return text
}

// checksum asks a node for the checksum of its replica.
func (r *repository) checksum(t require.TestingT, node *cluster.Node) string {
	conn, err := cluster.Dial(node.Address, r.rig.Token())
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is under way.

	answer, err := gitalypb.NewRepositoryServiceClient(conn).CalculateChecksum(r.rig.context,
		&gitalypb.CalculateChecksumRequest{Repository: &gitalypb.Repository{
			StorageName: node.Storage, RelativePath: r.replicaPath,
		}})
	require.NoError(t, err)

	return answer.GetChecksum()
}
