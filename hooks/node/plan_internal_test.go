package node

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"praefect/hooks/node/git"
)

// listing draws references as a repository can have them: no name is a directory of another.
func listing() *rapid.Generator[[]reference] {
	return rapid.Custom(func(t *rapid.T) []reference {
		parts := rapid.SampledFrom([]string{"a", "b", "a/b", "b/a", "a/b/c", "b/a/c", "c"})
		objects := rapid.SampledFrom([]string{strings.Repeat("1", 40), strings.Repeat("2", 40)})
		found := make(map[string]string)
		for _, part := range rapid.SliceOfN(parts, 0, 6).Draw(t, "names") {
			name := "refs/heads/" + part
			if !clashes(name, slices.Collect(maps.Keys(found))) {
				found[name] = objects.Draw(t, "object")
			}
		}
		var list []reference
		for _, name := range slices.Sorted(maps.Keys(found)) {
			list = append(list, reference{name: name, object: found[name]})
		}

		return list
	})
}

func clashes(name string, others []string) bool {
	return slices.ContainsFunc(others, func(other string) bool {
		return strings.HasPrefix(name, other+"/") || strings.HasPrefix(other, name+"/")
	})
}

// A plan makes one listing another, asks for the old values, and never gives Git a deletion and a
// creation at once of which one is the directory of the other.
func TestPlanProperties(t *testing.T) {
	t.Parallel()

	rapid.Check(t, func(t *rapid.T) {
		mine, wanted := listing().Draw(t, "mine"), listing().Draw(t, "wanted")
		p := plan(mine, wanted)

		now := make(map[string]string)
		for _, r := range mine {
			now[r.name] = r.object
		}
		for _, u := range p.first {
			require.Equal(t, zeroID("sha1"), u.New, "only deletions come first")
		}
		for _, step := range [][]git.Update{p.first, p.rest} {
			apply(t, now, step)
		}

		want := make(map[string]string)
		for _, r := range wanted {
			want[r.name] = r.object
		}
		require.Empty(t, cmp.Diff(want, now))
		if cmp.Equal(mine, wanted, cmp.AllowUnexported(reference{})) {
			require.Empty(t, p.first)
			require.Empty(t, p.rest)
		}
	})
}

// apply does what Git does with one transaction: names must be free before any is deleted.
func apply(t require.TestingT, now map[string]string, updates []git.Update) {
	for _, u := range updates {
		old, ok := now[u.Reference]
		if !ok {
			old = zeroID("sha1")
			require.False(t, clashes(u.Reference, slices.Collect(maps.Keys(now))), u.Reference)
		}
		require.Equal(t, old, u.Old, u.Reference)
	}
	for _, u := range updates {
		if u.New == zeroID("sha1") {
			delete(now, u.Reference)
		} else {
			now[u.Reference] = u.New
		}
	}
}

func TestStateEqual(t *testing.T) {
	t.Parallel()

	state := func(head string, references ...reference) state {
		return state{head: head, references: references}
	}
	a := reference{name: "refs/heads/a", object: "1"}
	require.True(t, state("x", a).equal(state("x", a)))
	require.False(t, state("x", a).equal(state("y", a)))
	require.False(t, state("x", a).equal(state("x")))
	require.False(t, state("x", a).equal(state("x", reference{name: a.name, object: "2"})))
}
