package coordinator_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"praefect/coordinator"
)

// pool is a path by which clients call an object pool.
const pool = "@pools/ab/cd/" +
	"abcd000000000000000000000000000000000000000000000000000000000000.git"

func TestReplicaPath(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		id           coordinator.RepositoryID
		client, want string
	}{
		{1, "group/project.git", "@cluster/repositories/6b/86/1"},
		{2, "@hashed/d4/73/d473.git", "@cluster/repositories/d4/73/2"},
		{42, pool, "@cluster/pools/73/47/42"},
		{42, pool + "/", "@cluster/repositories/73/47/42"},
	} {
		require.Equal(t, tc.want, coordinator.ReplicaPath(tc.id, tc.client), tc.client)
	}
}

func TestIsPoolPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{
		pool:                                     true,
		"below/" + pool:                          true,
		strings.TrimSuffix(pool, ".git"):         false,
		strings.Replace(pool, "abcd", "abce", 1): false,
		strings.ToUpper(pool):                    false,
		strings.Replace(pool, "00", "0", 1):      false,
		"@pools/ab/cd/" + pool:                   true,
		"group/project.git":                      false,
		"":                                       false,
	} {
		require.Equal(t, want, coordinator.IsPoolPath(path), path)
	}
}

// TestReplicaPathsAreRecognised holds the paths of all ids against the forms by which nodes tell
// repositories and pools apart, and shard them.
func TestReplicaPathsAreRecognised(t *testing.T) {
	t.Parallel()
	repositories := regexp.MustCompile(`^@cluster/repositories/[0-9a-f]{2}/[0-9a-f]{2}/[0-9]+$`)
	pools := regexp.MustCompile(`@cluster/pools/[0-9a-f]{2}/[0-9a-f]{2}/[0-9]+$`)
	rapid.Check(t, func(t *rapid.T) {
		id := coordinator.RepositoryID(rapid.Int64Min(1).Draw(t, "id"))
		path := coordinator.ReplicaPath(id, "group/project.git")
		require.Regexp(t, repositories, path)
		require.False(t, coordinator.IsPoolReplicaPath(path))
		path = coordinator.ReplicaPath(id, pool)
		require.Regexp(t, pools, path)
		require.True(t, coordinator.IsPoolReplicaPath(path))
	})
	for _, path := range []string{
		"", pool, "@cluster/pools/", "@cluster/pools/ab/cd/x", "@cluster/pools/a/cd/7",
		"@cluster/pools/ab/cd/7/objects", "elsewhere/@cluster/pools/ab/cd/7",
	} {
		require.False(t, coordinator.IsPoolReplicaPath(path), path)
	}
}
