package coordinator

import (
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// testGroup has the storages a, b, c and so on, of which the named are healthy.
func testGroup(count int, config VirtualStorageConfig) *group {
	g := &group{
		name: "default", config: config, places: map[Storage]int{}, rand: NewRandom(nil),
	}
	for place := range count {
		storage := Storage(rune('a' + place))
		g.places[storage] = place
		g.config.Storages = append(g.config.Storages, storage)
	}
	return g
}

// letters names a set by the letters of its storages.
func letters(text string) set {
	var members set
	for _, letter := range text {
		members = members.with(int(letter - 'a'))
	}
	return members
}

// state describes a repository by letters.
type state struct {
	primary, current, assigned, joining, healthy string
}

func (s state) route() route {
	r := route{
		primary: nowhere, current: letters(s.current), assigned: letters(s.assigned),
		joining: letters(s.joining), copies: uint8(letters(s.assigned).count()),
	}
	if s.primary != "" {
		r.primary = int8(letters(s.primary).lowest())
	}
	return r
}

// participantCase is one row of the table of participants.
type participantCase struct {
	state       state
	minimum     int
	members     string
	wantMinimum int
	wantError   string
}

func participantCases() map[string]participantCase {
	return map[string]participantCase{
		"all": {
			state{"a", "abc", "abc", "", "abc"}, 0, "abc", 2, "",
		},
		"one sick": {
			state{"a", "abc", "abc", "", "ac"}, 0, "ac", 2, "",
		},
		"one outdated": {
			state{"a", "ab", "abc", "", "abc"}, 0, "ab", 2, "",
		},
		"two missing": {
			state{"a", "ab", "abc", "", "ac"},
			0, "", 0,
			`too few copies: a write needs 2 current replicas on healthy nodes, has 1: ` +
				`"b" is not healthy, "c" is outdated`,
		},
		"two missing and allowed": {
			state{"a", "ab", "abc", "", "ac"}, 1, "a", 1, "",
		},
		"unassigned current ones stay out": {
			state{"a", "abcd", "abc", "", "abcd"}, 0, "abc", 2, "",
		},
		"joining ones take part and do not count": {
			state{"a", "ab", "abc", "c", "abc"}, 0, "abc", 2, "",
		},
		"joining ones are no copies": {
			state{"a", "a", "abc", "bc", "abc"},
			0, "", 0,
			`too few copies: a write needs 2 current replicas on healthy nodes, has 1: ` +
				`"b" is outdated, "c" is outdated`,
		},
		"joining and sick": {
			state{"a", "ab", "abc", "c", "ab"}, 0, "ab", 2, "",
		},
		"joining and unassigned": {
			state{"a", "ab", "ab", "c", "abc"}, 0, "ab", 1, "",
		},
		"unassigned primary is no copy": {
			state{"d", "abd", "abc", "", "abcd"}, 0, "abd", 3, "",
		},
		"two replicas": {
			state{"a", "ab", "ab", "", "a"}, 0, "a", 1, "",
		},
		"two replicas, both needed": {
			state{"a", "ab", "ab", "", "a"},
			2, "", 0,
			`too few copies: a write needs 2 current replicas on healthy nodes, has 1: ` +
				`"b" is not healthy`,
		},
		"four replicas": {
			state{"a", "abc", "abcd", "", "abc"}, 0, "abc", 3, "",
		},
		"minimum above what is assigned": {
			state{"a", "ab", "ab", "", "ab"}, 3, "ab", 2, "",
		},
	}
}

func TestParticipants(t *testing.T) {
	t.Parallel()
	for name, tc := range participantCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := testGroup(4, VirtualStorageConfig{MinimumCopies: tc.minimum})
			chosen, err := g.participants(tc.state.route(), letters(tc.state.healthy))
			if tc.wantError != "" {
				require.ErrorIs(t, err, ErrTooFewCopies)
				require.EqualError(t, err, tc.wantError)
				return
			}
			require.NoError(t, err)
			require.Equal(t, letters(tc.members), chosen.members)
			require.Equal(t, tc.wantMinimum, chosen.minimum)
		})
	}
}

