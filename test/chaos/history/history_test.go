package history_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"praefect/test/chaos/history"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// op is an operation that a test changes with the methods below.
type op history.Operation

// write is one from and until so many seconds after the begin.
func write(start, end int, value string) op {
	return op{
		Key: history.Key{Repository: "repo", Name: "a"}, Action: history.Write, Value: value,
		Result: history.Acknowledged,
		Start:  time.Duration(start) * time.Second, End: time.Duration(end) * time.Second,
	}
}

func read(start, end int, value string) op {
	o := write(start, end, value)
	o.Action = history.Read

	return o
}

func (o op) unknown() op { o.Result = history.Unknown; return o }

func (o op) refused() op { o.Result = history.Refused; return o }

func (o op) over(old string) op { o.Guarded, o.Old = true, old; return o }

func (o op) primary() op { o.Primary = true; return o }

func (o op) final() op { o.Final, o.Primary = true, true; return o }

// in makes an operation one of a call on a group.
func (o op) in(call int64, name string) op {
	o.Call, o.Group, o.Key.Name = call, "group", name

	return o
}

// counts is the summary of a report.
type counts struct{ Lost, Stale, Torn, Undone int }

func check(t *testing.T, operations ...op) counts {
	t.Helper()

	var all []history.Operation
	for _, o := range operations {
		all = append(all, history.Operation(o))
	}
	report := history.Check(all, history.Config{})
	require.Empty(t, report.Undecided)

	return counts{
		Lost: len(report.Lost), Stale: len(report.Stale),
		Torn: len(report.Torn), Undone: len(report.Undone),
	}
}

type scene struct {
	name    string
	history []op
	want    counts
}

func play(t *testing.T, scenes []scene) {
	t.Helper()

	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, cmp.Diff(s.want, check(t, s.history...)))
		})
	}
}

func TestCorrectHistories(t *testing.T) {
	t.Parallel()

	play(t, []scene{
		{name: "nothing"},
		{name: "empty before the first write", history: []op{
			read(0, 1, ""), read(0, 9, "").primary(), write(2, 8, "v"), read(9, 10, "v"),
		}},
		{name: "one after the other", history: []op{
			write(0, 1, "v"), read(2, 3, "v").primary(), write(4, 5, "w").over("v"),
			read(6, 7, "w"), write(8, 9, ""), read(10, 11, "").primary(), read(12, 13, "").final(),
		}},
		{name: "either value during a write", history: []op{
			write(0, 1, "v"), write(5, 10, "w"), read(6, 7, "v"), read(6, 7, "w"),
			read(8, 9, "v"), // ordinary reads may go back as long as the write is under way
		}},
		{name: "writes at the same time in either order", history: []op{
			write(0, 10, "v"), write(0, 10, "w"), read(11, 12, "v").primary(),
			read(13, 14, "v").final(),
		}},
		{name: "reads disagree before both writes were acknowledged", history: []op{
			write(0, 10, "v"), write(0, 12, "w"), read(9, 13, "w"), read(11, 13, "v"),
			read(15, 16, "v"),
		}},
		{name: "an unknown write that happens late", history: []op{
			write(0, 1, "v"), write(2, 3, "w").unknown(), read(10, 11, "v").primary(),
			read(20, 21, "w").primary(), read(30, 31, "w").final(),
		}},
		{name: "an unknown write that ordinary reads see late", history: []op{
			write(0, 1, "v"), write(2, 3, "w").unknown(), write(4, 5, "x"), read(6, 7, "x"),
			read(8, 9, "w"), read(10, 11, "w"), read(30, 31, "w").final(),
		}},
		{name: "an unknown write that never happens", history: []op{
			write(0, 1, "v"), write(2, 3, "w").unknown(), read(30, 31, "v").final(),
		}},
		{name: "an unknown deletion that happens late", history: []op{
			write(0, 1, "v"), write(2, 3, "").unknown(), write(4, 5, "w"), read(6, 7, "").primary(),
		}},
		{name: "an unknown write that others build on", history: []op{
			write(0, 1, "v"), write(2, 9, "w").over("v").unknown(), write(10, 11, "x").over("w"),
			read(12, 13, "x").primary(),
		}},
		{name: "refused writes", history: []op{
			write(0, 1, "v"), write(2, 3, "w").refused(), write(2, 3, "").refused(),
			read(4, 5, "v").primary(), read(6, 7, "v").final(),
		}},
		{name: "ordinary reads run ahead and fall back", history: []op{
			write(0, 1, "v"), write(2, 3, "w").unknown(), read(4, 5, "w"), read(6, 7, "v"),
			read(8, 9, "v").final(),
		}},
	})
}

