package acceptance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// command runs a subcommand that has to succeed, and returns what it wrote.
func command(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Proxy().Command(t.Context(), args...)
	require.NoError(t, err)

	return out
}

// refused runs a subcommand that has to fail, and returns what it wrote.
func refused(t *testing.T, c *cluster.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Proxy().Command(t.Context(), args...)
	require.Error(t, err, "%v: %s", args, out)

	return out
}

// known is what `metadata -json` tells.
type known struct {
	RepositoryID int64  `json:"repository_id"`
	ReplicaPath  string `json:"replica_path"`
	Primary      string `json:"primary"`
	Generation   int64  `json:"generation"`
	Replicas     []struct {
		Storage    string     `json:"storage"`
		Assigned   bool       `json:"assigned"`
		Generation int64      `json:"generation"`
		VerifiedAt *time.Time `json:"verified_at"`
	} `json:"replicas"`
}

func metadataOf(t require.TestingT, c *cluster.Cluster, path string) known {
	out, err := c.Proxy().Command(contextOf(t), "metadata", "-json", "-virtual-storage", "default",
		"-relative-path", path)
	require.NoError(t, err)
	var found known
	require.NoError(t, json.Unmarshal([]byte(out), &found))

	return found
}

// current says whether all assigned replicas are, and so many there are.
func (k known) current(count int) bool {
	have := 0
	for _, replica := range k.Replicas {
		if replica.Assigned && replica.Generation == k.Generation {
			have++
		}
	}

	return have == count && len(k.Replicas) == count
}

// TestReplicationFactor changes the factor of one repository with the command lines of the
// documentation, and then a hundred times by what the command calls, while replicas are filled and
// removed behind it. The primary is never taken away.
//
// Requirements: T093, T094, T145, T146, T151, T152
func TestReplicationFactor(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	create(t, conn, "factor.git")
	primary := metadataOf(t, c, "factor.git").Primary
	factor := func(value string) []string {
		return []string{
			"set-replication-factor", "-virtual-storage", "default", "-repository", "factor.git",
			"-replication-factor", value,
		}
	}
	assignments := regexp.MustCompile(`^current assignments: (.*)\n$`)
	for _, count := range []int{2, 1, 3, 1, 2, 3} {
		out := command(t, c, factor(string(rune('0'+count)))...)
		match := assignments.FindStringSubmatch(out)
		require.NotNil(t, match, "%q", out)
		storages := strings.Split(match[1], ", ")
		require.Len(t, storages, count)
		require.Contains(t, storages, primary)
		require.True(t, slices.IsSorted(storages))
	}
	random := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		count := 1 + random.Int32N(3)
		answer, err := gitalypb.NewPraefectInfoServiceClient(conn).SetReplicationFactor(
			t.Context(), &gitalypb.SetReplicationFactorRequest{
				VirtualStorage: "default", RelativePath: "factor.git", ReplicationFactor: count,
			})
		require.NoError(t, err)
		require.Len(t, answer.GetStorages(), int(count))
		require.Contains(t, answer.GetStorages(), primary)
	}
	found := metadataOf(t, c, "factor.git")
	require.Equal(t, primary, found.Primary)
	for _, replica := range found.Replicas {
		require.True(t, replica.Assigned || replica.Storage != primary)
	}
	require.Contains(t, refused(t, c, factor("4")...), "set replication factor: attempted to set "+
		"replication factor 4 but virtual storage only contains 3 storages")
	require.Contains(t, refused(t, c, factor("0")...),
		"attempted to set replication factor 0 but minimum is 1")
}

