package method_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/proxy/method"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	table := method.Builtin()

	found, ok := table.Lookup("/gitaly.ObjectPoolService/LinkRepositoryToObjectPool")
	require.True(t, ok)
	want := &method.Method{
		Name:          "/gitaly.ObjectPoolService/LinkRepositoryToObjectPool",
		Operation:     method.Mutator,
		Scope:         method.ScopeRepository,
		Target:        method.Path{2},
		Additional:    method.Path{1, 1},
		Turn:          method.TurnBeforeDispatch,
		Kind:          method.KindLink,
		Transactional: true,
	}
	require.Empty(t, cmp.Diff(want, found))

	for _, name := range []string{
		"", "/", "/gitaly.RefService/Nothing", "gitaly.RefService/FindBranch",
		"/gitaly.RefService/FindBranch/",
	} {
		_, ok := table.Lookup(name)
		require.False(t, ok, "%q", name)
	}
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	found, ok := method.Builtin().Lookup("/gitaly.RepositoryService/ReplicateRepository")
	require.True(t, ok)
	require.True(t, found.Creates())
	require.Equal(t, method.TurnNone, found.Turn)
	require.NotNil(t, found.Update)
	require.False(t, found.Update.Creates())
	require.Equal(t, method.TurnAtPrepared, found.Update.Turn)
	require.Equal(t, method.KindObjects, found.Update.Kind)
	require.Equal(t, found.Target, found.Update.Target)
	require.True(t, found.Update.Transactional)
	require.Nil(t, found.Update.Update)
}

// Every method has all that its operation and scope ask for, and nothing else.
func TestConsistency(t *testing.T) {
	t.Parallel()
	table := method.Builtin()
	require.Equal(t, 168, table.Len())
	count := 0
	for m := range table.All() {
		count++
		found, ok := table.Lookup(m.Name)
		require.True(t, ok, m.Name)
		require.Same(t, m, found)
		requireFields(t, m)
		requireWrite(t, m)
	}
	require.Equal(t, table.Len(), count)
}

func requireFields(t *testing.T, m *method.Method) {
	t.Helper()
	repository := m.Scope == method.ScopeRepository
	require.Equal(t, repository, len(m.Target) > 0, "%s: target", m.Name)
	require.Equal(t, m.Operation == method.OperationNone, m.Scope == method.ScopeNone, m.Name)
	if len(m.Additional) > 0 {
		require.Equal(t, method.Mutator, m.Operation, "%s: additional", m.Name)
		require.NotEqual(t, m.Target, m.Additional, m.Name)
	}
	if len(m.Storage) > 0 {
		require.False(t, repository, "%s: storage", m.Name)
		require.Len(t, m.Storage, 1, "%s: storage", m.Name)
	}
	if len(m.Hint) > 0 {
		require.True(t, m.Creates(), "%s: hint", m.Name)
	}
	require.Equal(t, m.Scope == method.ScopePartition, len(m.Partition) > 0, m.Name)
	if m.Operation == method.OperationNone {
		require.True(t, m.Local, "%s: local", m.Name)
	}
	if m.PrimaryOnly || m.Sidechannel {
		require.Equal(t, method.Accessor, m.Operation, m.Name)
	}
}

func requireWrite(t *testing.T, m *method.Method) {
	t.Helper()
	if m.Operation != method.Mutator || m.Scope != method.ScopeRepository {
		require.Equal(t, method.KindNone, m.Kind, "%s: kind", m.Name)
		require.Equal(t, method.TurnNone, m.Turn, "%s: turn", m.Name)
		require.False(t, m.Transactional || m.NeverWrites || m.Verify, m.Name)
		require.Nil(t, m.Update, m.Name)
		return
	}
	require.Equal(t, m.NeverWrites, m.Kind == method.KindNone, "%s: kind", m.Name)
	idle := m.Creates() || m.NeverWrites
	require.Equal(t, idle, m.Turn == method.TurnNone, "%s: turn", m.Name)
	require.Equal(t, m.Removes(), !m.Transactional, "%s: transactional", m.Name)
	if m.Update != nil {
		require.True(t, m.Creates(), m.Name)
		requireWrite(t, m.Update)
	}
}

