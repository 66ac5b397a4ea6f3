package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator/postgres/pgserver"
	"praefect/test/cluster"
)

// TestOutage takes PostgreSQL away for longer than a lease. Reads go on until the lease is over,
// and after it if that is configured; writes are refused as long as it lasts, with nothing changed,
// and everything resumes by itself.
func TestOutage(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		config string
		served codes.Code
	}{
		"strict": {"", codes.Unavailable},
		"serve":  {`outage_reads = "serve"`, codes.OK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, withOwnServer, func(_ *testing.T, _ *rig, c *cluster.Config) {
				c.Extra = "[transactions]\nlease = \"4s\"\nlease_margin = \"1s\"\n" + tc.config
			})
			repo := r.createRepository(t)
			user := newCheckout(t, repo.remote())
			commit := user.commit(t, "file", "content")
			user.mustGit(t, "push", "origin", "main")
			read := func() codes.Code {
				seen, err := repo.find(t.Context(), r.conn, "refs/heads/main")
				if err == nil {
					assert.Equal(t, commit, seen)
				}

				return status.Code(err)
			}
			write := func(commit string) codes.Code {
				return status.Code(repo.writeReference(t.Context(), r.conn, "refs/heads/x", commit))
			}
			require.Equal(t, codes.OK, read())

			require.NoError(t, r.Server().Halt(pgserver.Immediate))
			require.Equal(t, codes.OK, read(), "the lease holds")
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.Zero(c, r.metric(c, "gitaly_praefect_lease_held"))
			}, promised, tick)
			require.Equal(t, tc.served, read())
			require.Equal(t, codes.Unavailable, write(commit))

			require.NoError(t, r.Server().Resume(t.Context()))
			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.Equal(c, codes.OK, write(commit))
			}, promised, tick, "it does not resume by itself")
			require.Equal(t, codes.OK, read())
			repo.waitConverged(t)
		})
	}
}