// TestFillingParticipants: a replica that was assigned later and has no copy yet asks for no copy
// of a write, one that is lost or behind does.
func TestFillingParticipants(t *testing.T) {
	t.Parallel()
	g := testGroup(5, VirtualStorageConfig{})
	for name, tc := range map[string]struct {
		// counted and filling are assigned, current some of the counted ones.
		counted, filling, current string
		wantMinimum               int
	}{
		"one of one":              {"a", "", "a", 1},
		"two more":                {"a", "bc", "a", 1},
		"one of them filled":      {"ab", "c", "ab", 1},
		"both filled":             {"abc", "", "abc", 2},
		"one filled and behind":   {"ab", "c", "a", 1},
		"both filled, one behind": {"abc", "", "ab", 2},
		"two more than three":     {"abc", "de", "ab", 2},
		"too few of three":        {"abc", "de", "a", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repository := Repository{Primary: "a", Generation: 7}
			for _, storage := range g.config.Storages {
				at := letters(string(storage))
				generation := Generation(3)
				if letters(tc.current)&at != 0 {
					generation = 7
				}
				repository.Replicas = append(repository.Replicas, Replica{
					Storage: storage, Generation: generation,
					Assigned: letters(tc.counted+tc.filling)&at != 0,
					Filling:  letters(tc.filling)&at != 0,
				})
			}
			chosen, err := g.participants(g.newRoute(repository), letters("abcde"))
			if tc.wantMinimum == 0 {
				require.ErrorIs(t, err, ErrTooFewCopies)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.wantMinimum, chosen.minimum)
			require.Equal(t, letters(tc.current), chosen.members)
		})
	}
}

// Requirements: T180, T181, T183, T184
func TestElection(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		state state
		// from is whom an election may choose; empty if none is needed.
		from string
		err  error
	}{
		"fit":                        {state{"a", "abc", "abc", "", "abc"}, "", nil},
		"fit among sick":             {state{"a", "abc", "abc", "", "a"}, "", nil},
		"sick":                       {state{"a", "abc", "abc", "", "bc"}, "bc", nil},
		"outdated":                   {state{"a", "bc", "abc", "", "abc"}, "bc", nil},
		"none yet":                   {state{"", "ab", "ab", "", "ab"}, "ab", nil},
		"only outdated left":         {state{"a", "a", "abc", "", "bc"}, "", ErrNoPrimary},
		"joining is not current":     {state{"a", "a", "abc", "b", "bc"}, "", ErrNoPrimary},
		"assigned before unassigned": {state{"a", "abd", "abc", "", "bd"}, "b", nil},
		"unassigned if need be":      {state{"a", "ad", "abc", "", "bd"}, "d", nil},
		"unassigned gives way":       {state{"d", "ad", "abc", "", "ad"}, "a", nil},
		"unassigned stays":           {state{"d", "ad", "abc", "", "d"}, "", nil},
		"nobody healthy":             {state{"a", "abc", "abc", "", ""}, "", ErrNoHealthyNode},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, healthy := tc.state.route(), letters(tc.state.healthy)
			needed := needsElection(r, healthy)
			require.Equal(t, tc.from != "" || tc.err != nil, needed)
			if !needed {
				return
			}
			for range 50 {
				found, err := candidates(r, healthy)
				require.ErrorIs(t, err, tc.err)
				if err == nil {
					require.Equal(t, letters(tc.from), found)
				}
			}
		})
	}
}

// readCase is one row of the table of reads.
type readCase struct {
	state               state
	excluded            string
	primary, committing bool
	want                string
	err                 error
}

