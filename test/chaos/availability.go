package main

import (
	"slices"
	"strings"
	"time"

	"praefect/test/chaos/client"
	"praefect/test/chaos/fault"
	"praefect/test/cluster"
)

const (
	// recovery is how long after a fault calls through its proxy may suffer, databaseRecovery the
	// same for the database.
	recovery         = time.Second
	databaseRecovery = 2 * time.Second
	// detection is how long it may take until another node is the primary.
	detection = 5 * time.Second
	// turnWait is how long a proxy lets a write wait for its turn.
	turnWait = 10 * time.Second
	// proxyNames is how the names of all proxies begin.
	proxyNames = "praefect"
)

// untouched keeps the attempts that count for availability; see the package documentation.
func untouched(attempts []client.Attempt, faults []fault.Fault) []client.Attempt {
	return slices.DeleteFunc(slices.Clone(attempts), func(a client.Attempt) bool {
		// Whoever is told sooner that the repository is busy has not queued.
		queued := a.Verdict == client.Queued && a.End-a.Start >= turnWait
		if a.Verdict == client.Declined || queued {
			return true
		}

		return slices.ContainsFunc(faults, func(f fault.Fault) bool {
			if a.Via == "" {
				return keepsOut(f, a)
			}

			return touches(f, a)
		})
	})
}

// keepsOut tells whether a fault excuses an attempt that no proxy was reached for: one of a proxy,
// or of its connection to the balancer.
func keepsOut(f fault.Fault, a client.Attempt) bool {
	return strings.HasPrefix(f.To, proxyNames) && overlaps(a, f.Start, f.End+recovery)
}

// touches tells whether a fault excuses an attempt.
func touches(f fault.Fault, a client.Attempt) bool {
	switch {
	case f.From == "" && f.To == cluster.DatabaseParty:
		return overlaps(a, f.Start, f.End+databaseRecovery)
	case f.To == a.Via, f.From == a.Via && f.To == cluster.DatabaseParty:
		return overlaps(a, f.Start, f.End+recovery)
	case !slices.Contains(f.Primary, a.Repository):
		return false
	case f.Kind == fault.Disk:
		return overlaps(a, f.Start, f.End+recovery)
	case f.From == "":
		return overlaps(a, f.Start, min(f.Start+detection, f.End+recovery))
	case f.From == a.Via:
		return overlaps(a, f.Start, f.End+recovery)
	default:
		return false
	}
}

func overlaps(a client.Attempt, start, end time.Duration) bool {
	return a.Start < end && start < a.End
}

// availability is the share of attempts that succeeded; 1 when there were none.
func availability(attempts []client.Attempt) float64 {
	if len(attempts) == 0 {
		return 1
	}
	succeeded := 0
	for _, a := range attempts {
		if a.Verdict == client.Succeeded {
			succeeded++
		}
	}

	return float64(succeeded) / float64(len(attempts))
}
