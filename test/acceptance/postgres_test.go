package acceptance_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"praefect/test/cluster"
)

// pinged demands that sql-ping has succeeded.
func pinged(t *testing.T, result ran) {
	t.Helper()
	require.Equal(t, ran{stdout: "praefect sql-ping: OK\n"}, result)
}

// TestT036EachKeyCounts gives each key of [database] a wrong value in turn.
//
// Requirements: T030, T087
func TestT036EachKeyCounts(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	pinged(t, a.ping(t, a.keys()))
	pinged(t, a.ping(t, a.with(map[string]string{"port": "5432"})))
	for key, tc := range map[string]struct{ value, text string }{
		"host":     {"127.0.0.1", "connection refused"},
		"port":     {"1", "connection refused"},
		"user":     {"nobody_" + a.name, "SQLSTATE 28P01"},
		"password": {"wrong", "SQLSTATE 28P01"},
		"dbname":   {"none_" + a.name, "SQLSTATE 3D000"},
	} {
		result := a.ping(t, a.with(map[string]string{key: tc.value}))
		require.Equal(t, 1, result.code, key)
		require.Empty(t, result.stdout, key)
		require.Contains(t, result.stderr, tc.text, key)
		require.NotContains(t, result.stderr, sqlPassword, key)
	}
}

// TestT031PasswordAsMD5 has a role whose password the server has kept as an MD5 hash.
func TestT031PasswordAsMD5(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "SET password_encryption = 'md5'; ALTER ROLE ROLE_NAME PASSWORD '"+
		sqlPassword+"'")
	pinged(t, a.ping(t, a.keys()))
	require.Equal(t, 1, a.ping(t, a.with(map[string]string{"password": "x"})).code)
}

// TestT032PasswordsOfAllKinds has passwords that need care in connection strings and in TOML.
func TestT032PasswordsOfAllKinds(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{
		`it's`, `a b`, `a\b`, `"quoted"`, `' \ =' x`, "p\u00e4\u00df", "#$%&?/@:",
	} {
		a := newAccount(t,
			"ALTER ROLE ROLE_NAME PASSWORD '"+strings.ReplaceAll(odd, "'", "''")+"'")
		pinged(t, a.ping(t, a.with(map[string]string{"password": odd})))
		require.Equal(t, 1, a.ping(t, a.keys()).code)
	}
}

// TestT038CertificateOfClients has a role from which the server wants a certificate.
func TestT038CertificateOfClients(t *testing.T) {
	t.Parallel()
	a := newAccount(t, "GRANT "+certified+" TO ROLE_NAME")
	client := map[string]string{
		"sslcert": a.server.client.Certificate, "sslkey": a.server.client.Key,
	}
	pinged(t, a.ping(t, a.with(client)))
	result := a.ping(t, a.keys())
	require.Equal(t, 1, result.code)
	require.Contains(t, result.stderr, "certificate")
	client["sslkey"] = "/nonexistent.key"
	result = a.ping(t, a.with(client))
	require.Equal(t, 1, result.code)
	require.Contains(t, result.stderr, "/nonexistent.key")
}

// TestT039AuthorityOfTheServer wants the server to prove who it is.
func TestT039AuthorityOfTheServer(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	full := map[string]string{"sslmode": "verify-full", "sslrootcert": a.server.server.Authority}
	pinged(t, a.ping(t, a.with(full)))
	full["sslrootcert"] = a.server.foreign
	result := a.ping(t, a.with(full))
	require.Equal(t, 1, result.code)
	require.Contains(t, result.stderr, "certificate signed by unknown authority")
	full["sslrootcert"] = "/nonexistent.pem"
	require.Contains(t, a.ping(t, a.with(full)).stderr, "/nonexistent.pem")
}

// TestT040OpportunisticTLS encrypts unless told otherwise, where the server can. Where it cannot,
// it goes on without, unless told otherwise.
//
// Requirements: T041, T042
func TestT040OpportunisticTLS(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	pinged(t, a.ping(t, a.keys()))
	require.Contains(t, a.server.log(t, a.name), "SSL enabled")
	plain := newAccount(t)
	pinged(t, plain.ping(t, plain.with(map[string]string{"sslmode": "disable"})))
	log := plain.server.log(t, plain.name)
	require.Contains(t, log, "connection authorized")
	require.NotContains(t, log, "SSL enabled")

	// A server that knows no TLS, since it is a socket behind.
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	end := forward(listener, "unix", filepath.Join(suite.server.Host(), ".s.PGSQL.5432"))
	t.Cleanup(func() { require.NoError(t, end()) })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	keys := map[string]string{
		"host": "127.0.0.1", "port": port, "user": "praefect", "dbname": "postgres",
	}
	pinged(t, a.ping(t, keys))
	keys["sslmode"] = "require"
	result := a.ping(t, keys)
	require.Equal(t, 1, result.code)
	require.Contains(t, result.stderr, "server refused TLS connection")
}

// lookup is what the guide has PgBouncer's user call.
const lookup = `CREATE OR REPLACE FUNCTION public.pg_shadow_lookup(
	in i_username text, out username text, out password text) RETURNS record AS $$
BEGIN
	SELECT usename, passwd FROM pg_catalog.pg_shadow
	WHERE usename = i_username INTO username, password;
	RETURN;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER`

