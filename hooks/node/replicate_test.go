package node_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"praefect/hooks"
	"praefect/hooks/node"
	"praefect/proxy/gitalypb"
)

const otherStorage = "gitaly-2"

// pair is a source with a repository, and a target.
type pair struct {
	filled

	target *rig
	copy   *gitalypb.Repository
}

func newPair(t *testing.T) pair {
	t.Helper()

	return pair{
		filled: fill(t, start(t)),
		target: start(t, func(c *node.Config) { c.Storage = otherStorage }),
		copy:   &gitalypb.Repository{StorageName: otherStorage, RelativePath: "@cluster/b.git"},
	}
}

// replicate copies the repository from the source to the target.
func (p pair) replicate(ctx context.Context) error {
	servers, err := json.Marshal(map[string]map[string]string{
		storage: {"address": "tcp://" + p.addr, "token": token},
	})
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx,
		"gitaly-servers", base64.StdEncoding.EncodeToString(servers))
	_, err = gitalypb.NewRepositoryServiceClient(p.target.conn).ReplicateRepository(ctx,
		&gitalypb.ReplicateRepositoryRequest{Repository: p.copy, Source: p.repo})

	return err
}

// requireEqual asserts that the copy is what the source is.
func (p pair) requireEqual(t *testing.T) {
	t.Helper()

	require.Equal(t, p.references(t, p.repo), p.target.references(t, p.copy))
	for _, name := range []string{"config"} {
		mine, err := os.ReadFile(filepath.Join(p.path(p.repo), name))
		require.NoError(t, err)
		theirs, err := os.ReadFile(filepath.Join(p.target.path(p.copy), name))
		require.NoError(t, err)
		require.Equal(t, string(mine), string(theirs))
	}
	mine, err := hooks.CustomHooks(filepath.Join(p.path(p.repo), hooks.CustomHooksDir))
	require.NoError(t, err)
	theirs, err := hooks.CustomHooks(filepath.Join(p.target.path(p.copy), hooks.CustomHooksDir))
	require.NoError(t, err)
	require.Equal(t, mine, theirs)
	runGit(t, p.target.path(p.copy), "fsck", "--strict", "--connectivity-only")
	p.target.requireNoLocks(t)
}

// write changes references of a repository directly on the disk.
func write(t *testing.T, dir string, lines ...string) {
	t.Helper()

	runGitWith(t, dir, strings.NewReader(strings.Join(lines, "\n")+"\n"), "update-ref", "--stdin")
}

func TestReplicateRepository(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	dir := p.path(p.repo)
	// References of all kinds, some of which nobody sees who fetches.
	write(t, dir, "create refs/keep-around/"+p.first+" "+p.first,
		"create refs/merge-requests/1/head "+p.first, "create refs/internal/x "+p.second)
	runGit(t, dir, "config", "transfer.hideRefs", "refs/internal")
	runGit(t, dir, "config", "uploadpack.hideRefs", "refs/merge-requests")
	hook := filepath.Join(dir, "custom_hooks/update.d/check")
	require.NoError(t, os.MkdirAll(filepath.Dir(hook), 0o755))
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\n"), 0o755))

	require.NoError(t, p.replicate(t.Context()), "new")
	p.requireEqual(t)
	require.NoError(t, p.replicate(t.Context()), "nothing to do")
	p.requireEqual(t)

	// Everything changes, on both sides. The copy has what the source never had.
	third := newCommit(t, p.clone, "third")
	_, err := p.post(t.Context(), p.repo,
		pushBody(t, p.clone, "", command{p.second, third, "refs/heads/main"}))
	require.NoError(t, err)
	write(t, dir, "delete refs/merge-requests/1/head", "update refs/internal/x "+p.first)
	runGit(t, dir, "symbolic-ref", "HEAD", "refs/heads/old")
	runGit(t, dir, "config", "--unset", "transfer.hideRefs")
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "custom_hooks")))
	theirs := p.target.path(p.copy)
	write(t, theirs, "create refs/heads/stray "+p.first, "update refs/heads/old "+p.second)
	runGit(t, theirs, "pack-refs", "--all")

	require.NoError(t, p.replicate(t.Context()), "changed")
	p.requireEqual(t)
	require.NoDirExists(t, filepath.Join(theirs, "custom_hooks"))
	p.votes.require(t)
	p.target.votes.require(t)
}

// A name can take the place of a directory of names, and the other way round.
func TestReplicateMakesRoomForNames(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	require.NoError(t, p.replicate(t.Context()))
	write(t, p.target.path(p.copy),
		"create refs/heads/a "+p.first, "create refs/heads/b/c/d "+p.first)
	write(t, p.path(p.repo), "create refs/heads/a/x "+p.second, "create refs/heads/b "+p.second)
	require.NoError(t, p.replicate(t.Context()))
	p.requireEqual(t)
}

