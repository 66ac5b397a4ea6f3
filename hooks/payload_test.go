package hooks_test

import (
	"encoding/base64"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"praefect/hooks"
)

func TestParseTransaction(t *testing.T) {
	t.Parallel()

	const golden = "eyJpZCI6MSwibm9kZSI6ImdpdGFseS0xIiwicHJpbWFyeSI6dHJ1ZX0="
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

	for name, tc := range map[string]struct {
		value string
		want  hooks.Transaction
		err   string
	}{
		"golden": {
			value: golden, want: hooks.Transaction{ID: 1, Node: "gitaly-1", Primary: true},
		},
		"large id": {
			value: encode(`{"id":9223372036854775807,"node":"n","primary":false}`),
			want:  hooks.Transaction{ID: 9223372036854775807, Node: "n"},
		},
		"a connection named from outside is not believed": {
			value: encode(`{"id":2,"node":"n","backchannel_id":7}`),
			want:  hooks.Transaction{ID: 2, Node: "n"},
		},
		"no base64": {value: "{}", err: "from serialized: "},
		"no JSON":   {value: encode("x"), err: "from serialized: "},
		"empty":     {value: "", err: "from serialized: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			transaction, err := hooks.ParseTransaction(tc.value)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)

				return
			}
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(tc.want, transaction))
		})
	}
}

func TestPayloadPassesThroughTheEnvironment(t *testing.T) {
	t.Parallel()

	payload := hooks.Payload{
		Socket:       "/run/node/socket",
		Token:        "T",
		Transaction:  &hooks.Transaction{ID: 3, Node: "gitaly-2", BackchannelID: 9},
		Storage:      "gitaly-2",
		RelativePath: "@cluster/repositories/6b/86/1",
		Path:         "/disk/@cluster/repositories/6b/86/1",
		Pusher: hooks.Pusher{
			ID: "user-1", Name: "x\ny", Repository: "project-1", Protocol: "http",
		},
	}

	entry, err := payload.Environ()
	require.NoError(t, err)
	decoded, err := hooks.PayloadFrom([]string{"A=b", entry})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(payload, decoded))

	_, err = hooks.PayloadFrom([]string{"A=b"})
	require.ErrorIs(t, err, hooks.ErrNoPayload)
	_, err = hooks.PayloadFrom([]string{hooks.PayloadVariable + "={"})
	require.ErrorContains(t, err, "decode payload")
}