// TestT147T149Assignments raises the factor of many repositories from one to two: what is stored is
// the list that the command prints and no number, and the storages that are added are spread.
func TestT147T149Assignments(t *testing.T) {
	t.Parallel()
	const repositories = 16
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	pairs, primaries := map[string]bool{}, map[string]bool{}
	for i := range repositories {
		path := fmt.Sprintf("spread-%d.git", i)
		create(t, conn, path)
		var out string
		for _, factor := range []string{"1", "2"} {
			out = command(t, c, "set-replication-factor", "-virtual-storage", "default",
				"-relative-path", path, "-replication-factor", factor)
		}
		found := metadataOf(t, c, path)
		require.Equal(t, out, "current assignments: "+strings.Join(lines(t, c.Database(),
			`SELECT string_agg(p.storage, ', ' ORDER BY p.storage)
			   FROM praefect.replicas AS p
			  WHERE p.assigned AND p.repository_id = `+formatID(found.RepositoryID)), "")+"\n")
		primaries[found.Primary] = true
		pairs[found.Primary+" and "+out] = true
	}
	require.Greater(t, len(pairs), len(primaries), "always the same storage: %v", pairs)
	require.Empty(t, lines(t, c.Database(), `SELECT table_name || '.' || column_name
	   FROM information_schema.columns
	  WHERE table_schema = 'praefect' AND column_name LIKE '%factor%'`))
}

// TestReplicasComeAndGo lowers the factor: replicas that are not assigned any more leave the disks,
// and nothing else does. Raised again, they are copied again.
//
// Requirements: T150
func TestReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "surplus.git")
	require.NoError(t, write(t.Context(), conn, repository, "before"))
	before := metadataOf(t, c, "surplus.git")
	disks := func() []string {
		var storages []string
		for _, node := range c.Nodes() {
			if _, err := os.Stat(node.Path(before.ReplicaPath)); err == nil {
				storages = append(storages, node.Storage)
			}
		}

		return storages
	}
	require.Len(t, disks(), 3)
	for _, factor := range []string{"1", "3"} {
		command(t, c, "set-replication-factor", "-virtual-storage", "default", "-relative-path",
			"surplus.git", "-replication-factor", factor)
		require.NoError(t, write(t.Context(), conn, repository, "with-"+factor))
		count := int(factor[0] - '0')
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			require.Len(t, disks(), count)
			require.True(t, metadataOf(t, c, "surplus.git").current(count))
		}, wait, tick)
		require.Contains(t, disks(), before.Primary)
		require.NoError(t, exists(t.Context(), conn, repository))
	}
	require.Contains(t, command(t, c, "transactions", "-virtual-storage", "default",
		"-relative-path", "surplus.git", "-limit", "100"),
		"removed: the repository is not assigned to its storage")
}

// TestRaisedFactor raises the factor while the new replicas cannot be filled: the repository is as
// writable as before. When they are filled, a write needs two of the three.
func TestRaisedFactor(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "raised.git")
	factor := func(value string) {
		t.Helper()
		command(t, c, "set-replication-factor", "-virtual-storage", "default", "-relative-path",
			"raised.git", "-replication-factor", value)
	}
	factor("1")
	require.NoError(t, write(t.Context(), conn, repository, "alone"))
	primary := metadataOf(t, c, "raised.git").Primary
	var others []*cluster.Node
	for _, node := range c.Nodes() {
		if node.Storage != primary {
			others = append(others, node)
			require.NoError(t, node.Kill())
		}
	}
	factor("3")
	require.NoError(t, write(t.Context(), conn, repository, "still"))

	for _, node := range others {
		require.NoError(t, node.Start(t.Context()))
	}
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.True(collect, metadataOf(collect, c, "raised.git").current(3))
	}, wait, tick)
	for _, node := range others {
		require.NoError(t, node.Kill())
	}
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.ErrorContains(collect, write(context.Background(), conn, repository, "refused"),
			"too few copies: a write needs 2 current replicas on healthy nodes, has 1")
	}, wait, tick)
}

// TestNewNode configures one more node: it gets every repository, those that were there before and
// those that come after.
//
// Requirements: T004, T141, T142
func TestNewNode(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{
		Storages: []string{"gitaly-1", "gitaly-2"}, Outside: []string{"gitaly-3"},
	})
	repository := create(t, dialled(t, c, c.Proxy().Address), "before.git")
	added := c.Outside()[0]
	file, err := os.OpenFile(c.Proxy().ConfigFile, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteString("\n[[virtual_storage.node]]\nstorage = \"gitaly-3\"\naddress = \"" +
		added.Address + "\"\ntoken = \"" + c.Token() + "\"\n")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, c.Proxy().Process().Terminate(t.Context()))
	require.NoError(t, c.Proxy().Start(t.Context()))

	conn := dialled(t, c, c.Proxy().Address)
	create(t, conn, "after.git")
	for _, path := range []string{"before.git", "after.git"} {
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			found := metadataOf(t, c, path)
			require.True(t, found.current(3), "%+v", found)
			require.DirExists(t, added.Path(found.ReplicaPath))
		}, wait, tick, path)
	}
	require.NoError(t, write(t.Context(), conn, repository, "main"))
	require.True(t, metadataOf(t, c, "before.git").current(3))
}

