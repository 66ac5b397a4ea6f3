package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres/pgserver"
)

// TestArguments have to be those of the statement, the first time and later.
func TestArguments(t *testing.T) {
	t.Parallel()
	server, err := pgserver.Start(t.Context(), pgserver.Config{})
	if err != nil {
		require.ErrorIs(t, err, pgserver.ErrNotInstalled)
		t.Skip(err)
	}
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	connection, err := pgx.Connect(t.Context(), server.DSN("postgres"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, connection.Close(context.Background())) })

	const statement = "SELECT @b::text || @a::text || @b::text -- @c is none, nor is '@d'"
	for range 2 {
		for name, tc := range map[string]struct {
			given arguments
			want  string
		}{
			"all":     {arguments{"a": "1", "b": "2"}, "212"},
			"changed": {arguments{"a": "3", "b": "4"}, "434"},
			"missing": {arguments{"a": "1"}, ""},
			"other":   {arguments{"a": "1", "c": "2"}, ""},
			"more":    {arguments{"a": "1", "b": "2", "c": "3"}, ""},
			"none":    {arguments{}, ""},
		} {
			var got string
			err := connection.QueryRow(t.Context(), statement, tc.given).Scan(&got)
			require.Equal(t, tc.want, got, name)
			require.Equal(t, tc.want == "", err != nil, name)
		}
	}
}
