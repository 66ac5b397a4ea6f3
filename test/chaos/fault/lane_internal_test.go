package fault

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// play runs a lane of three moves and returns which it made.
func play(t *testing.T, seed uint64) []int {
	t.Helper()

	var made []int
	synctest.Test(t, func(t *testing.T) {
		var moves []move
		for i := range 3 {
			moves = append(moves, move{Kill, func(ctx context.Context, random *rand.Rand) error {
				made = append(made, i)
				pause(ctx, mostlyShort(random, time.Second, 10*time.Second))

				return nil
			}})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		l := &lane{
			moves: moves, random: rand.New(rand.NewPCG(seed, 0)),
			calm:   func(context.Context) bool { return len(made)%2 == 0 },
			wanted: func(Kind) bool { return true },
		}
		require.NoError(t, l.run(ctx))
	})

	return made
}

func TestLaneIsFairAndReproducible(t *testing.T) {
	t.Parallel()

	made := play(t, 1)
	require.Greater(t, len(made), 9)
	for round := range slices.Chunk(made[:len(made)/3*3], 3) {
		require.ElementsMatch(t, []int{0, 1, 2}, round)
	}
	require.Equal(t, made, play(t, 1))
	require.NotEqual(t, made, play(t, 2))
}

func TestLaneEndsWithAnError(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		l := &lane{
			random: rand.New(rand.NewPCG(1, 0)), wanted: func(Kind) bool { return true },
			moves: []move{
				{Kill, func(context.Context, *rand.Rand) error { return ErrGone }},
			},
		}
		require.ErrorIs(t, l.run(t.Context()), ErrGone)
	})
}

// TestLateRunMakesWhatIsMissing has a lane whose time is over, with too few full disks.
func TestLateRunMakesWhatIsMissing(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		var made []Kind
		var moves []move
		for _, kind := range []Kind{Kill, Freeze, Refuse, Stall, Disk} {
			moves = append(moves, move{kind, func(context.Context, *rand.Rand) error {
				made = append(made, kind)

				return nil
			}})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		wanted := func(kind Kind) bool { return kind == Disk && len(made) < 2 }
		l := &lane{moves: moves, random: rand.New(rand.NewPCG(1, 0)), wanted: wanted}
		require.NoError(t, l.run(ctx))
		require.Equal(t, []Kind{Disk, Disk}, made)
	})
}

// TestNothingIsBrokenAfterTheEnd has a fault whose time comes when the run is over.
func TestNothingIsBrokenAfterTheEnd(t *testing.T) {
	t.Parallel()

	in := New(Config{
		Now:     func() time.Duration { return 0 },
		Primary: func(context.Context, string) []string { return nil },
		Report:  func(Fault) {},
	})
	broken, mended := 0, 0
	d := deed{
		breakIt: func() error { broken++; return nil }, mend: func() error { mended++; return nil },
	}
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, in.inflict(ctx, Fault{Kind: Kill, To: "a"}, time.Millisecond, d))
	cancel()
	require.NoError(t, in.inflict(ctx, Fault{Kind: Kill, To: "a"}, time.Millisecond, d))
	require.Equal(t, []int{1, 1, 1}, []int{broken, mended, len(in.Faults())})
}

func TestTimesAreInRange(t *testing.T) {
	t.Parallel()

	random := rand.New(rand.NewPCG(1, 1))
	short := 0
	const draws, least, most = 1000, time.Second, 15 * time.Second
	for range draws {
		length := mostlyShort(random, least, most)
		require.GreaterOrEqual(t, length, least)
		require.LessOrEqual(t, length, most)
		if length < least+(most-least)/4 {
			short++
		}
		require.Contains(t, []int{1, 2}, choose(random, []int{1, 2}))
	}
	require.InDelta(t, draws/2, short, draws/10)
	require.Equal(t, least, between(random, least, least))
}
