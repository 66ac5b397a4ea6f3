package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// withProxies puts so many proxies on one database.
func withProxies(count int) configure {
	return func(_ *testing.T, _ *rig, config *cluster.Config) { config.Proxies = count }
}

// conns connects to every proxy.
func (r *rig) conns(t *testing.T) []*grpc.ClientConn {
	t.Helper()

	var conns []*grpc.ClientConn
	for _, proxy := range r.Proxies() {
		conn, err := cluster.Dial(proxy.Address, r.Token())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
		conns = append(conns, conn)
	}

	return conns
}

// TestHotRepository has twelve clients write to one repository through three proxies: each gets its
// turn, no replica is left behind, and whoever reads anywhere sees what was acknowledged.
//
// Requirements: T003, T053, T123
func TestHotRepository(t *testing.T) {
	t.Parallel()

	const (
		clients = 12
		each    = 5
	)

	r := startRig(t, withProxies(3), withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	commits := []string{user.commit(t, "file", "one"), user.commit(t, "file", "two")}
	user.mustGit(t, "push", "origin", "main")
	conns := r.conns(t)

	group, ctx := errgroup.WithContext(t.Context())
	for client := range clients {
		group.Go(func() error {
			for round := range each {
				through := conns[(client+round)%len(conns)]
				name := fmt.Sprintf("refs/heads/client-%d", client)
				commit := commits[round%len(commits)]
				if err := repo.queue(ctx, through, name, commit); err != nil {
					return fmt.Errorf("client %d, write %d: %w", client, round, err)
				}
				other := conns[(client+round+1)%len(conns)]
				if seen, err := repo.find(ctx, other, name); err != nil || seen != commit {
					return fmt.Errorf("client %d reads %q after it wrote %q: %w",
						client, seen, commit, err)
				}
			}

			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Empty(t, repo.leftBehind(t))
	repo.waitConverged(t)
}

// queue writes a reference, again if it was told that the repository is busy after it had queued
// for long: on a busy machine a dozen writes may take longer than writers wait.
func (r *repository) queue(
	ctx context.Context, conn *grpc.ClientConn, name, commit string,
) error {
	for {
		begin := time.Now()
		err := r.writeReference(ctx, conn, name, commit)
		if status.Code(err) != codes.Unavailable || time.Since(begin) < queueing {
			return err
		}
	}
}

// queueing is how long writers of one repository wait before they may be told that it is busy.
const queueing = 5 * time.Second

// writeReference points a reference elsewhere, whatever it was before.
func (r *repository) writeReference(
	ctx context.Context, conn *grpc.ClientConn, name, commit string,
) error {
	_, err := gitalypb.NewRepositoryServiceClient(conn).WriteRef(ctx, &gitalypb.WriteRefRequest{
		Repository: r.proto, Ref: []byte(name), Revision: []byte(commit),
	})

	return err
}

// find reads a reference; it is empty when there is none.
func (r *repository) find(
	ctx context.Context, conn *grpc.ClientConn, name string,
) (string, error) {
	stream, err := gitalypb.NewRefServiceClient(conn).ListRefs(ctx, &gitalypb.ListRefsRequest{
		Repository: r.proto, Patterns: [][]byte{[]byte(name)},
	})
	if err != nil {
		return "", err
	}
	answer, err := stream.Recv()
	if err != nil {
		return "", err
	}
	for _, found := range answer.GetReferences() {
		if string(found.GetName()) == name {
			return found.GetTarget(), nil
		}
	}

	return "", nil
}

// TestLongPush pushes hundreds of branches, each a transaction of its own with an old git, and one
// branch beside it, through the same proxy or another: that one does not wait for the long push.
func TestLongPush(t *testing.T) {
	t.Parallel()

	const branches = 300

	r := startRig(t, withProxies(2), withPatience)
	repo := r.createRepository(t)
	user := newCheckout(t, repo.remote())
	user.commit(t, "file", "base")
	user.mustGit(t, "push", "origin", "main")
	long, small := clone(t, repo.remote()), clone(t, repo.remote())
	var refspecs []string
	for number := range branches {
		refspecs = append(refspecs, fmt.Sprintf("HEAD:refs/heads/long-%d", number))
	}
	commit := small.commit(t, "file", "change")

	pushed := make(chan error, 1)
	go func() {
		_, err := long.push(t.Context(), refspecs...)
		pushed <- err
	}()
	primary := repo.primary(t)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.NotEmpty(c, reference(t, primary, repo.replicaPath, "refs/heads/long-10"))
	}, waitLong, tick, "the long push has not begun")

	begin := time.Now()
	small.mustGit(t, "push", "origin", "HEAD:small")
	t.Logf("beside the long push one branch took %v", time.Since(begin))
	begin = time.Now()
	require.NoError(t, repo.writeReference(t.Context(), r.conns(t)[1], "refs/heads/other", commit))
	t.Logf("and one through another proxy %v", time.Since(begin))
	select {
	case err := <-pushed:
		require.Fail(t, "the long push ended before the small ones", "%v", err)
	default:
	}
	require.NoError(t, <-pushed)
	names := strings.Fields(repo.references(t, primary))
	require.Contains(t, names, "refs/heads/long-299")
	repo.waitConverged(t)
}