func TestReplicateEmptyAndBroken(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	p.repo = p.create(t, "empty.git")
	require.NoError(t, p.replicate(t.Context()))
	p.requireEqual(t)

	// What is left of a repository is replaced, and can be removed.
	require.NoError(t, os.Remove(filepath.Join(p.target.path(p.copy), "HEAD")))
	require.NoError(t, p.replicate(t.Context()))
	p.requireEqual(t)
	require.NoError(t, os.RemoveAll(filepath.Join(p.target.path(p.copy), "objects")))
	_, err := gitalypb.NewRepositoryServiceClient(p.target.conn).RemoveRepository(t.Context(),
		&gitalypb.RemoveRepositoryRequest{Repository: p.copy})
	require.NoError(t, err)
	require.NoDirExists(t, p.target.path(p.copy))
}

func TestReplicateVotes(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	value, err := json.Marshal(hooks.Transaction{ID: 7, Node: storage})
	require.NoError(t, err)
	ctx := metadata.AppendToOutgoingContext(t.Context(),
		hooks.TransactionMetadata, base64.StdEncoding.EncodeToString(value))

	require.NoError(t, p.replicate(ctx))
	p.target.votes.require(t, all(hooks.SumText(emptyConfig+
		"HEAD "+p.second+" refs/heads/main\nrefs/heads/main "+p.second+" \n"+
		"refs/heads/old "+p.first+" \nrefs/tags/v1 "+p.second+" \n"))...)

	write(t, p.path(p.repo), "update refs/heads/old "+p.second, "delete refs/tags/v1")
	require.NoError(t, p.replicate(ctx))
	hash := hooks.SumText(hooks.UpdateLine(p.first, p.second, "refs/heads/old") +
		hooks.UpdateLine(p.second, zero, "refs/tags/v1"))
	p.target.votes.require(t, prepared(hash), committed(hash))

	p.target.votes.verdictAt(1, abort)
	before := p.target.references(t, p.copy)
	write(t, p.path(p.repo), "delete refs/heads/old")
	require.Equal(t, codes.Aborted, status.Code(p.replicate(ctx)))
	require.Equal(t, before, p.target.references(t, p.copy))
	p.target.requireNoLocks(t)
}

func TestReplicateFailures(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	known := p.repo

	p.repo = &gitalypb.Repository{StorageName: storage, RelativePath: "missing.git"}
	err := p.replicate(t.Context())
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "invalid source repository")
	require.NoDirExists(t, p.target.path(p.copy))

	p.repo = &gitalypb.Repository{StorageName: "other", RelativePath: "a.git"}
	require.Equal(t, codes.InvalidArgument, status.Code(p.replicate(t.Context())))
	p.repo = &gitalypb.Repository{StorageName: otherStorage, RelativePath: "a.git"}
	require.Equal(t, codes.InvalidArgument, status.Code(p.replicate(t.Context())))
	p.repo = nil
	require.Equal(t, codes.InvalidArgument, status.Code(p.replicate(t.Context())))

	p.repo = known
	require.NoError(t, p.replicate(t.Context()))
	before := p.target.references(t, p.copy)
	write(t, p.path(p.repo), "delete refs/heads/old")
	address := p.addr
	p.addr = "127.0.0.1:1"
	require.Equal(t, codes.Unavailable, status.Code(p.replicate(t.Context())))
	p.addr = address
	lock := filepath.Join(p.target.path(p.copy), "refs/heads/old.lock")
	require.NoError(t, os.WriteFile(lock, nil, 0o600))
	err = p.replicate(t.Context())
	require.Equal(t, codes.Aborted, status.Code(err))
	require.Len(t, detail[*gitalypb.UpdateReferencesError](
		t, err).GetReferencesLocked().GetRefs(), 1)
	require.NoError(t, os.Remove(lock))
	require.Equal(t, before, p.target.references(t, p.copy))
}

// While a repository is copied, pushes go on, to the source and to the copy itself. Nothing that
// reaches the copy is lost to an older state of the source.
func TestReplicateDuringPushes(t *testing.T) {
	t.Parallel()

	p := newPair(t)
	require.NoError(t, p.replicate(t.Context()))
	const rounds = 15
	bodies := make([][]byte, rounds)
	tips := []string{p.second}
	for i := range bodies {
		tips = append(tips, newCommit(t, p.clone, "more "+string(rune('a'+i))))
		bodies[i] = pushBody(t, p.clone, "",
			command{tips[i], tips[i+1], "refs/heads/main"},
			command{zero, tips[i+1], "refs/heads/" + tips[i]})
	}

	var pushing sync.WaitGroup
	done := make(chan struct{})
	pushing.Go(func() {
		defer close(done)
		for _, body := range bodies {
			if _, err := p.post(t.Context(), p.repo, body); err != nil {
				t.Errorf("push: %v", err)
			}
		}
	})
	for copied := false; !copied; {
		select {
		case <-done:
			copied = true
		default:
		}
		require.NoError(t, p.replicate(t.Context()))
		runGit(t, p.target.path(p.copy), "fsck", "--connectivity-only")
	}
	pushing.Wait()
	p.requireEqual(t)
	require.Contains(t, p.target.references(t, p.copy), "refs/heads/main "+tips[rounds])
}
