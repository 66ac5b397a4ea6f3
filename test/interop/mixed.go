package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"praefect/proxy/gitalypb"
)

const (
	// mixedMax bounds the case with many writes.
	mixedMax = time.Hour
	// lanesCount is how many repositories are written to at the same time.
	lanesCount = 4
)

// mixtures are cases with writes of all kinds.
func mixtures() []trial {
	return []trial{{name: "mixed/writes", limit: mixedMax, run: mixedWrites}}
}

// lane writes to a repository of its own, one write after the other.
type lane struct {
	*repository
	checkout *checkout
	// forked and pool are made by the way.
	forked, pool *repository
}

// mixedWrites makes many writes, of all kinds in turn, to several repositories. After each all
// replicas are current and equal.
func mixedWrites(t *take) {
	var lanes sync.WaitGroup
	done := make([]int, lanesCount)
	for i := range lanesCount {
		lanes.Go(func() {
			l := &lane{repository: t.create()}
			l.checkout = t.filled(l.repository)
			kinds := l.kinds()
			for n := range t.stage.writes / lanesCount {
				kinds[n%len(kinds)](fmt.Sprintf("n%d", n))
				done[i]++
			}
		})
	}
	lanes.Wait()
	sum := 0
	for _, n := range done {
		sum += n
	}
	require.Equal(t, t.stage.writes, sum, "writes")
	t.note("%d writes", sum)
}

// kinds lists the writes, each of which leaves behind what the next ones need. The argument is a
// name that nothing has yet.
func (l *lane) kinds() []func(name string) {
	return []func(name string){
		func(string) { l.push(overHTTP, "main") },
		func(name string) { l.createBranch(name) },
		func(string) { l.push(throughSSH, "main") },
		func(name string) { l.mustCommit("files", file{create, name, name}) },
		func(string) { l.push(overHTTP, "main:pushed", "main:again") },
		func(string) { l.push(throughSSH, ":pushed") },
		func(name string) {
			l.updateReferences(update("refs/heads/"+name, zeroID, l.tip()))
		},
		func(name string) {
			l.writeRef(&gitalypb.WriteRefRequest{
				Ref: []byte("refs/heads/" + name), Revision: []byte(l.tip()),
			})
		},
		func(string) { _, l.forked = fork(l.take) },
		func(string) { l.pool = l.newPool(l.repository) },
		func(string) { l.forked.link(l.pool) },
		func(string) { l.pool.fetchFrom(l.repository) },
		func(string) { l.forked.disconnect() },
		func(string) { l.remove(l.forked) },
		func(string) { l.deleteBranch("again") },
		func(string) {
			l.mutate(func(options ...grpc.CallOption) error {
				_, err := gitalypb.NewRefServiceClient(l.stage.conn).DeleteRefs(l.context,
					&gitalypb.DeleteRefsRequest{
						Repository: l.proto, Refs: [][]byte{[]byte("refs/heads/files")},
					}, options...)

				return err
			})
		},
	}
}

// tip is the commit that was pushed last.
func (l *lane) tip() string { return l.reference("refs/heads/main") }

// push pushes, a new commit among it.
func (l *lane) push(over transport, refspecs ...string) {
	l.checkout.git("commit", "--quiet", "--allow-empty", "-m", "more")
	_, err := over(l.checkout, l.repository,
		append([]string{"push", "--quiet", "--force", remote}, refspecs...)...)
	require.NoError(l, err)
	l.requireEqual()
}

func (l *lane) remove(r *repository) {
	_, err := l.repositories().RemoveRepository(l.context,
		&gitalypb.RemoveRepositoryRequest{Repository: r.proto})
	require.NoError(l, err)
}
