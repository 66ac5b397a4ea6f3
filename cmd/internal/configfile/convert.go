package configfile

import (
	"cmp"
	"crypto/tls"
	"strings"
	"time"

	"praefect/cmd/internal/logging"
	"praefect/coordinator"
	"praefect/coordinator/membership"
	"praefect/coordinator/recovery"
	"praefect/coordinator/repair"
	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/certificate"
	"praefect/proxy/relay"
	"praefect/proxy/telemetry"
	"praefect/proxy/tracing"
	"praefect/transaction/registry"
)

// Config returns the logger's configuration.
func (l Logging) Config() logging.Config {
	return logging.Config{Format: l.Format, Level: l.Level}
}

// Config returns where failures are reported.
func (s *Sentry) Config() telemetry.SentryConfig {
	return telemetry.SentryConfig{DSN: s.DSN.Reveal(), Environment: s.Environment}
}

// Config returns where traces are sent.
func (t *Tracing) Config() tracing.Config {
	return tracing.Config{Endpoint: t.Endpoint, SampleRatio: t.SampleRatio}
}

// Grace returns how long running calls may go on after SIGTERM. Zero in the file is the default.
func (f *File) Grace() time.Duration {
	return cmp.Or(time.Duration(f.GracefulStopTimeout), gracefulStopDefault)
}

// Socket returns the configured socket as unix:path, or nothing.
func (f *File) Socket() string {
	if f.SocketPath == "" || strings.HasPrefix(f.SocketPath, "unix:") {
		return f.SocketPath
	}

	return "unix:" + f.SocketPath
}

// Security returns the identity that clients see behind tls_listen_addr.
func (t *TLS) Security() certificate.Config {
	config := certificate.Config{
		CertificatePath: t.CertificatePath, KeyPath: t.KeyPath, Key: []byte(t.Key.Reveal()),
		AuthorityPath: t.ClientCAPath, Optional: t.ClientOptional,
	}
	if t.MinVersion == tls13 {
		config.MinVersion = tls.VersionTLS13
	}

	return config
}

// Security returns how nodes behind tls:// and dns+tls:// are met.
func (n *NodeTLS) Security() certificate.Config {
	return certificate.Config{
		CertificatePath: n.CertificatePath, KeyPath: n.KeyPath, AuthorityPath: n.CAPath,
	}
}

// Nodes returns the nodes of all virtual storages in the order of the file.
func (f *File) Nodes() []backend.Node {
	var nodes []backend.Node
	for _, virtual := range f.VirtualStorages {
		for _, node := range virtual.Nodes {
			nodes = append(nodes, backend.Node{
				VirtualStorage: virtual.Name,
				Storage:        node.Storage,
				Address:        node.Address,
				Token:          node.Token.Reveal(),
			})
		}
	}

	return nodes
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
		all.VirtualStorages[coordinator.VirtualStorage(storage.Name)] = storage.config(f.Zone)
	}

	return all
}

// config describes the virtual storage to a proxy in the given zone.
func (v *VirtualStorage) config(zone string) coordinator.VirtualStorageConfig {
	config := coordinator.VirtualStorageConfig{
		MinimumCopies:            v.MinimumCopies,
		DefaultReplicationFactor: max(v.DefaultReplicationFactor, 0), // Below 0 means all too.
	}
	for _, node := range v.Nodes {
		config.Storages = append(config.Storages, coordinator.Storage(node.Storage))
		if zone != "" && node.Zone == zone {
			config.Near = append(config.Near, coordinator.Storage(node.Storage))
		}
	}

	return config
}

// Config returns whom the server lets in.
func (a *Auth) Config() auth.Config {
	return auth.Config{Token: a.Secret(), Transitioning: a.Transitioning}
}

// Registry returns the times of voting.
func (t *Transactions) Registry() registry.Config {
	return registry.Config{
		TurnWait:       time.Duration(t.TurnWait),
		TurnWaitLocked: time.Duration(t.TurnWaitLocked),
		VoteTimeout:    time.Duration(t.VoteTimeout),
		GraceMin:       time.Duration(t.GraceMin),
		GraceMax:       time.Duration(t.GraceMax),
	}.WithDefaults()
}

// Coordinator returns what of the times concerns the order of writes.
func (t *Transactions) Coordinator() coordinator.Config {
	config := coordinator.Config{
		TurnWait:     time.Duration(t.TurnWait),
		Drain:        t.drain() + drainMargin,
		Settle:       time.Duration(t.Settle),
		NodeDeadline: time.Duration(t.NodeDeadline),
	}
	if t.OutageReads == outageServe {
		config.OutageReads = coordinator.OutageServe
	}
	config.LeaseEnd = t.Membership("").End()

	return config.WithDefaults()
}

// Values of outage_reads.
const (
	outageStrict = "strict"
	outageServe  = "serve"
)

// Recovery returns how turns without an owner are decided.
func (t *Transactions) Recovery() recovery.Config {
	times := t.Coordinator()

	return recovery.Config{Settle: times.Settle, NodeDeadline: times.NodeDeadline}
}

// Membership returns how the proxy of that name keeps its place among the others.
func (t *Transactions) Membership(name string) membership.Config {
	return membership.Config{
		Name: name, Lease: time.Duration(t.Lease), Margin: time.Duration(t.LeaseMargin),
	}
}

// Repair returns the bounds of repairs, and how they are measured.
func (f *File) Repair() repair.Config {
	return repair.Config{
		PerTarget:      max(f.Replication.ParallelStorageProcessingWorkers, 0),
		Batch:          f.Replication.BatchSize,
		LatencyBuckets: f.Prometheus.GRPCLatencyBuckets,
		ClaimBuckets:   f.Reconciliation.HistogramBuckets,
	}
}

// Relay returns the bounds of carrying messages.
func (t *Transactions) Relay() relay.Config {
	config := relay.DefaultConfig()
	config.Drain = t.drain()

	return config
}

// drainMargin is how much later than the relay gives up on a node its replica may be repaired.
const drainMargin = 5 * time.Second

func (t *Transactions) drain() time.Duration {
	if t.DrainTimeout == 0 {
		return relay.DefaultConfig().Drain
	}

	return time.Duration(t.DrainTimeout)
}
