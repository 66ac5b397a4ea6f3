package main

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDriveCountsAndEnds(t *testing.T) {
	t.Parallel()

	done, err := drive(t.Context(), 3, 20*time.Millisecond,
		func(context.Context, int, int) (int64, error) { return 10, nil })
	require.NoError(t, err)
	require.GreaterOrEqual(t, done.operations, 3)
	require.Len(t, done.latencies, done.operations)
	require.Equal(t, int64(done.operations)*10, done.bytes)
	require.GreaterOrEqual(t, done.elapsed, 20*time.Millisecond)
}

func TestDriveFailsWithOneOperation(t *testing.T) {
	t.Parallel()

	broken := errors.New("broken")
	_, err := drive(t.Context(), 2, time.Hour,
		func(ctx context.Context, client, n int) (int64, error) {
			if client == 1 && n == 2 {
				return 0, broken
			}

			return 0, ctx.Err()
		})
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "client 1, operation 2")
}

func TestMedian(t *testing.T) {
	t.Parallel()

	r := result{latencies: []time.Duration{9, 1, 5}}
	require.Equal(t, time.Duration(5), r.median())
	require.Zero(t, new(result).median())
}

func TestCPUTimeOfThisProcess(t *testing.T) {
	t.Parallel()

	before, err := cpuTime(os.Getpid())
	require.NoError(t, err)
	for {
		after, err := cpuTime(os.Getpid())
		require.NoError(t, err)
		if after > before { // Asking costs CPU time itself.
			return
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()

	second := func(operations int, bytes int64, cpu time.Duration) result {
		return result{
			operations: operations, bytes: bytes, elapsed: time.Second,
			cpu: cpu, all: cpu + 10*time.Millisecond,
			latencies: []time.Duration{2 * time.Millisecond},
		}
	}
	other := second(200, 0, 100*time.Millisecond)

	calls := comparison{
		work: &workload{name: "read"}, direct: second(1000, 0, 0),
		proxy: second(500, 0, 50*time.Millisecond), other: &other,
	}
	require.Equal(t, "bench name=read direct=1000.0 proxy=500.0 ratio=0.500 cpu_us=100.0 "+
		"ratio_cpu=0.083 p50_ms=2.00 direct_p50_ms=2.00 "+
		"other=200.0 other_ratio=0.200 other_cpu_us=500.0 "+
		"other_ratio_cpu=0.018 other_p50_ms=2.00 unit=op/s", calls.line())

	long := crowding{
		long: 3 * time.Second, alone: []time.Duration{30 * time.Millisecond, 10 * time.Millisecond},
		beside: []time.Duration{time.Second},
	}
	require.Equal(t, "bench name=long_push through=proxy branches=1000 seconds=3.0 "+
		"pushes_beside=1 alone_p50_ms=30 alone_max_ms=30 beside_p50_ms=1000 beside_max_ms=1000",
		long.line("proxy"))

	streams := comparison{
		work: &workload{name: "clone", streams: true}, direct: second(8, gigabyte, 0),
		proxy: second(4, gigabyte/2, time.Second),
	}
	require.Equal(t, "bench name=clone direct=1024.0 proxy=512.0 ratio=0.500 cpu_us=250000.0 "+
		"cpu_s_gb=2.00 ratio_cpu=0.005 p50_ms=2.00 direct_p50_ms=2.00 unit=MB/s", streams.line())
}