// TestVerifyCommand marks replicas, which are then looked for at once.
//
// Requirements: T095, T096, T097, T098, T173
func TestVerifyCommand(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	create(t, conn, "one.git")
	create(t, conn, "two.git")
	verified := func(path string) {
		require.EventuallyWithT(t, func(t *assert.CollectT) {
			for _, replica := range metadataOf(t, c, path).Replicas {
				require.NotNil(t, replica.VerifiedAt)
			}
		}, wait, tick)
	}
	verified("one.git")
	verified("two.git")
	id := metadataOf(t, c, "one.git").RepositoryID
	require.Equal(t, "3 replicas marked unverified\n",
		command(t, c, "verify", "-repository-id="+formatID(id)))
	verified("one.git")
	require.Equal(t, "6 replicas marked unverified\n",
		command(t, c, "verify", "-virtual-storage=default"))
	verified("one.git")
	verified("two.git")
	require.Equal(t, "2 replicas marked unverified\n",
		command(t, c, "verify", "-virtual-storage=default", "-storage=gitaly-1"))
	require.Equal(t, "0 replicas marked unverified\n", command(t, c, "verify", "-repository-id=1"))
	require.Contains(t, refused(t, c, "verify"),
		"(repository id), (virtual storage) or (virtual storage, storage) required")
}

// TestLossOfNodes goes the way that an operator goes at night: nodes are lost, the commands say
// what is lost with them and why, and the operator decides.
//
// Requirements: T087, T088, T089, T190, T191
func TestLossOfNodes(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	conn := dialled(t, c, c.Proxy().Address)
	repository := create(t, conn, "lost.git")
	require.NoError(t, write(t.Context(), conn, repository, "first"))
	requireWell(t, c)

	// One secondary is lost: writes go on, and the journal says why it is behind.
	primary := metadataOf(t, c, "lost.git").Primary
	var rest, both []*cluster.Node
	for _, node := range c.Nodes() {
		if node.Storage != primary {
			rest = append(rest, node)
		}
	}
	behind := rest[0]
	require.NoError(t, behind.Kill())
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.NoError(collect, write(context.Background(), conn, repository, "second"))
		found := metadataOf(collect, c, "lost.git")
		require.False(collect, found.current(3))
	}, wait, tick)
	requireTold(t, c, behind)

	// The others are lost, and only the outdated one comes back.
	for _, node := range c.Nodes() {
		if node != behind {
			both = append(both, node)
			require.NoError(t, node.Kill())
		}
	}
	require.NoError(t, behind.Start(t.Context()))
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		out, err := c.Proxy().Command(context.Background(), "dataloss")
		require.NoError(collect, err)
		require.Contains(collect, out, "    lost.git (unavailable):\n")
	}, wait, tick)
	require.Error(t, write(t.Context(), conn, repository, "refused"))
	require.Empty(t, command(t, c, "accept-dataloss", "-virtual-storage", "default",
		"-relative-path", "lost.git", "-authoritative-storage", behind.Storage))
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.Equal(collect, behind.Storage, metadataOf(collect, c, "lost.git").Primary)
	}, wait, tick, "it leads as soon as its node is found healthy")
	for _, node := range both {
		require.NoError(t, node.Start(t.Context()))
	}
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.NoError(collect, write(context.Background(), conn, repository, "again"))
		require.True(collect, metadataOf(collect, c, "lost.git").current(3))
	}, wait, tick)
	require.Contains(t, command(t, c, "transactions", "-limit", "100"),
		"because: an operator accepted data loss: one replica counts\n")
}

