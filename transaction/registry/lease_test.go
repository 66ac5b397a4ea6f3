package registry_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// overruns counts how often it was said that the lease had run out when nodes were told to commit.
func (b *bundle) overruns() int {
	count := 0
	for _, call := range b.writer.calls() {
		if call == "overran" {
			count++
		}
	}
	return count
}

// TestNobodyCommitsWithoutALease has the lease lost when the nodes are about to be told to commit.
func TestNobodyCommitsWithoutALease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.writer.script(false, false, false, false)
		b.require(abort, b.all(prepared, "refs")...)
		require.Zero(t, b.overruns(), "nobody has been told to commit")
		b.finish()
	})
}

// TestLeaseLostBetween has the lease end while the nodes are told to commit, as when this process
// was frozen in between: others may have compared them before, and have to do so again.
func TestLeaseLostBetween(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		said := make(chan struct{})
		b.writer.overran = func() { <-said }
		b.writer.script(true, true, false) // two make the quorum
		b.require(commit, b.all(prepared, "refs")...)
		b.require(commit, b.all(committed, "refs")...)
		finished := make(chan struct{})
		go func() {
			b.finish()
			close(finished)
		}()
		synctest.Wait()
		select {
		case <-finished:
			require.Fail(t, "the end does not wait for what has to be said")
		default:
		}
		close(said)
		<-finished
		require.Equal(t, 1, b.overruns())
	})
}

// TestConfirmationsNeedNoLease has the lease lost after the nodes have committed: the record
// decides about them, and what they have done is not refused for the lease.
func TestConfirmationsNeedNoLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := begin(t)
		b.require(commit, b.all(prepared, "refs")...)
		b.writer.script(false, false, false, false, false, false)
		b.require(commit, b.all(committed, "refs")...)
		require.Zero(t, b.overruns())
		b.finish()
	})
}
