package method

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const good = "S/M mutator repository bidi 1.2 3 - - - none|gate creation|objects -"
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"columns":       {"S/M mutator repository", "3 columns, not 12"},
		"operation":     {replace(good, "mutator", "reader"), `"reader" is none of`},
		"scope":         {replace(good, "repository", "cluster"), `"cluster" is none of`},
		"stream":        {replace(good, "bidi", "none"), `unknown stream "none"`},
		"path":          {replace(good, "1.2", "1.x"), `field number "x"`},
		"zero":          {replace(good, "1.2", "0"), `field number "0"`},
		"turn":          {replace(good, "none|gate", "later|gate"), `"later" is none of`},
		"update turn":   {replace(good, "none|gate", "none|later"), `"later" is none of`},
		"kind":          {replace(good, "creation|", "tags|"), `"tags" is none of`},
		"update kind":   {replace(good, "|objects", "|tags"), `"tags" is none of`},
		"one turn":      {replace(good, "none|gate", "none"), "two turns need two kinds"},
		"flag":          {good[:len(good)-1] + "fast", `unknown flag "fast"`},
		"twice":         {good + "\n" + good, `line 2: malformed table: "S/M" twice`},
		"line":          {"# comment\n\n" + good + " -", "line 3: malformed table: 13 columns"},
		"several flags": {good[:len(good)-1] + "local,fast", `unknown flag "fast"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(tc.text)
			require.ErrorIs(t, err, errMalformed)
			require.ErrorContains(t, err, tc.want)
		})
	}
	table, err := parse(good)
	require.NoError(t, err)
	require.Equal(t, 1, table.Len())
}

func replace(text, old, with string) string { return strings.Replace(text, old, with, 1) }

func TestWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, "maintenance", Maintenance.String())
	require.Equal(t, "partition", ScopePartition.String())
	require.Equal(t, "at_prepared", TurnAtPrepared.String())
	require.Equal(t, "removal", KindRemoval.String())
	require.Equal(t, "unknown", Kind(200).String())
	require.Len(t, operations(), int(Maintenance)+1)
	require.Len(t, scopes(), int(ScopePartition)+1)
	require.Len(t, turns(), int(TurnAtPrepared)+1)
	require.Len(t, kinds(), int(KindRemoval)+1)
}
