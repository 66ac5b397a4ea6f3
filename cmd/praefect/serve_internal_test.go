package main

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStopSignals sends the process what a supervisor and an impatient operator send.
func TestStopSignals(t *testing.T) {
	t.Parallel()

	graceful, force, release := stopSignals(t.Context(), nil)
	defer release()
	require.NoError(t, graceful.Err())

	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
	<-graceful.Done()
	require.ErrorContains(t, context.Cause(graceful), `received signal "terminated"`)
	select {
	case <-force:
		require.Fail(t, "one signal forces nothing")
	case <-time.After(tick):
	}

	require.NoError(t, syscall.Kill(syscall.Getpid(), syscall.SIGTERM))
	<-force
}
