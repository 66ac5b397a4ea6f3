package membership_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// report is what another proxy finds healthy.
type report map[coordinator.VirtualStorage][]coordinator.Storage

// with adds another proxy that stays.
func (l *ledger) with(incarnation coordinator.Incarnation, healthy report) {
	l.change(func() {
		l.members[incarnation] = &member{
			name: string(rune('A' + incarnation)), end: time.Now().Add(time.Hour), healthy: healthy,
		}
	})
}

// Requirements: T176
func TestOpinion(t *testing.T) {
	t.Parallel()
	good, other := report{virtual: {"b", "a"}}, report{"other": {"a"}}
	bad, silent := report{virtual: {"b"}}, report(nil)
	for name, tc := range map[string]struct {
		others      []report
		well, unfit bool // whether a is healthy if this process finds it healthy, or not
	}{
		"alone":                      {nil, true, false},
		"another agrees":             {[]report{good}, true, true},
		"another does not":           {[]report{bad}, true, false},
		"one of two others":          {[]report{good, bad}, true, false},
		"two others":                 {[]report{good, good}, true, true},
		"neither of two others":      {[]report{bad, bad}, false, false},
		"one of three others":        {[]report{good, bad, bad}, true, false},
		"two of three others":        {[]report{good, good, bad}, true, true},
		"none of three others":       {[]report{bad, bad, bad}, false, false},
		"one of four others":         {[]report{good, bad, bad, bad}, false, false},
		"two of four others":         {[]report{good, good, bad, bad}, true, false},
		"another virtual storage":    {[]report{other, other}, false, false},
		"nothing healthy":            {[]report{{}, {}}, false, false},
		"nothing known":              {[]report{silent, silent}, true, false},
		"nothing known by one":       {[]report{silent, good}, true, true},
		"nothing known by one of us": {[]report{silent, bad}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newLedger()
				for i, healthy := range tc.others {
					store.with(coordinator.Incarnation(i+1), healthy)
				}
				r := start(t, store)
				<-r.Enlisted()
				require.Equal(t, tc.well, r.Healthy(virtual, "a"))
				r.set(func() { r.sick["a"] = true })
				require.Equal(t, tc.unfit, r.Healthy(virtual, "a"), "at once")
				after(period)
				require.Equal(t, tc.unfit, r.Healthy(virtual, "a"), "the own report counts once")
				r.set(func() { r.sick["a"] = false })
				require.Equal(t, tc.well, r.Healthy(virtual, "a"), "although reported otherwise")
				r.stop()
			})
		})
	}
}

// TestOpinionAlone believes what this process finds when nothing is known of others any more.
func TestOpinionAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		store.with(1, report{})
		store.with(2, report{})
		r := prepare(t, store)
		require.True(t, r.Healthy(virtual, "a"), "no lease yet")
		r.run()
		<-r.Enlisted()
		require.False(t, r.Healthy(virtual, "a"))
		store.change(func() { store.away = true })
		after(2 * lease)
		require.True(t, r.Healthy(virtual, "a"), "the lease is lost")
		r.set(func() { r.sick["a"] = true })
		require.False(t, r.Healthy(virtual, "a"))
		r.set(func() { r.sick["a"] = false })
		store.change(func() { store.away = false; clear(store.members) })
		after(lease)
		require.True(t, r.Healthy(virtual, "a"), "the others are gone")
		store.with(1, report{})
		store.with(2, report{})
		after(period)
		require.False(t, r.Healthy(virtual, "a"), "the others are there")
		r.stop()
	})
}

// TestFindings reports what is healthy with each renewal.
func TestFindings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newLedger()
		r := start(t, store)
		<-r.Enlisted()
		incarnation := r.holding()
		found := func() map[coordinator.VirtualStorage][]coordinator.Storage {
			store.mu.Lock()
			defer store.mu.Unlock()
			return store.members[incarnation].healthy
		}
		require.Equal(t, []coordinator.Storage{"a", "b"}, found()[virtual])
		r.set(func() { r.sick["a"] = true })
		after(period)
		require.Equal(t, []coordinator.Storage{"b"}, found()[virtual])
		r.set(func() { r.sick["b"] = true })
		after(period)
		require.NotNil(t, found(), "nothing is healthy, and that is known")
		require.Empty(t, found())
		r.stop()
	})
}
