package metadatatest

import (
	"context"
	"testing"

	"praefect/coordinator"
)

// Alone is the only proxy on a store, with a lease that outlasts the test. It implements
// [coordinator.Lease] and [coordinator.Peers].
type Alone struct{ incarnation coordinator.Incarnation }

// NewAlone enlists a proxy.
func NewAlone(tb testing.TB, store coordinator.Members) Alone {
	tb.Helper()
	return Alone{incarnation: Enlist(tb, store)}
}

// Incarnation returns the only incarnation, whose lease holds.
func (a Alone) Incarnation() (coordinator.Incarnation, bool) { return a.incarnation, true }

// AwaitAcknowledged returns at once, as there is nobody to wait for.
func (Alone) AwaitAcknowledged(context.Context, coordinator.Sequence) error { return nil }
