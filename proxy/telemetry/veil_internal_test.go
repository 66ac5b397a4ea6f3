package telemetry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVeil(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"fatal: unable to access 'https://me:pw@host/a.git/': 403": "fatal: unable to access " +
			"'https://[hidden]@host/a.git/': 403",
		"authorization: Bearer v2.abc.1":       "authorization: [hidden] [hidden]",
		"sent Bearer v2.abc.1 to node":         "sent Bearer [hidden] to node",
		"host=db password=pw user=me":          "host=db password=[hidden] user=me",
		`{"Token": "abc", "name": "x"}`:        `{"Token": "[hidden]", "name": "x"}`,
		"a token is needed":                    "a token is needed",
		"see https://host/a and mail me@there": "see https://host/a and mail me@there",
	} {
		require.Equal(t, want, newVeil().over(text))
	}
}
