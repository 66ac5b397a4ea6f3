//go:build failpoints

package failpoint

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	t.Parallel()

	found, err := parse("recorded:2=/a,*=/b,routed=/c")
	require.NoError(t, err)
	for _, want := range []struct {
		point  Point
		socket string
	}{
		{Recorded, "/b"}, {Recorded, "/a"}, {Recorded, "/b"}, {Routed, "/b"}, {Ended, "/b"},
	} {
		socket, stop := found.arrive(want.point)
		require.True(t, stop)
		require.Equal(t, want.socket, socket, want.point)
	}

	found, err = parse("")
	require.NoError(t, err)
	_, stop := found.arrive(Recorded)
	require.False(t, stop)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()

	for text, reason := range map[string]string{
		"recorded":          "names no socket",
		"recorded=":         "names no socket",
		"nowhere=/a":        "no such point",
		"recorded:0=/a":     "the first arrival is 1",
		"recorded:x=/a":     "the first arrival is 1",
		"recorded=/a,":      "names no socket",
		"recorded=/a,*:=/b": "the first arrival is 1",
	} {
		_, err := parse(text)
		require.ErrorIs(t, err, ErrInvalid, text)
		require.ErrorContains(t, err, reason, text)
	}
}
