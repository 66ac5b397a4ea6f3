// Package metadatatest is the contract of coordinator.Store as tests. Every implementation runs it.
package metadatatest

import (
	"testing"

	"praefect/coordinator"
)

// Run tests the stores that open makes; each test asks for an empty one of its own.
func Run(t *testing.T, open func(t *testing.T) coordinator.Store) {
	t.Helper()
	for _, part := range []map[string]func(*testing.T, coordinator.Store){
		lifeTests(), removalTests(), recordTests(), electionTests(), repairTests(), turnTests(),
		recoveryTests(), resolutionTests(), settlingTests(), verificationTests(), memberTests(),
		announcementTests(),
		invalidationTests(), raceTests(), operationTests(),
		auditTests(),
	} {
		for name, test := range part {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				store := open(t)
				enlist(t, store, self)
				test(t, store)
			})
		}
	}
}