func readCases() map[string]readCase {
	all := state{"b", "abc", "abc", "", "abc"}
	sick := state{"b", "abc", "abc", "", "ac"}
	return map[string]readCase{
		"all current":      {state: all, want: "abc"},
		"only healthy":     {state: sick, want: "ac"},
		"only current":     {state: state{"a", "ab", "abc", "c", "abc"}, want: "ab"},
		"unassigned too":   {state: state{"a", "abd", "ab", "", "d"}, want: "d"},
		"not the excluded": {state: all, excluded: "ac", want: "b"},
		"all excluded":     {state: all, excluded: "abc", err: ErrNoCurrentReplica},
		"none current":     {state: state{"a", "a", "ab", "", "b"}, err: ErrNoCurrentReplica},
		"none healthy":     {state: state{"a", "ab", "ab", "", ""}, err: ErrNoHealthyNode},
		"primary only":     {state: all, primary: true, want: "b"},
		"primary sick":     {state: sick, primary: true, err: ErrNoPrimary},
		"primary outdated": {
			state: state{"b", "ac", "abc", "", "abc"}, primary: true, err: ErrNoPrimary,
		},
		"primary excluded":          {state: all, primary: true, excluded: "b", err: ErrNoPrimary},
		"committing":                {state: all, committing: true, want: "b"},
		"committing, primary sick":  {state: sick, committing: true, want: "ac"},
		"committing, primary tried": {state: all, committing: true, excluded: "b", want: "ac"},
	}
}

// Requirements: T187
func TestReadable(t *testing.T) {
	t.Parallel()
	for name, tc := range readCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := readable(readQuery{
				route: tc.state.route(), healthy: letters(tc.state.healthy),
				excluded: letters(tc.excluded), primaryOnly: tc.primary, committing: tc.committing,
			})
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, letters(tc.want), found)
		})
	}
}

// TestMaintained runs housekeeping wherever something is that should be there, current or not.
func TestMaintained(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		present, assigned, healthy string
		want                       string
		err                        error
	}{
		"all":                         {"abc", "abc", "abc", "abc", nil},
		"primary sick":                {"abc", "abc", "bc", "bc", nil},
		"secondary sick":              {"abc", "abc", "ab", "ab", nil},
		"all sick":                    {"abc", "abc", "", "", ErrNoHealthyNode},
		"primary unassigned":          {"abc", "bc", "abc", "bc", nil},
		"secondary unassigned":        {"abc", "ab", "abc", "ab", nil},
		"none assigned":               {"abc", "", "abc", "", ErrNoHealthyNode},
		"primary never filled":        {"bc", "abc", "abc", "bc", nil},
		"secondary never filled":      {"ab", "abc", "abc", "ab", nil},
		"each missing for another":    {"ab", "bc", "ac", "", ErrNoHealthyNode},
		"assigned, filled or healthy": {"abd", "bcd", "acd", "d", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := state{"a", "a", tc.assigned, "", ""}.route()
			r.present = letters(tc.present)
			targets, err := maintained(r, letters(tc.healthy))
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, letters(tc.want), targets)
		})
	}
}

func TestPlaceNew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		factor, minimum int
		healthy         string
		// members and assigned count.
		members, assigned int
		err               error
	}{
		"everywhere":             {healthy: "abcd", members: 4, assigned: 4},
		"factor":                 {factor: 2, healthy: "abcd", members: 2, assigned: 2},
		"factor of one":          {factor: 1, healthy: "b", members: 1, assigned: 1},
		"healthy ones first":     {factor: 3, healthy: "abc", members: 3, assigned: 3},
		"sick ones if need be":   {factor: 3, healthy: "ad", members: 2, assigned: 3},
		"enough":                 {healthy: "bcd", members: 3, assigned: 4},
		"not enough":             {healthy: "bc", err: ErrTooFewCopies},
		"less is allowed":        {minimum: 1, healthy: "c", members: 1, assigned: 4},
		"nobody healthy":         {err: ErrNoHealthyNode},
		"factor, but not enough": {factor: 3, healthy: "c", err: ErrTooFewCopies},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := testGroup(4, VirtualStorageConfig{
				DefaultReplicationFactor: tc.factor, MinimumCopies: tc.minimum,
			})
			for range 20 {
				chosen, err := g.placeNew(letters(tc.healthy))
				require.ErrorIs(t, err, tc.err)
				if err != nil {
					return
				}
				require.Equal(t, tc.members, chosen.members.count())
				require.Equal(t, tc.assigned, chosen.assigned.count())
				require.True(t, letters(tc.healthy).contains(chosen.members))
				require.True(t, chosen.members.has(chosen.primary))
				require.True(t, chosen.assigned.contains(chosen.members))
			}
		})
	}
}

