package configfile

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"praefect/cmd/internal/logging"
	"praefect/coordinator"
	"praefect/proxy/backchannel"
)

// Config returns the logger's configuration.
func (l Logging) Config() logging.Config {
	return logging.Config{Format: l.Format, Level: l.Level}
}

// Grace returns how long running calls may go on after SIGTERM. Zero in the file is the default.
func (f *File) Grace() time.Duration {
	if f.GracefulStopTimeout == 0 {
		return gracefulStopDefault
	}

	return time.Duration(f.GracefulStopTimeout)
}

// Multiplexing returns the bounds of multiplexed connections.
func (f *File) Multiplexing() backchannel.Config {
	config := backchannel.DefaultConfig()
	config.AcceptBacklog = f.Yamux.AcceptBacklog
	config.StreamWindow = f.Yamux.MaximumStreamWindowSizeBytes

	return config
}

// Cluster returns the virtual storages and their nodes' storages.
func (f *File) Cluster() coordinator.Cluster {
	all := coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{},
	}
	for _, storage := range f.VirtualStorages {
		maps.Copy(all.VirtualStorages, storage.cluster().VirtualStorages)
	}

	return all
}

// cluster returns a cluster of this virtual storage alone.
func (v *VirtualStorage) cluster() coordinator.Cluster {
	config := coordinator.VirtualStorageConfig{
		MinimumCopies:            v.MinimumCopies,
		DefaultReplicationFactor: max(v.DefaultReplicationFactor, 0), // Below 0 means all too.
	}
	for _, node := range v.Nodes {
		config.Storages = append(config.Storages, coordinator.Storage(node.Storage))
	}

	return coordinator.Cluster{
		VirtualStorages: map[coordinator.VirtualStorage]coordinator.VirtualStorageConfig{
			coordinator.VirtualStorage(v.Name): config,
		},
	}
}

// DSN returns the connection string of the database in libpq's key=value form. Keys that the file
// leaves out are left out, so that libpq's defaults and environment variables apply to them.
func (d Database) DSN() string {
	var port string
	if d.Port != 0 {
		port = fmt.Sprint(d.Port)
	}

	var pairs []string
	for _, pair := range [][2]string{
		{"host", d.Host},
		{"port", port},
		{"user", d.User},
		{"password", d.Password},
		{"dbname", d.DBName},
		{"sslmode", d.SSLMode},
		{"sslcert", d.SSLCert},
		{"sslkey", d.SSLKey},
		{"sslrootcert", d.SSLRootCert},
	} {
		if pair[1] != "" {
			pairs = append(pairs, pair[0]+"='"+escape(pair[1])+"'")
		}
	}

	return strings.Join(pairs, " ")
}

func escape(value string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value)
}