// requireWell demands that every command finds all in order, but for what tests do to be fast.
func requireWell(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	require.Equal(t, "praefect sql-ping: OK\n", command(t, c, "sql-ping"))
	out := command(t, c, "dial-nodes")
	for _, node := range c.Nodes() {
		require.Contains(t, out, "["+node.Address+"]: SUCCESS: node is healthy!\n")
		require.Contains(t, out, "SUCCESS: confirmed Gitaly storage \""+node.Storage+
			"\" in virtual storages [default] is served\n")
	}
	require.Equal(t, "what fails:\n  database: durability\n", lastLines(refused(t, c, "doctor"), 2),
		"the database of the tests does not sync")
	require.Equal(t, "Virtual storage: default\n"+
		"  All repositories are fully available on all assigned storages!\n",
		command(t, c, "dataloss", "-partially-unavailable"))
}

// requireTold demands that every command names the node that is lost, and what is behind with it.
func requireTold(t *testing.T, c *cluster.Cluster, behind *cluster.Node) {
	t.Helper()
	out := refused(t, c, "dial-nodes", "-timeout", "2s")
	require.Contains(t, out, "["+behind.Address+"]: ERROR: unable to request health check: ")
	require.Contains(t, out, "the following nodes are not healthy: "+behind.Address+"\n")
	require.Contains(t, refused(t, c, "doctor"), "default/"+behind.Storage+": route\n")
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		told, err := c.Proxy().Command(context.Background(), "transactions", "-problems",
			"-virtual-storage", "default", "-repository", "lost.git")
		require.NoError(collect, err)
		require.Regexp(collect, `(?m)^    `+behind.Storage+` .*OUTDATED: its `, told)
		require.Contains(collect, told, "write made\n  default/lost.git\n")
	}, wait, tick)
	require.Regexp(t, behind.Storage+` is behind by [0-9]+ changes? or less, assigned host`,
		command(t, c, "dataloss", "-partially-unavailable"))
}

// TestStrayDirectories has the cleaner and the command tell of what is on a disk and in no row. It
// stays where it is.
func TestStrayDirectories(t *testing.T) {
	t.Parallel()
	c := start(t, cluster.Config{})
	create(t, dialled(t, c, c.Proxy().Address), "known.git")
	stray := c.Nodes()[1].Path("stray.git")
	require.NoError(t, exec.CommandContext(t.Context(), "git", "init", "-q", "--bare", stray).Run())
	old := time.Now().Add(-24 * time.Hour)
	require.NoError(t, filepath.WalkDir(stray, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}

		return os.Chtimes(path, old, old)
	}))
	// The disks were searched when the proxy started; a day later it would search them again.
	require.NoError(t, c.Proxy().Process().Terminate(t.Context()))
	forgetWalks(t, c)
	require.NoError(t, c.Proxy().Start(t.Context()))
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		log := proxyLog(t, c, c.Proxy())
		require.Contains(collect, log, `"msg":"repository is not managed by praefect"`)
		require.Contains(collect, log, `"relative_replica_path":"stray.git"`)
		require.Equal(collect, 1, strings.Count(log, "relative_replica_path"), "only that")
	}, wait, tick)
	require.Equal(t, "The following repositories were found on disk, but missing from the "+
		"tracking database:\n{\"relative_path\":\"stray.git\",\"storage\":\""+
		c.Nodes()[1].Storage+"\",\"virtual_storage\":\"default\"}\n",
		command(t, c, "list-untracked-repositories"))
	require.DirExists(t, stray)
}

// lastLines returns the end of an output.
func lastLines(out string, count int) string {
	lines := strings.SplitAfter(out, "\n")

	return strings.Join(lines[max(0, len(lines)-count-1):], "")
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }

// contextOf is that of a test, or of a condition that is tried again.
func contextOf(t require.TestingT) context.Context {
	if with, ok := t.(interface{ Context() context.Context }); ok {
		return with.Context()
	}

	return context.Background()
}

// forgetWalks makes all disks due to be searched.
func forgetWalks(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.Database().DSN())
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "DELETE FROM praefect.walks")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
}