func TestPlaceBeside(t *testing.T) {
	t.Parallel()
	g := testGroup(4, VirtualStorageConfig{DefaultReplicationFactor: 1})
	other := state{"b", "abc", "abcd", "", "bcd"}
	chosen, err := g.placeBeside(other.route(), letters(other.healthy))
	require.ErrorIs(t, err, ErrTooFewCopies, "the factor of new repositories does not count")
	require.Zero(t, chosen)
	var few *TooFewCopiesError
	require.ErrorAs(t, err, &few)
	require.Equal(t, []Absence{{"a", "is not healthy"}, {"d", "is outdated"}}, few.Missing)

	chosen, err = g.placeBeside(other.route(), letters("abcd"))
	require.NoError(t, err)
	require.Equal(t, placement{
		primary: 1, members: letters("abc"), assigned: letters("abcd"), minimum: 3,
	}, chosen)
}

// TestPlaceBesideOthers covers how the other repository may stand.
func TestPlaceBesideOthers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		beside            state
		members, assigned string
		err               error
	}{
		"all well":                  {state{"a", "abc", "abc", "", "abcd"}, "abc", "abc", nil},
		"a single copy":             {state{"c", "c", "c", "", "abcd"}, "c", "c", nil},
		"one sick":                  {state{"a", "abc", "abc", "", "ab"}, "ab", "abc", nil},
		"one outdated":              {state{"a", "ac", "abc", "", "abc"}, "ac", "abc", nil},
		"sick and outdated":         {state{"a", "ab", "abc", "", "ac"}, "", "", ErrTooFewCopies},
		"joining are not filled":    {state{"a", "ab", "abc", "c", "abc"}, "ab", "abc", nil},
		"unassigned primary counts": {state{"d", "abd", "ab", "", "abd"}, "abd", "abd", nil},
		"current but unassigned":    {state{"a", "abc", "ab", "", "abc"}, "ab", "ab", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := testGroup(4, VirtualStorageConfig{DefaultReplicationFactor: 2})
			chosen, err := g.placeBeside(tc.beside.route(), letters(tc.beside.healthy))
			require.ErrorIs(t, err, tc.err)
			require.Equal(t, letters(tc.members), chosen.members)
			require.Equal(t, letters(tc.assigned), chosen.assigned)
		})
	}
}

func TestMinimumCopies(t *testing.T) {
	t.Parallel()
	for assigned, want := range []int{1, 1, 1, 2, 3, 3, 4} {
		require.Equal(t, want, VirtualStorageConfig{}.minimumCopies(assigned), "of %d", assigned)
	}
	for assigned, want := range []int{1, 1, 2, 3, 3, 3} {
		require.Equal(t, want, VirtualStorageConfig{MinimumCopies: 3}.minimumCopies(assigned))
	}
}

// TestPick prefers the storage with less to do.
func TestPick(t *testing.T) {
	t.Parallel()
	g := testGroup(3, VirtualStorageConfig{})
	g.loads = make([]atomic.Int64, 3)
	g.loads[0].Store(5)
	counts := map[int]int{}
	for range 300 {
		counts[g.pick(letters("abc"))]++
	}
	require.Zero(t, counts[0], "the busiest of three is never the better of two")
	require.Greater(t, counts[1], 50)
	require.Greater(t, counts[2], 50)
	require.Equal(t, 0, g.pick(letters("a")))
}
