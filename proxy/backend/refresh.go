package backend

import (
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/resolver"
)

// refreshEvery is how often the addresses of a name are asked for again. The
// library asks when a connection ends only, so that a node that got a second
// address, or moved while its old one goes on, would not be found.
const refreshEvery = time.Minute

// refreshing looks names up again from time to time.
type refreshing struct {
	resolver.Builder
	every time.Duration
}

// Build implements resolver.Builder.
func (r refreshing) Build(
	target resolver.Target, conn resolver.ClientConn, options resolver.BuildOptions,
) (resolver.Resolver, error) {
	inner, err := r.Builder.Build(target, conn, options)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", target.Endpoint(), err)
	}
	refreshed := &refreshed{Resolver: inner, ended: make(chan struct{})}
	refreshed.running.Go(func() { refreshed.run(r.every) })
	return refreshed, nil
}

type refreshed struct {
	resolver.Resolver
	ended   chan struct{}
	running sync.WaitGroup
}

func (r *refreshed) run(every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.ResolveNow(resolver.ResolveNowOptions{})
		case <-r.ended:
			return
		}
	}
}

// Close implements resolver.Resolver.
func (r *refreshed) Close() {
	close(r.ended)
	r.running.Wait()
	r.Resolver.Close()
}
