package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// result is what one target did in one workload.
type result struct {
	operations int
	bytes      int64
	elapsed    time.Duration
	// cpu is the CPU time of the proxy, all that of clients, nodes and proxy together.
	cpu, all  time.Duration
	latencies []time.Duration
}

func (r *result) add(other result) {
	r.operations += other.operations
	r.bytes += other.bytes
	r.elapsed += other.elapsed
	r.cpu += other.cpu
	r.all += other.all
	r.latencies = append(r.latencies, other.latencies...)
}

// median is the 50th percentile of the latencies.
func (r *result) median() time.Duration { return median(r.latencies) }

// median sorts the latencies.
func median(latencies []time.Duration) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	slices.Sort(latencies)

	return latencies[len(latencies)/2]
}

// step is one operation of one client; n counts that client's operations. It returns how many bytes
// of payload it moved.
type step func(ctx context.Context, client, n int) (int64, error)

// drive lets clients repeat an operation for a while and waits for all of them. The elapsed time
// ends with the last operation, so that long operations are not counted too well.
func drive(ctx context.Context, clients int, duration time.Duration, do step) (result, error) {
	group, groupCtx := errgroup.WithContext(ctx)
	results := make([]result, clients)
	begin := time.Now()

	for client := range clients {
		group.Go(func() error {
			own := &results[client]
			for n := 0; time.Since(begin) < duration; n++ {
				start := time.Now()
				moved, err := do(groupCtx, client, n)
				if err != nil {
					return fmt.Errorf("client %d, operation %d: %w", client, n, err)
				}
				own.latencies = append(own.latencies, time.Since(start))
				own.bytes += moved
				own.operations++
			}

			return nil
		})
	}

	err := group.Wait()

	var total result
	for _, own := range results {
		total.add(own)
	}
	total.elapsed = time.Since(begin)

	return total, err
}
