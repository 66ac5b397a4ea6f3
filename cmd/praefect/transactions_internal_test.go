package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
	"praefect/coordinator/postgres"
)

// TestSayEntries shows what an operator reads.
func TestSayEntries(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 4, 3, 2, 1, 7e6, time.UTC)
	key := coordinator.Key{VirtualStorage: "default", RelativePath: "@hashed/aa/bb.git"}
	entries := []postgres.KeptEntry{
		{Proxy: "praefect-1 :2305", Entry: coordinator.Entry{
			At: at.Add(2 * time.Second), Event: coordinator.EventRepair, Repository: 42, Key: key,
			Details: coordinator.EntryDetails{
				Generation: 7,
				Replicas: []coordinator.EntryReplica{{
					Storage: "gitaly-3", Became: coordinator.BecameCurrent,
					Reason: "brought up to date from gitaly-1",
				}},
			},
		}},
		{Proxy: "praefect-1 :2305", Entry: coordinator.Entry{
			At: at, Event: coordinator.EventWrite, Repository: 42, Key: key,
			Details: coordinator.EntryDetails{
				Method:      "/gitaly.SmartHTTPService/PostReceivePack",
				Correlation: "01ABC", Outcome: "recorded", Writes: 2, Generation: 7,
				Primary: "gitaly-2", Before: "gitaly-1", Cause: "the primary did not succeed",
				Replicas: []coordinator.EntryReplica{
					{
						Storage: "gitaly-1", Role: "primary", Became: coordinator.BecameOutdated,
						Reason: "its node never voted",
					},
					{
						Storage: "gitaly-2", Role: "secondary", Votes: 5, Evidence: "confirmed",
						Became: coordinator.BecameCurrent,
					},
					{
						Storage: "gitaly-3", Role: "left out", Became: coordinator.BecameOutdated,
						Reason: "its node was not healthy when the write began",
					},
				},
			},
		}},
	}
	var out bytes.Buffer
	require.NoError(t, sayEntries(&out, entries))
	require.Equal(t, `2026-05-04 03:02:03.007 UTC  replica repaired
  default/@hashed/aa/bb.git
  repository 42, generation 7, proxy praefect-1 :2305
    gitaly-3      current: brought up to date from gitaly-1

2026-05-04 03:02:01.007 UTC  write made
  default/@hashed/aa/bb.git
  repository 42, generation 7 after 2 writes in one call, primary now gitaly-2 instead of `+
		`gitaly-1, by /gitaly.SmartHTTPService/PostReceivePack, correlation 01ABC, `+
		`proxy praefect-1 :2305
  because: the primary did not succeed
    gitaly-1  primary    no vote             OUTDATED: its node never voted
    gitaly-2  secondary  5 votes, confirmed  current
    gitaly-3  left out                       `+
		`OUTDATED: its node was not healthy when the write began
`, out.String())
}
