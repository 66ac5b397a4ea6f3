package acceptance_test

import (
	"crypto/md5" //nolint:gosec // What PgBouncer calls md5.
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

const password = `it's \ "secret"`

// startPgBouncer has the database in a pool by transactions, and another one under the name with
// "_direct" in a pool by sessions. Clients authenticate by a file with the hash of the password.
func startPgBouncer(t *testing.T, database cluster.Database) cluster.Database {
	t.Helper()
	path := installed(t, "pgbouncer", "pgbouncer")
	dir := t.TempDir()
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)

	//nolint:gosec // As above.
	sum := md5.Sum([]byte(password + database.User))
	users := filepath.Join(dir, "userlist.txt")
	require.NoError(t, os.WriteFile(users, fmt.Appendf(nil, "%q \"md5%s\"\n",
		database.User, hex.EncodeToString(sum[:])), 0o644))
	settings := filepath.Join(dir, "pgbouncer.ini")
	target := fmt.Sprintf("host=%s port=%d dbname=%s user=%s",
		database.Host, database.Port, database.Name, database.User)
	text := fmt.Sprintf(`[databases]
%[1]s = %[2]s pool_mode=transaction
%[1]s_direct = %[2]s pool_mode=session
%[1]s_gitlab = %[2]s dbname=postgres pool_mode=transaction
[pgbouncer]
listen_addr = %[3]s
listen_port = %[4]s
unix_socket_dir =
auth_type = md5
auth_file = %[5]s
default_pool_size = 5
`, database.Name, target, host, port, users)
	if os.Geteuid() == 0 {
		text += "user = postgres\n"
	}
	require.NoError(t, os.WriteFile(settings, []byte(text), 0o644))
	openUp(t, dir)
	spawn(t, path, settings)

	database.Host, database.Password = host, password
	database.Port, err = strconv.Atoi(port)
	require.NoError(t, err)

	return database
}