func TestStale(t *testing.T) {
	t.Parallel()

	play(t, []scene{
		{name: "read of the value before", history: []op{
			write(0, 1, "v"), write(2, 3, "w"), read(4, 5, "v"),
		}, want: counts{Stale: 1}},
		{name: "read of nothing after a write", history: []op{
			write(0, 1, "v"), read(2, 3, ""),
		}, want: counts{Stale: 1}},
		{name: "read of a value after its deletion", history: []op{
			write(0, 1, "v"), write(2, 3, ""), read(4, 5, "v"),
		}, want: counts{Stale: 1}},
		{name: "read of an unknown value that was built on", history: []op{
			write(0, 1, "v").unknown(), write(2, 3, "w").over("v"), read(4, 5, "v"),
		}, want: counts{Stale: 1}},
		{name: "read of an unknown value that had been seen before the next write", history: []op{
			write(0, 1, "v"), write(2, 3, "u").unknown(), read(4, 5, "u"), write(6, 7, "w"),
			read(8, 9, "u"),
		}, want: counts{Stale: 1}},
		{name: "read of a value that had been seen before the next write", history: []op{
			write(0, 1, "v"), write(2, 20, "u"), read(4, 5, "u"), write(6, 7, "w"),
			read(8, 9, "u"),
		}, want: counts{Stale: 1}},
		{name: "two reads", history: []op{
			write(0, 1, "v"), write(2, 3, "w"), read(4, 5, "v"), read(6, 7, "v").primary(),
		}, want: counts{Stale: 2}},
		{name: "a refused write is seen", history: []op{
			write(0, 1, "v"), write(2, 3, "w").refused(), read(4, 5, "w"),
		}, want: counts{Stale: 1}},
		{name: "a value from nowhere", history: []op{
			write(0, 1, "v"), read(4, 5, "x"),
		}, want: counts{Stale: 1}},
		{name: "a value before its write", history: []op{
			read(0, 1, "v"), write(2, 3, "v"),
		}, want: counts{Stale: 1}},
		{name: "a primary goes back during a write", history: []op{
			write(0, 1, "v"), write(5, 20, "w"), read(6, 7, "w").primary(),
			read(8, 9, "v").primary(),
		}, want: counts{Stale: 1}},
		{name: "replicas that applied two writes in different orders", history: []op{
			write(0, 10, "v"), write(0, 10, "w"), read(11, 12, "v"), read(11, 12, "w"),
		}, want: counts{Stale: 1}},
		{name: "the same, seen by many", history: []op{
			write(0, 10, "v"), write(0, 10, "w"), read(11, 12, "v"), read(11, 12, "w"),
			read(13, 14, "v"), read(13, 14, "w").primary(),
		}, want: counts{Stale: 1}},
		{name: "a guard that cannot have held", history: []op{
			write(0, 1, "v"), write(2, 3, "w"), write(4, 5, "x").over("v"),
		}, want: counts{Stale: 1}},
	})
}

func TestLost(t *testing.T) {
	t.Parallel()

	play(t, []scene{
		{name: "the value before is there in the end", history: []op{
			write(0, 1, "v"), write(2, 3, "w"), read(9, 10, "v").final(),
		}, want: counts{Lost: 1}},
		{name: "nothing is there in the end", history: []op{
			write(0, 1, "v"), read(9, 10, "").final(),
		}, want: counts{Lost: 1}},
		{name: "on several replicas, counted once", history: []op{
			write(0, 1, "v"), read(9, 10, "").final(), read(9, 10, "").final(),
		}, want: counts{Lost: 1}},
		{name: "only the order tells", history: []op{
			write(0, 10, "v"), write(0, 10, "w"), read(11, 12, "v").primary(),
			read(20, 21, "w").final(),
		}, want: counts{Lost: 1}},
		{name: "a deletion comes undone", history: []op{
			write(0, 1, "v"), write(2, 3, ""), read(9, 10, "v").final(),
		}, want: counts{Lost: 1}},
		{name: "an acknowledged write is not excused as undone", history: []op{
			write(0, 1, "v"), write(2, 3, "u").unknown(), read(4, 5, "u").primary(),
			write(6, 7, "w").over("u"), read(9, 10, "v").final(),
		}, want: counts{Lost: 1}},
	})
}

