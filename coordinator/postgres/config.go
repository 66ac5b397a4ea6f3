package postgres

import (
	"database/sql"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// defaultMaxConnections: a statement takes about a millisecond, so twenty connections carry
	// more than the database does.
	defaultMaxConnections = 20
	// defaultStatementTimeout is far above what any statement takes unless something is wrong.
	defaultStatementTimeout = 5 * time.Second
	// defaultConnectTimeout leaves time for a second host within the bound of an operation.
	defaultConnectTimeout = 3 * time.Second
	// idleBeforePing saves a round trip on connections in use; one that broke unnoticed costs a
	// repeated statement.
	idleBeforePing = time.Minute
)

// Config says how to reach the database. Empty strings and zero mean the defaults of libpq,
// including its environment variables.
type Config struct {
	// Host and Port may list several, separated by commas; the first that accepts writes is used.
	// Each host that is an absolute path is the directory of a Unix socket.
	Host, Port string
	User       string
	Password   string
	DBName     string
	// SSLMode is one of disable, allow, prefer, require, verify-ca, verify-full.
	SSLMode string
	// SSLCert and SSLKey are the client's; SSLRootCert is the authority of the server's. All are
	// names of files.
	SSLCert, SSLKey, SSLRootCert string

	// Session, if not nil, is how the connection for notices is made instead: it needs a session
	// of its own, which a pooler by transactions does not give. Only what says how to reach the
	// database counts in it.
	Session *Config

	// MaxConnections bounds the pool. Default 20.
	MaxConnections int
	// StatementTimeout bounds each operation, the wait for a connection included. Default 5 s.
	StatementTimeout time.Duration
	// Tracer, if not nil, sees every statement.
	Tracer pgx.QueryTracer
	// OnListen, if not nil, is told when a connection for notices is made and when it is lost. It
	// must return at once.
	OnListen func(connected bool)
}

// WithDefaults fills in what is zero.
func (c Config) WithDefaults() Config {
	if c.MaxConnections == 0 {
		c.MaxConnections = defaultMaxConnections
	}
	if c.StatementTimeout == 0 {
		c.StatementTimeout = defaultStatementTimeout
	}
	return c
}

// dsn puts the parameters in the form of libpq. Nothing in it becomes a run-time parameter of the
// session, because PgBouncer would refuse it. The password is not in it, since errors about a
// string that cannot be understood quote it.
func (c Config) dsn() string {
	parameters := []struct{ name, value string }{
		{"host", c.Host},
		{"port", c.Port},
		{"user", c.User},
		{"dbname", c.DBName},
		{"sslmode", c.SSLMode},
		{"sslcert", c.SSLCert},
		{"sslkey", c.SSLKey},
		{"sslrootcert", c.SSLRootCert},
		{"target_session_attrs", "read-write"},
		{"connect_timeout", strconv.Itoa(int(defaultConnectTimeout.Seconds()))},
	}
	var dsn []string
	for _, parameter := range parameters {
		if parameter.value != "" {
			dsn = append(dsn, parameter.name+"="+quote(parameter.value))
		}
	}
	return strings.Join(dsn, " ")
}

// quote makes any text a value of a connection string.
func quote(value string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// pool returns the configuration of the connection pool.
func (c Config) pool() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.dsn())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	c.adapt(config.ConnConfig)
	config.MaxConns = int32(c.WithDefaults().MaxConnections)
	config.ShouldPing = ping
	return config, nil
}

// listener returns how to connect for notices.
func (c Config) listener() (*pgx.ConnConfig, error) {
	if c.Session == nil {
		return c.single()
	}
	return c.Session.single()
}

// single returns the configuration of one connection.
func (c Config) single() (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(c.dsn())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
	}
	c.adapt(config)
	return config, nil
}

// Addresses are the hosts, each with its port, that are tried in this order; the environment, a
// service file and defaults of libpq are part of it. Errors match [ErrInvalidConfig].
func (c Config) Addresses() ([]string, error) {
	config, err := c.single()
	if err != nil {
		return nil, err
	}
	addresses := []string{address(config.Host, config.Port)}
	for _, next := range config.Fallbacks {
		// A host comes once more where TLS is tried first.
		if other := address(next.Host, next.Port); !slices.Contains(addresses, other) {
			addresses = append(addresses, other)
		}
	}
	return addresses, nil
}

func address(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// adapt makes connections safe behind a pooler by transactions: "exec" prepares nothing. A pool has
// a [preparer] besides.
func (c Config) adapt(config *pgx.ConnConfig) {
	if c.Password != "" {
		config.Password = c.Password
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.StatementCacheCapacity = 0
	config.DescriptionCacheCapacity = 0
	config.Tracer = c.Tracer
}

// OpenDB returns a handle for tools that need database/sql, such as migrations. The caller closes
// it.
func (c Config) OpenDB() (*sql.DB, error) {
	config, err := c.single()
	if err != nil {
		return nil, err
	}
	return stdlib.OpenDB(*config), nil
}
