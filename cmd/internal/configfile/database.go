package configfile

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"praefect/coordinator/postgres"
)

// Endpoint is one way to PostgreSQL. Empty keys have libpq's defaults, the environment variables
// PGHOST and so on included.
type Endpoint struct {
	// Host may name several hosts, separated by commas; the first that takes writes is used. A
	// path is the directory of a socket.
	Host string `toml:"host"`
	// Port is a number for all hosts, or (ours) a string with a number for each.
	Port        any    `toml:"port"`
	User        string `toml:"user"`
	Password    Secret `toml:"password"`
	DBName      string `toml:"dbname"`
	SSLMode     string `toml:"sslmode"`
	SSLCert     string `toml:"sslcert"`
	SSLKey      string `toml:"sslkey"`
	SSLRootCert string `toml:"sslrootcert"`
}

// Database says how PostgreSQL is reached.
type Database struct {
	Endpoint

	// SessionPooled is for the connection that waits for notices, which needs a session of its own
	// and so cannot be pooled by transactions. What it leaves out is taken from Database.
	SessionPooled Endpoint `toml:"session_pooled"`
	// HostNoProxy and PortNoProxy are what SessionPooled was called before; where it is silent
	// they count.
	HostNoProxy string `toml:"host_no_proxy"`
	PortNoProxy int    `toml:"port_no_proxy"`
	// MaxConnections (ours) bounds the pool.
	MaxConnections int `toml:"max_connections"`
	// StatementTimeout (ours) bounds each operation, the wait for a connection included.
	StatementTimeout Duration `toml:"statement_timeout"`
}

// Config returns how PostgreSQL is reached. The file must be valid.
func (d *Database) Config() postgres.Config {
	config := d.config()
	config.MaxConnections = d.MaxConnections
	config.StatementTimeout = time.Duration(d.StatementTimeout)

	session := d.session().config()
	config.Session = &session

	return config
}

// session fills in what the connection for notices takes over.
func (d *Database) session() Endpoint {
	own, old := d.SessionPooled, Endpoint{Host: d.HostNoProxy}
	if d.PortNoProxy != 0 {
		old.Port = int64(d.PortNoProxy)
	}

	return own.or(old).or(d.Endpoint)
}

// or fills in what is missing. An endpoint is on the port that belongs to its host.
func (e Endpoint) or(other Endpoint) Endpoint {
	if portless(e.Port) {
		e.Port = other.Port
	}
	e.Host = cmp.Or(e.Host, other.Host)
	e.User = cmp.Or(e.User, other.User)
	e.Password = cmp.Or(e.Password, other.Password)
	e.DBName = cmp.Or(e.DBName, other.DBName)
	e.SSLMode = cmp.Or(e.SSLMode, other.SSLMode)
	e.SSLCert = cmp.Or(e.SSLCert, other.SSLCert)
	e.SSLKey = cmp.Or(e.SSLKey, other.SSLKey)
	e.SSLRootCert = cmp.Or(e.SSLRootCert, other.SSLRootCert)

	return e
}

func (e Endpoint) config() postgres.Config {
	config := postgres.Config{
		Host: e.Host, User: e.User, Password: e.Password.Reveal(), DBName: e.DBName,
		SSLMode: e.SSLMode, SSLCert: e.SSLCert, SSLKey: e.SSLKey, SSLRootCert: e.SSLRootCert,
	}
	if !portless(e.Port) {
		config.Port = fmt.Sprint(e.Port)
	}

	return config
}

// portless says that no port was configured.
func portless(port any) bool { return port == nil || port == "" || port == int64(0) || port == 0 }

const portMax = 65535

// validate reports what no connection can be made with.
func (e Endpoint) validate(key string, found *findings) {
	if err := checkPorts(e.Host, e.Port); err != nil {
		found.add(key+".port", err)
	}
	switch e.SSLMode {
	case "", "disable", "allow", "prefer", "require", "verify-ca", "verify-full":
	default:
		found.addf(key+".sslmode", "not supported: %q: it is one of "+
			`"disable", "allow", "prefer", "require", "verify-ca", "verify-full"`, e.SSLMode)
	}
	if (e.SSLCert == "") != (e.SSLKey == "") {
		found.addf(key+".sslcert", "sslcert and sslkey belong together: only one of them is set")
	}
}

func checkPorts(host string, port any) error {
	if portless(port) {
		return nil
	}
	switch port.(type) {
	case int64, int, string:
	default:
		return fmt.Errorf(
			`not supported: %v: it is a number, or a list in quotes like "5432,5433"`, port)
	}

	list := strings.Split(fmt.Sprint(port), ",")
	if hosts := strings.Count(host, ",") + 1; len(list) != 1 && len(list) != hosts {
		return fmt.Errorf("%d ports for %d hosts: give one for all or one for each",
			len(list), hosts)
	}
	for _, one := range list {
		number, err := strconv.Atoi(one)
		if err != nil || number < 1 || number > portMax {
			return fmt.Errorf("not in range: %s is not between 1 and %d", one, portMax)
		}
	}

	return nil
}

// Validate is [File.Validate] for this section alone.
func (d *Database) Validate() error {
	var found findings
	d.validate(&found)

	return combined(found.all)
}

func (d *Database) validate(found *findings) {
	d.Endpoint.validate("database", found)
	session := d.SessionPooled
	session.Host = d.session().Host // Its ports have to match those.
	session.validate("database.session_pooled", found)
	if d.PortNoProxy < 0 || d.PortNoProxy > portMax {
		found.addf("database.port_no_proxy", "not in range: %d is not between 1 and %d",
			d.PortNoProxy, portMax)
	}
	found.atLeast("database.max_connections", d.MaxConnections, 0)
	found.duration("database.statement_timeout", d.StatementTimeout, 0)
}