// TestT034OrdinaryRole migrates as a role that is no superuser, in a database of its own beside
// another, and beside a function of PgBouncer's. The tables are empty afterwards.
//
// Requirements: T035, T043, T060
func TestT034OrdinaryRole(t *testing.T) {
	t.Parallel()
	a, gitlab := newAccount(t), newAccount(t)
	require.NoError(t, a.server.run(t.Context(), a.name, lookup))
	require.NoError(t, a.server.run(t.Context(), gitlab.name,
		"CREATE TABLE public.repositories (id bigint); INSERT INTO public.repositories VALUES (1)"))
	for _, one := range []account{a, gitlab} {
		result := praefect(t, nil, "-config", one.file(t, one.keys()), "sql-migrate")
		require.Zero(t, result.code, result)
	}
	conn, err := pgx.Connect(t.Context(), a.server.DSN(a.name))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // It has only looked.
	rows, err := conn.Query(t.Context(), `SELECT tablename FROM pg_tables
		WHERE schemaname = 'praefect' AND tableowner = $1`, a.name)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Subset(t, tables, []string{"repositories", "replicas", "write_intents", "proxies"})
	for _, table := range tables {
		if strings.HasPrefix(table, "migration") || table == "invalidation_counter" {
			continue // What is applied, its lock, and a counter: one row each.
		}
		var count int
		require.NoError(t, conn.QueryRow(t.Context(),
			"SELECT count(*) FROM praefect."+pgx.Identifier{table}.Sanitize()).Scan(&count))
		require.Zero(t, count, table)
	}
	var found string
	require.NoError(t, conn.QueryRow(t.Context(),
		"SELECT username FROM public.pg_shadow_lookup($1)", a.name).Scan(&found))
	require.Equal(t, a.name, found)
	require.NoError(t, a.server.run(t.Context(), gitlab.name,
		"INSERT INTO public.repositories VALUES (2)"))
}

// TestT078ServerNeverMigrates starts the server on an empty database: it says what is missing, and
// leaves the database as it is.
//
// Requirements: T048
func TestT078ServerNeverMigrates(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	served := praefect(t, nil, "-config", a.file(t, a.keys()))
	require.Equal(t, 1, served.code)
	require.Contains(t, served.stdout, "run praefect sql-migrate")
	checked := praefect(t, nil, "-config", a.file(t, a.keys()), "check", "-q")
	require.Equal(t, 1, checked.code)
	require.Contains(t, checked.stdout, "migrations have not been run")
	conn, err := pgx.Connect(t.Context(), a.server.DSN(a.name))
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // It has only looked.
	var tables int
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables
		WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`).Scan(&tables))
	require.Zero(t, tables)
}

// TestT079MigrationsAtTheSameTime migrates from four hosts at once, twice.
func TestT079MigrationsAtTheSameTime(t *testing.T) {
	t.Parallel()
	const hosts = 4
	a := newAccount(t)
	file := a.file(t, a.keys())
	for range 2 {
		results := make([]ran, hosts)
		var migrating sync.WaitGroup
		for i := range results {
			migrating.Go(func() { results[i] = praefect(t, nil, "-config", file, "sql-migrate") })
		}
		migrating.Wait()
		for _, result := range results {
			require.Zero(t, result.code, result)
		}
	}
	again := praefect(t, nil, "-config", file, "sql-migrate")
	require.Equal(t, "praefect sql-migrate: all migrations are up\n", again.stdout)
}

// openUp lets everybody read a directory and what it is in.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for above := dir; above != filepath.Dir(os.TempDir()) && above != "/tmp"; {
		require.NoError(t, os.Chmod(above, enterable))
		above = filepath.Dir(above)
	}
}

// TestT083UnprivilegedUser runs commands and the server as a user who owns nothing, with a
// certificate that everybody may read.
//
// Requirements: T106
func TestT083UnprivilegedUser(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	dir := t.TempDir()
	openUp(t, dir)
	for path, mode := range map[string]os.FileMode{
		a.server.client.Certificate: readable, a.server.client.Key: readable,
	} {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		copied := filepath.Join(dir, filepath.Base(path))
		require.NoError(t, os.WriteFile(copied, content, mode))
	}
	address, err := cluster.FreeAddress(t.Context())
	require.NoError(t, err)
	file := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("tls_listen_addr = %q\n[tls]\ncertificate_path = %q\nkey_path = %q\n",
		address, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")) +
		section(a.keys()) + lonely
	require.NoError(t, os.WriteFile(file, []byte(text), readable))

	line := []string{suite.programs.Praefect, "-config", file}
	if os.Geteuid() == 0 {
		setpriv, err := exec.LookPath("setpriv")
		require.NoError(t, err)
		line = append([]string{
			setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--",
		}, line...)
	}
	for _, subcommand := range []string{"sql-ping", "sql-migrate"} {
		output, err := exec.CommandContext(t.Context(), line[0],
			append(line[1:], subcommand)...).CombinedOutput()
		require.NoError(t, err, string(output))
	}
	served := spawn(t, line[0], line[1:]...)
	require.Eventually(t, func() bool {
		dialer := tls.Dialer{Config: &tls.Config{
			InsecureSkipVerify: true, //nolint:gosec // It only asks whether anybody is there.
		}}
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		return err == nil && conn.Close() == nil
	}, wait, tick)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	require.NoError(t, served.Terminate(ctx))
	require.Zero(t, served.ExitCode(), served.LogTail())
}
