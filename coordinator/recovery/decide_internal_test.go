package recovery

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/coordinator"
)

// ask reads a question: replicas as "a=x", where x is the digest, nothing if the replica could not
// be asked, "absent" if it is not there. A mark before the name says: "-" no participant, "!" not
// healthy, "?" not assigned. The primary is a.
func ask(t *testing.T, text string) question {
	t.Helper()
	q := question{primary: "a", comparable: true}
	for word := range strings.FieldsSeq(text) {
		name, digest, ok := strings.Cut(word, "=")
		require.True(t, ok, word)
		bare := strings.TrimLeft(name, "-!?")
		q.replicas = append(q.replicas, standing{
			storage: coordinator.Storage(bare), digest: digest,
			participant: !strings.Contains(name, "-"),
			healthy:     !strings.Contains(name, "!"),
			assigned:    !strings.Contains(name, "?"),
		})
	}
	return q
}

func kept(names string) []coordinator.Storage {
	var storages []coordinator.Storage
	for name := range strings.FieldsSeq(names) {
		storages = append(storages, coordinator.Storage(name))
	}
	return storages
}

// decision is what follows from what is known of replicas.
type decision struct {
	replicas string
	// how says that the last resort is allowed, or that nothing can be compared.
	how           string
	keep, primary string
}

func decisions() map[string]decision {
	return map[string]decision{
		"all equal":                        {"a=x b=x c=x", "", "a b c", "a"},
		"primary wins against a majority":  {"a=x b=y c=y", "", "a", "a"},
		"primary wins, one follows":        {"a=x b=x c=y", "", "a b", "a"},
		"one does not answer":              {"a=x b=x c=", "", "a b", "a"},
		"primary does not answer":          {"a= b=x c=x", "", "b c", "b"},
		"majority without primary":         {"a= b=x c=y d=y", "", "c d", "c"},
		"only one answers":                 {"a= b= c=x", "", "c", "c"},
		"nobody answers":                   {"a= b= c=", "", "", ""},
		"nobody answers in the end":        {"a= b= c=", "last", "", ""},
		"primary is gone":                  {"a=absent b=x c=y d=y", "", "c d", "c"},
		"all are gone":                     {"a=absent b=absent c=absent", "", "", ""},
		"gone and silent":                  {"a= b=absent c=", "", "", ""},
		"gone are no group":                {"a= b=absent c=absent d=x", "", "d", "d"},
		"left out and equal":               {"a=x b=x -c=x", "", "a b c", "a"},
		"left out and different":           {"a=x b=x -c=y", "", "a b", "a"},
		"left out and silent":              {"a=x b=x -c=", "", "a b", "a"},
		"left out do not outvote":          {"a= b=x -c=y -d=y", "", "b", "b"},
		"left out break a tie":             {"a= b=x c=y -d=y", "", "c d", "c"},
		"assigned ones break a tie":        {"a= ?b=x c=y", "", "c", "c"},
		"healthy ones break a tie":         {"a= !b=x c=y", "", "c", "c"},
		"names break a tie":                {"a= b=x c=y", "", "b", "b"},
		"only those left out answer":       {"a= b= -c=x", "", "", ""},
		"until there is no hope":           {"a= b= -c=x", "last", "c", "c"},
		"participants come first":          {"a= b=x -c=y -d=y", "last", "b", "b"},
		"left out, several":                {"a= -b=x -c=y -d=y", "last", "c d", "c"},
		"healthy one leads":                {"a= !b=x c=x", "", "b c", "c"},
		"assigned one leads":               {"a= ?b=x c=x", "", "b c", "c"},
		"healthy before assigned":          {"a= !b=x ?c=x", "", "b c", "c"},
		"opaque: primary alone":            {"a=x b=x c=x", "opaque", "a", "a"},
		"opaque: without primary, one":     {"a= b=x c=x", "opaque", "b", "b"},
		"opaque: the one that leads best":  {"a= ?b=x !c=x d=x", "opaque", "d", "d"},
		"opaque: primary is gone":          {"a=absent b=x -c=x", "opaque", "b", "b"},
		"opaque: nobody":                   {"a= b=", "opaque", "", ""},
		"primary was not part of it":       {"-a=x b=y c=y", "", "b c", "b"},
		"primary was not part of it, same": {"-a=y b=y c=y", "", "a b c", "a"},
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	for name, tc := range decisions() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := ask(t, tc.replicas)
			q.lastResort, q.comparable = tc.how == "last", tc.how != "opaque"
			got, ok := decide(q)
			require.Equal(t, tc.keep != "", ok)
			require.Empty(t, cmp.Diff(kept(tc.keep), got.keep))
			require.Equal(t, coordinator.Storage(tc.primary), got.primary)
			require.Equal(t, ok, got.reason != "")
		})
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		replicas      string
		result        judged
		keep, primary string
	}{
		"all equal":               {"a=x b=x c=x", judgedEqual, "", ""},
		"only one":                {"a=x", judgedEqual, "", ""},
		"one is silent":           {"a=x b=x c=", judgedOpen, "", ""},
		"all are silent":          {"a= b= c=", judgedOpen, "", ""},
		"a minority":              {"a=x b=x c=y", judgedDifferent, "a b", "a"},
		"the primary is wrong":    {"a=y b=x c=x", judgedDifferent, "b c", "b"},
		"healthy one leads":       {"a=y !b=x c=x", judgedDifferent, "b c", "c"},
		"even":                    {"a=x b=y", judgedSplit, "", ""},
		"even of four":            {"a=x b=x c=y d=y", judgedSplit, "", ""},
		"all different":           {"a=x b=y c=z", judgedSplit, "", ""},
		"most, but no majority":   {"a=x b=x c=y d=z", judgedSplit, "", ""},
		"a silent one may decide": {"a=x b=x c=y d=", judgedSplit, "", ""},
		"whatever it would say":   {"a=x b=x c=x d=y e=", judgedDifferent, "a b c e", "a"},
		"even and silent":         {"a=x b=y c=", judgedSplit, "", ""},
		"primary is silent":       {"a= b=x c=x d=x e=y", judgedDifferent, "a b c d", "a"},
		"one is gone":             {"a=x b=absent c=x", judgedDifferent, "a c", "a"},
		"most are gone":           {"a=absent b=absent c=x", judgedDifferent, "c", "c"},
		"gone and silent":         {"a= b=absent c=x", judgedDifferent, "a c", "a"},
		"all are gone":            {"a=absent b=absent", judgedLost, "", ""},
		"gone, others silent":     {"a=absent b=", judgedLost, "", ""},
		// To repair the one that is gone would be to choose.
		"gone, others even":      {"a=absent b=x c=y", judgedSplit, "", ""},
		"gone, others in favour": {"a=x b=x c=y d=absent", judgedDifferent, "a b", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := ask(t, tc.replicas)
			for i := range q.replicas {
				q.replicas[i].participant = false
			}
			got := judge(q)
			require.Equal(t, tc.result, got.result)
			require.Empty(t, cmp.Diff(kept(tc.keep), got.keep))
			require.Equal(t, coordinator.Storage(tc.primary), got.primary)
		})
	}
}

func TestBrief(t *testing.T) {
	t.Parallel()
	require.Equal(t, `references:0123456789ab link:"" absent`,
		brief(`references:0123456789abcdef link:"" absent`))
}