func TestUndone(t *testing.T) {
	t.Parallel()

	play(t, []scene{
		{name: "seen on a primary and gone", history: []op{
			write(0, 1, "v"), write(2, 3, "u").unknown(), read(4, 5, "u").primary(),
			read(6, 7, "v").primary(), read(8, 9, "v").final(),
		}, want: counts{Undone: 1}},
		{name: "gone for good, nothing else", history: []op{
			write(0, 1, "v"), write(2, 3, "u").unknown(), read(4, 5, "u").primary(),
			read(6, 7, "v").primary(), read(8, 9, "u").primary(),
		}, want: counts{Stale: 1}},
		{name: "an acknowledged write is never undone", history: []op{
			write(0, 1, "v"), write(2, 8, "u"), read(4, 5, "u").primary(),
			read(6, 7, "v").primary(),
		}, want: counts{Stale: 1}},
		{name: "two of them", history: []op{
			write(0, 1, "v"), write(2, 3, "t").unknown(), write(2, 3, "u").unknown().over("t"),
			read(4, 5, "t").primary(), read(6, 7, "u").primary(), read(8, 9, "v").primary(),
		}, want: counts{Undone: 2}},
	})
}

func TestTorn(t *testing.T) {
	t.Parallel()

	first := []op{write(0, 1, "a1").in(1, "a"), write(0, 1, "b1").in(1, "b")}
	second := []op{write(2, 3, "a2").in(2, "a"), write(2, 3, "b2").in(2, "b")}
	doubtful := []op{second[0].unknown(), second[1].unknown()}
	both := func(ops ...op) []op {
		return append(append([]op{}, first...), ops...)
	}

	play(t, []scene{
		{name: "whole", history: both(read(1, 9, "a1").in(3, "a"), read(1, 9, "b1").in(3, "b"))},
		{name: "under way", history: both(append(second,
			read(2, 9, "a2").in(3, "a"), read(2, 9, "b1").in(3, "b"))...)},
		{name: "still in doubt", history: both(append(doubtful,
			read(9, 10, "a2").in(3, "a"), read(9, 10, "b1").in(3, "b"))...)},
		{
			name: "over", history: both(append(second,
				read(4, 9, "a2").in(3, "a"), read(4, 9, "b1").in(3, "b"))...),
			want: counts{Torn: 1, Stale: 1},
		},
		{
			name: "in doubt for too long", history: both(append(doubtful,
				read(90, 91, "a2").in(3, "a"), read(90, 91, "b1").in(3, "b"))...),
			want: counts{Torn: 1},
		},
		{
			name: "in doubt, in the end", history: both(append(doubtful,
				read(9, 10, "a2").in(3, "a").final(), read(9, 10, "b1").in(3, "b").final())...),
			want: counts{Torn: 1},
		},
		{
			name: "partly missing", history: both(
				read(9, 10, "a1").in(3, "a"), read(9, 10, "").in(3, "b")),
			want: counts{Torn: 1, Stale: 1},
		},
		{name: "different looks", history: both(append(second,
			read(2, 9, "a2").in(3, "a"), read(2, 9, "b1").in(4, "b"))...)},
	})
}

// TestUndecided gives the checker a puzzle and no time.
func TestUndecided(t *testing.T) {
	t.Parallel()

	var all []history.Operation
	for i := range 300 {
		all = append(all, history.Operation(write(0, 100, string(rune('A'+i)))),
			history.Operation(read(0, 100, string(rune('A'+i))).primary()))
	}
	for i, value := range []string{"A", "B", "A"} {
		all = append(all, history.Operation(read(10+2*i, 11+2*i, value).primary()))
	}
	report := history.Check(all, history.Config{Patience: time.Millisecond})
	require.Len(t, report.Undecided, 1)
}

func TestRecorder(t *testing.T) {
	t.Parallel()

	recorder := history.NewRecorder()
	require.Equal(t, int64(1), recorder.Call())
	require.Equal(t, int64(2), recorder.Call())
	want := history.Operation(write(1, 2, "v").over("u").unknown())
	recorder.Add(want)

	path := filepath.Join(t.TempDir(), "history")
	require.NoError(t, recorder.Save(path))
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // It was only read.
	lines := bufio.NewScanner(file)
	require.True(t, lines.Scan())
	var got history.Operation
	require.NoError(t, json.Unmarshal(lines.Bytes(), &got))
	require.Empty(t, cmp.Diff(want, got))
	require.False(t, lines.Scan())
	require.Error(t, recorder.Save(filepath.Join(path, "impossible")))
}
