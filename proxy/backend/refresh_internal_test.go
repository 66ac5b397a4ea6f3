package backend

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/resolver"
)

// names counts how often it is asked.
type names struct{ asked, closed int }

func (n *names) Scheme() string { return "dns" }

func (n *names) Build(
	resolver.Target, resolver.ClientConn, resolver.BuildOptions,
) (resolver.Resolver, error) {
	return n, nil
}

func (n *names) ResolveNow(resolver.ResolveNowOptions) { n.asked++ }

func (n *names) Close() { n.closed++ }

// TestRefreshing looks a name up each minute until the connection is closed, without a goroutine
// left behind.
//
// Requirements: T119
func TestRefreshing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		counted := &names{}
		refreshed, err := refreshing{counted, time.Minute}.Build(
			resolver.Target{}, nil, resolver.BuildOptions{})
		require.NoError(t, err)
		<-time.After(3*time.Minute + time.Second)
		refreshed.Close()
		require.Equal(t, names{asked: 3, closed: 1}, *counted)
		require.LessOrEqual(t, refreshEvery, 5*time.Minute, "what clients have been told")
	})
}
