package acceptance_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"praefect/coordinator/postgres/pgserver"
	"praefect/proxy/certificate/authority"
)

// securedServer is PostgreSQL with TLS and passwords, on an address of its own. Whoever belongs to
// the role "certified" needs a certificate too.
type securedServer struct {
	*pgserver.Server
	host   string
	server authority.Files
	client authority.Files
	// foreign is an authority that has signed nothing here.
	foreign string
}

const (
	certified = "certified"
	// authentication: "md5" takes the password of whatever hash the server has kept.
	authentication = `local all all trust
hostssl all +certified 0.0.0.0/0 md5 clientcert=verify-ca
hostnossl all +certified 0.0.0.0/0 reject
host all all 0.0.0.0/0 md5
`
	readable    = 0o644
	enterable   = 0o755
	sqlPassword = "PRAEFECT_SQL_PASSWORD"
)

func startSecured(
	ctx context.Context, shared *shared, ends *closers,
) (*securedServer, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	s := &securedServer{host: fmt.Sprintf("127.%d.%d.2", 100+rand.IntN(100), rand.IntN(250))}
	dir := filepath.Join(shared.dir, "secured")
	own, err := authority.New("database")
	if err != nil {
		return nil, err
	}
	foreign, err := authority.New("foreign")
	if err != nil {
		return nil, err
	}
	for name, files := range map[string]*authority.Files{"server": &s.server, "client": &s.client} {
		if err := os.MkdirAll(filepath.Join(dir, name), enterable); err != nil {
			return nil, err
		}
		if *files, err = own.Write(filepath.Join(dir, name), s.host, "localhost"); err != nil {
			return nil, err
		}
	}
	s.foreign = filepath.Join(dir, "foreign.pem")
	rules := filepath.Join(dir, "pg_hba.conf")
	if err := errors.Join(
		os.WriteFile(s.foreign, foreign.PEM(), readable),
		os.WriteFile(rules, []byte(authentication), readable),
		os.Chmod(shared.dir, enterable), giveAway(filepath.Join(dir, "server")),
	); err != nil {
		return nil, err
	}
	s.Server, err = pgserver.Start(ctx, pgserver.Config{Settings: []string{
		"listen_addresses=" + s.host, "hba_file=" + rules, "log_connections=on", "ssl=on",
		"ssl_cert_file=" + s.server.Certificate, "ssl_key_file=" + s.server.Key,
		"ssl_ca_file=" + s.server.Authority,
	}})
	if err != nil {
		return nil, err
	}
	ends.add(s.Stop)

	if err := s.run(ctx, "postgres", "CREATE ROLE "+certified); err != nil {
		return nil, err
	}

	return s, nil
}

// giveAway makes files the server's own, as it wants of its key. Only root has to.
func giveAway(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(account.Uid)
	if err != nil {
		return err
	}

	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, uid, -1))
	})
}

// run executes a statement as the superuser.
func (s *securedServer) run(ctx context.Context, database, statement string) error {
	conn, err := pgx.Connect(ctx, s.DSN(database))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)

	return errors.Join(err, conn.Close(ctx))
}

// log is what the server has logged of connections to a database.
func (s *securedServer) log(t *testing.T, database string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.Host(), "log"))
	require.NoError(t, err)
	var found []string
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, "database="+database+" ") ||
			strings.Contains(line, "database="+database+"\n") {
			found = append(found, line)
		}
	}

	return strings.Join(found, "")
}

// account is an ordinary role with a database of its own, as the guides have them made.
type account struct {
	server *securedServer
	name   string
}

func newAccount(t *testing.T, attributes ...string) account {
	t.Helper()
	server, err := suite.secured()
	require.NoError(t, err)
	a := account{server, fmt.Sprintf("praefect_%x", rand.Uint64())}
	statements := append([]string{
		fmt.Sprintf("CREATE ROLE %s WITH LOGIN CREATEDB PASSWORD '%s'", a.name, sqlPassword),
		fmt.Sprintf("CREATE DATABASE %s WITH OWNER %s ENCODING UTF8", a.name, a.name),
	}, attributes...)
	for _, statement := range statements {
		require.NoError(t, server.run(t.Context(), "postgres",
			strings.ReplaceAll(statement, "ROLE_NAME", a.name)))
	}

	return a
}

// keys are those of [database] that reach the account.
func (a account) keys() map[string]string {
	return map[string]string{
		"host": a.server.host, "user": a.name, "password": sqlPassword, "dbname": a.name,
	}
}

// with has some of the keys changed.
func (a account) with(changes map[string]string) map[string]string {
	keys := a.keys()
	maps.Copy(keys, changes)

	return keys
}

// file is a configuration file with keys of [database].
func (a account) file(t *testing.T, keys map[string]string) string {
	t.Helper()

	return written(t, "listen_addr = \"127.0.0.1:0\"\n"+section(keys)+lonely)
}

// section is [database] with keys.
func section(keys map[string]string) string {
	text := "[database]\n"
	for key, value := range keys {
		if key == "port" {
			text += "port = " + value + "\n"
		} else {
			text += fmt.Sprintf("%s = %q\n", key, value)
		}
	}

	return text
}

// lonely is a virtual storage whose node does not exist.
const lonely = `[logging]
format = "json"
[[virtual_storage]]
name = "default"
[[virtual_storage.node]]
storage = "gitaly-1"
address = "unix:/nonexistent/gitaly.socket"
`

// ping runs sql-ping.
func (a account) ping(t *testing.T, keys map[string]string) ran {
	t.Helper()

	return praefect(t, nil, "-config", a.file(t, keys), "sql-ping")
}