// sessions counts the sessions of a database whose last statement begins so.
func sessions(t *testing.T, database, statement string) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), suite.server.DSN("postgres"))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // It has only looked.
	var count int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = $1 AND query ILIKE '%' || $2 || '%'
		  AND pid <> pg_backend_pid()`, database, statement).Scan(&count))

	return count
}

// exercise creates repositories through one proxy, changes them, and reads them through another.
func exercise(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	first := dialled(t, c, c.Proxies()[0].Address)
	last := dialled(t, c, c.Proxies()[len(c.Proxies())-1].Address)
	for i := range 10 {
		repository := create(t, first, fmt.Sprintf("r%d.git", i))
		require.NoError(t, write(t.Context(), first, repository, "main"))
		require.NoError(t, exists(t.Context(), last, repository))
	}
}

// TestT055PoolingByTransactions has nothing but a pool by transactions, which no notice passes: all
// goes on without. Users are in a file, with hashes of passwords. The database of GitLab is behind
// the same PgBouncer.
//
// Requirements: T031, T032, T055, T058, T059, T061
func TestT055PoolingByTransactions(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	pooled := startPgBouncer(t, database)
	c := start(t, cluster.Config{Database: pooled, Proxies: 2})
	exercise(t, c)
	config, err := pgx.ParseConfig("sslmode=disable default_query_exec_mode=exec")
	require.NoError(t, err)
	config.Host, config.Port, config.User = pooled.Host, uint16(pooled.Port), pooled.User
	config.Password, config.Database = pooled.Password, database.Name+"_gitlab"
	gitlab, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	var found string
	require.NoError(t, gitlab.QueryRow(t.Context(), "SELECT current_database()").Scan(&found))
	require.NoError(t, gitlab.Close(t.Context()))
	require.Equal(t, "postgres", found)
	for _, proxy := range c.Proxies() {
		log := proxyLog(t, c, proxy)
		require.NotContains(t, log, "prepared statement")
		require.NotContains(t, log, "secret")
	}
	require.Eventually(t, func() bool {
		return strings.Contains(proxyLog(t, c, c.Proxy()), "listening was interrupted")
	}, wait, tick, "an operator can see that the pool is not fit for notices")
}

// TestT056NoticesThroughPoolOfSessions names a second database of the same PgBouncer, and nothing
// else, for notices.
//
// Requirements: T050, T051, T052, T056, T062
func TestT056NoticesThroughPoolOfSessions(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	pooled := startPgBouncer(t, database)
	c := start(t, cluster.Config{
		Database: pooled, Proxies: 2,
		Extra: "[database.session_pooled]\ndbname = \"" + database.Name + "_direct\"\n",
	})
	require.Eventually(t, func() bool { return sessions(t, database.Name, "LISTEN") == 2 },
		wait, tick)
	exercise(t, c)
	log := proxyLog(t, c, c.Proxy())
	require.NotContains(t, log, "listening was interrupted")
	require.Contains(t, log, "reads distribution caching is enabled by configuration")
}

// TestT057NoticesPastPgBouncer reaches PostgreSQL itself for notices.
//
// Requirements: T049, T057
func TestT057NoticesPastPgBouncer(t *testing.T) {
	t.Parallel()
	database := newDatabase(t)
	c := start(t, cluster.Config{
		Database: startPgBouncer(t, database), Proxies: 1,
		Extra: fmt.Sprintf("[database.session_pooled]\nhost = %q\nport = %d\n",
			database.Host, database.Port),
	})
	require.Eventually(t, func() bool { return sessions(t, database.Name, "LISTEN") == 1 },
		wait, tick)
	exercise(t, c)
	require.NotContains(t, proxyLog(t, c, c.Proxy()), "listening was interrupted")
}

// TestT054NoticesAreLost ends the sessions that listen again and again, while one proxy removes
// repositories that another knows: what that one has kept is never served when it is outdated. At
// last both listen again.
func TestT054NoticesAreLost(t *testing.T) {
	t.Parallel()
	const rounds = 10
	c := start(t, cluster.Config{Proxies: 2})
	database := c.Database().Name
	require.Eventually(t, func() bool { return sessions(t, database, "LISTEN") == 2 }, wait, tick)
	for _, proxy := range c.Proxies() {
		text := scrape(t, proxy.Metrics)
		require.Contains(t, text, reconnects+`{state="connected"} 1`+"\n")
		require.Contains(t, text, reconnects+`{state="disconnected"} 0`+"\n")
	}
	first, last := dialled(t, c, c.Proxies()[0].Address), dialled(t, c, c.Proxies()[1].Address)
	server, err := pgx.Connect(t.Context(), suite.server.DSN("postgres"))
	require.NoError(t, err)
	defer server.Close(t.Context()) //nolint:errcheck // Nothing is under way.
	for i := range rounds {
		repository := create(t, first, fmt.Sprintf("passing-%d.git", i))
		require.NoError(t, exists(t.Context(), last, repository))
		_, err := server.Exec(t.Context(), `SELECT pg_terminate_backend(pid)
			FROM pg_stat_activity WHERE datname = $1 AND query ILIKE '%LISTEN praefect%'
			  AND pid <> pg_backend_pid()`, database)
		require.NoError(t, err)
		_, err = gitalypb.NewRepositoryServiceClient(first).RemoveRepository(t.Context(),
			&gitalypb.RemoveRepositoryRequest{Repository: repository})
		require.NoError(t, err)
		answer, err := gitalypb.NewRepositoryServiceClient(last).RepositoryExists(t.Context(),
			&gitalypb.RepositoryExistsRequest{Repository: repository})
		require.NoError(t, err)
		require.False(t, answer.GetExists())
	}
	require.Eventually(t, func() bool { return sessions(t, database, "LISTEN") == 2 }, wait, tick)
	for _, proxy := range c.Proxies() {
		requireReconnected(t, proxy)
	}
}

const reconnects = "gitaly_praefect_notifications_reconnects_total"

// requireReconnected demands that a proxy has lost what tells it of changes, and has it again.
func requireReconnected(t *testing.T, proxy *cluster.Proxy) {
	t.Helper()
	count := func(text, state string) int {
		found := regexp.MustCompile(`(?m)^` + reconnects + `\{state="` + state + `"\} (\d+)$`).
			FindStringSubmatch(text)
		require.NotNil(t, found, state)
		value, err := strconv.Atoi(found[1])
		require.NoError(t, err)

		return value
	}
	require.Eventually(t, func() bool {
		text := scrape(t, proxy.Metrics)

		return count(text, "disconnected") > 0 && count(text, "connected") > 1
	}, wait, tick)
}
