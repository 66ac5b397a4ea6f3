package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"praefect/coordinator/postgres/pgserver"
)

// databaseName is the database that is made on a private server.
const databaseName = "praefect"

// Database says where PostgreSQL listens.
type Database struct {
	// Host is a name, an address, or the directory of a unix socket.
	Host     string
	Port     int
	User     string
	Password string
	Name     string
}

// DSN returns the connection string.
func (d Database) DSN() string {
	dsn := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable",
		d.Host, d.Port, d.User, d.Name)
	if d.Password != "" {
		dsn += " password=" + d.Password
	}

	return dsn
}

// listener is where the server listens, as net.Dial takes it.
func (d Database) listener() (network, address string) {
	if strings.HasPrefix(d.Host, "/") {
		return "unix", filepath.Join(d.Host, fmt.Sprintf(".s.PGSQL.%d", d.Port))
	}

	return "tcp", net.JoinHostPort(d.Host, strconv.Itoa(d.Port))
}

// at returns the same database as it is reached at host:port.
func (d Database) at(address string) (Database, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return d, fmt.Errorf("split address: %w", err)
	}
	d.Host = host
	d.Port, err = strconv.Atoi(port)
	if err != nil {
		return d, fmt.Errorf("read port: %w", err)
	}

	return d, nil
}

// DatabaseOn names a database of a private server.
func DatabaseOn(server *pgserver.Server, name string) Database {
	return Database{Host: server.Host(), Port: pgserver.Port, User: pgserver.User, Name: name}
}

// startDatabase starts a private server with an empty database.
func startDatabase(ctx context.Context, config Config) (*pgserver.Server, error) {
	server, err := pgserver.Start(ctx, pgserver.Config{Durable: config.Durable})
	if err != nil {
		return nil, fmt.Errorf("start database: %w", err)
	}

	if err := server.Create(ctx, databaseName, ""); err != nil {
		return nil, errors.Join(fmt.Errorf("create database: %w", err), server.Stop())
	}

	return server, nil
}