// The columns that no descriptor tells, spelled out once more for the methods where a mistake
// loses data or blocks writers.
func TestTurns(t *testing.T) {
	t.Parallel()
	tests := map[method.Turn][]string{
		method.TurnBeforeDispatch: {
			"ObjectPoolService/DeleteObjectPool", "ObjectPoolService/DisconnectGitAlternates",
			"ObjectPoolService/LinkRepositoryToObjectPool", "OperationService/UserMergeToRef",
			"OperationService/UserRebaseToRef", "RefService/UpdateReferences",
			"RepositoryService/MigrateReferenceBackend", "RepositoryService/RemoveRepository",
			"RepositoryService/RestoreCustomHooks", "RepositoryService/SetCustomHooks",
			"RepositoryService/WriteRef",
		},
		method.TurnAtPrepared: {
			"CleanupService/ApplyBfgObjectMapStream", "CleanupService/RewriteHistory",
			"HookService/ProcReceiveHook", "ObjectPoolService/FetchIntoObjectPool",
			"OperationService/UserApplyPatch", "RepositoryService/FetchBundle",
			"RepositoryService/FetchRemote", "RepositoryService/FetchSourceBranch",
		},
	}
	got := make(map[method.Turn][]string)
	for m := range method.Builtin().All() {
		if _, wanted := tests[m.Turn]; wanted {
			got[m.Turn] = append(got[m.Turn], m.Name[len("/gitaly."):])
		}
	}
	for _, names := range got {
		slices.Sort(names)
	}
	require.Empty(t, cmp.Diff(tests, got))
}

func TestFlags(t *testing.T) {
	t.Parallel()
	flags := map[string]func(*method.Method) bool{
		"never_writes": func(m *method.Method) bool { return m.NeverWrites },
		"receive_pack": func(m *method.Method) bool { return m.ReceivePack },
		"several":      func(m *method.Method) bool { return m.Several },
		"verify":       func(m *method.Method) bool { return m.Verify },
		"primary_only": func(m *method.Method) bool { return m.PrimaryOnly },
		"anywhere":     func(m *method.Method) bool { return m.Anywhere },
		"sidechannel":  func(m *method.Method) bool { return m.Sidechannel },
		"upsert":       func(m *method.Method) bool { return m.Update != nil },
		"removal":      (*method.Method).Removes,
		"creation":     (*method.Method).Creates,
		"local": func(m *method.Method) bool {
			return m.Local && m.Operation != method.OperationNone
		},
	}
	got := make(map[string][]string)
	for m := range method.Builtin().All() {
		for name, flag := range flags {
			if flag(m) {
				got[name] = append(got[name], m.Name[len("/gitaly."):])
			}
		}
	}
	require.Empty(t, cmp.Diff(wantFlags(), got))
}

func wantFlags() map[string][]string {
	return map[string][]string{
		"never_writes": {"CommitService/CommitLanguages"},
		"receive_pack": {"SSHService/SSHReceivePack", "SmartHTTPService/PostReceivePack"},
		"several": {
			"ObjectPoolService/DisconnectGitAlternates", "ObjectPoolService/FetchIntoObjectPool",
			"RepositoryService/FetchRemote", "SSHService/SSHReceivePack",
			"SmartHTTPService/PostReceivePack",
		},
		"verify": {
			"RepositoryService/FetchRemote", "RepositoryService/ReplicateRepository",
			"RepositoryService/RestoreRepository",
		},
		"primary_only": {
			"RepositoryService/GetObjectDirectorySize", "RepositoryService/RepositorySize",
		},
		"anywhere": {"RepositoryService/BackupRepository"},
		"sidechannel": {
			"SSHService/SSHUploadPackWithSidechannel",
			"SmartHTTPService/PostUploadPackWithSidechannel",
		},
		"upsert": {
			"RepositoryService/ReplicateRepository", "RepositoryService/RestoreRepository",
		},
		"removal": {
			"ObjectPoolService/DeleteObjectPool", "RepositoryService/RemoveRepository",
		},
		"creation": {
			"ObjectPoolService/CreateObjectPool", "RepositoryService/CreateFork",
			"RepositoryService/CreateRepository", "RepositoryService/CreateRepositoryFromBundle",
			"RepositoryService/CreateRepositoryFromSnapshot",
			"RepositoryService/CreateRepositoryFromURL", "RepositoryService/ReplicateRepository",
			"RepositoryService/RestoreRepository",
		},
		"local": {
			"InternalGitaly/WalkRepos", "ObjectPoolService/DeleteObjectPool",
			"ObjectPoolService/GetObjectPool", "RepositoryService/RemoveRepository",
			"RepositoryService/RepositoryExists",
		},
	}
}

func BenchmarkLookup(b *testing.B) {
	table := method.Builtin()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := table.Lookup("/gitaly.CommitService/FindCommit"); !ok {
			b.Fatal("not found")
		}
	}
}
