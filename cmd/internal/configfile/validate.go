package configfile

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"praefect/proxy"
	"praefect/proxy/backend"
)

func (f *File) validateServer(found *findings) {
	if f.ListenAddr == "" && f.TLSListenAddr == "" && f.SocketPath == "" {
		found.addf("", `none of "socket_path", "listen_addr" or "tls_listen_addr" is set`)
	}
	listeners := map[string]string{}
	for _, one := range []struct{ key, address, scheme string }{
		{"listen_addr", f.ListenAddr, "tcp://"},
		{"tls_listen_addr", f.TLSListenAddr, "tls://"},
		{"prometheus_listen_addr", f.PrometheusListenAddr, "tcp://"},
	} {
		if one.address == "" {
			continue
		}
		address := strings.TrimPrefix(one.address, one.scheme)
		found.add(one.key, checkListener(one.address, address, one.scheme))
		if other, taken := listeners[address]; taken && !strings.HasSuffix(address, ":0") {
			found.addf(one.key, "%q is the address of %s already", address, other)
		}
		listeners[address] = one.key
	}

	found.duration("graceful_stop_timeout", f.GracefulStopTimeout, 0)
	found.duration("max_connection_age", f.MaxConnectionAge, 0)
	f.validateLogging(found)
	f.Sentry.validate(found)
	found.add("tracing.endpoint", f.Tracing.Config().ValidateEndpoint())
	found.add("tracing.sample_ratio", f.Tracing.Config().ValidateRatio())
	found.duration("prometheus.scrape_timeout", f.Prometheus.ScrapeTimeout, 0)
	found.ascending("prometheus.grpc_latency_buckets", f.Prometheus.GRPCLatencyBuckets)
	found.add("feature_flags", proxy.Config{Features: f.FeatureFlags}.Validate())
}

// checkListener reports what nobody can listen on.
func checkListener(raw, address, scheme string) error {
	_, port, err := net.SplitHostPort(address)
	number, bad := strconv.Atoi(port)
	if err != nil || bad != nil || number < 0 || number > portMax {
		return fmt.Errorf("not supported: %q: it is host:port or %shost:port, with a port "+
			"between 0 and %d", raw, scheme, portMax)
	}

	return nil
}

func (f *File) validateLogging(found *findings) {
	if !slices.Contains([]string{"text", "json"}, f.Logging.Format) {
		found.addf("logging.format", `not supported: %q: it is "text" or "json"`, f.Logging.Format)
	}
	known := f.Logging.Config()
	known.Format = "text"
	if known.Validate() != nil {
		found.addf("logging.level", `not supported: %q: it is "debug", "info", "warning", `+
			`"error", "fatal" or "panic"`, f.Logging.Level)
	}
}

// validate reports a DSN with which nothing can be reported. The value is not shown, as it is a
// secret.
func (s *Sentry) validate(found *findings) {
	if err := s.Config().Validate(); err != nil {
		found.tolerate("sentry.sentry_dsn", "%s", err)
	}
}

// ascending reports buckets of a histogram that are not in order.
func (f *findings) ascending(key string, buckets []float64) {
	for i := 1; i < len(buckets); i++ {
		if buckets[i] <= buckets[i-1] {
			f.addf(key, "bad order: expected asc: %v", buckets)

			return
		}
	}
}

func (a *Auth) validate(found *findings) {
	switch {
	case a.TokenFile == "":
	case a.Token != "":
		found.addf("auth.token_file", "token and token_file are mutually exclusive")
	case a.fromFile == "":
		found.addf("auth.token_file", "the file is empty: nobody would need a token")
	default:
		found.add("auth.token_file", a.tokenFileMode())
	}
}

// Least intervals of searching disks: more often, the database would have nothing else to do.
const cleanupMin = time.Minute

func (f *File) validateWorkers(found *findings) {
	if interval := f.BackgroundVerification.VerificationInterval; interval < 0 {
		found.tolerate("background_verification.verification_interval", notInRange,
			interval, time.Duration(0))
	}
	found.ascending("reconciliation.histogram_buckets", f.Reconciliation.HistogramBuckets)
	found.atLeast("replication.batch_size", f.Replication.BatchSize, 1)
	if workers := f.Replication.ParallelStorageProcessingWorkers; workers < 1 {
		found.tolerate("replication.parallel_storage_processing_workers", notInRange, workers, 1)
	}

	cleanup := f.RepositoriesCleanup
	if cleanup.RunInterval == 0 {
		return // Disabled, whatever else is there.
	}
	found.duration("repositories_cleanup.run_interval", cleanup.RunInterval, cleanupMin)
	found.duration("repositories_cleanup.check_interval", cleanup.CheckInterval, cleanupMin)
	if cleanup.RepositoriesInBatch < 1 {
		found.tolerate("repositories_cleanup.repositories_in_batch", notInRange,
			cleanup.RepositoriesInBatch, 1)
	}
}

// windowMin is the window with which every stream starts.
const windowMin = 256 << 10

func (y *Yamux) validate(found *findings) {
	found.atLeast("yamux.maximum_stream_window_size_bytes",
		int(y.MaximumStreamWindowSizeBytes), windowMin)
	found.atLeast("yamux.accept_backlog", y.AcceptBacklog, 1)
}

// leaseMin: a lease has to outlive a slow statement and a pause of the garbage collector.
const leaseMin = time.Second

func (t *Transactions) validate(found *findings) {
	for _, one := range []struct {
		key   string
		value Duration
	}{
		{"turn_wait", t.TurnWait},
		{"turn_wait_locked", t.TurnWaitLocked},
		{"vote_timeout", t.VoteTimeout},
		{"grace_min", t.GraceMin},
		{"grace_max", t.GraceMax},
		{"drain_timeout", t.DrainTimeout},
		{"lease_margin", t.LeaseMargin},
		{"settle", t.Settle},
		{"node_deadline", t.NodeDeadline},
	} {
		found.duration("transactions."+one.key, one.value, 0)
	}
	if t.Lease != 0 {
		found.duration("transactions.lease", t.Lease, leaseMin)
	}
	if t.GraceMin > t.GraceMax && t.GraceMax != 0 {
		found.addf("transactions.grace_min", "not in range: %s is longer than grace_max, %s",
			t.GraceMin, t.GraceMax)
	}
	if !slices.Contains([]string{"", outageStrict, outageServe}, t.OutageReads) {
		found.addf("transactions.outage_reads", "not supported: %q: it is %q or %q",
			t.OutageReads, outageStrict, outageServe)
	}
}

func (f *File) validateStorages(found *findings) {
	if len(f.VirtualStorages) == 0 {
		found.addf("virtual_storage", notSet)
	}

	seen := map[string]bool{}
	for i, storage := range f.VirtualStorages {
		key := fmt.Sprintf("virtual_storage[%d]", i)
		switch {
		case storage.Name == "":
			found.addf(key+".name", blank)
		case seen[storage.Name]:
			found.addf(key+".name",
				"virtual storage %q: virtual storages must have unique names", storage.Name)
		}
		seen[storage.Name] = true
		storage.validate(key, found)
	}
}

// storagesMax is how many nodes a virtual storage can have.
const storagesMax = 32

func (v *VirtualStorage) validate(key string, found *findings) {
	count := len(v.Nodes)
	switch {
	case count == 0:
		found.addf(key+".node", notSet)
	case count > storagesMax:
		found.addf(key+".node", "not in range: %d nodes are more than %d", count, storagesMax)
	}
	v.validateCopies(key, found)

	seen := map[string]bool{}
	for i, node := range v.Nodes {
		here := fmt.Sprintf("%s.node[%d]", key, i)
		switch {
		case node.Storage == "":
			found.addf(here+".storage", blank)
		case seen[node.Storage]:
			found.addf(here+".storage", "virtual storage %q: internal gitaly storages are not "+
				"unique: %q", v.Name, node.Storage)
		}
		seen[node.Storage] = true
		node.validate(here, found)
	}
}

// validateCopies reports numbers that cannot be met.
func (v *VirtualStorage) validateCopies(key string, found *findings) {
	count, factor := len(v.Nodes), v.DefaultReplicationFactor
	if v.MinimumCopies < 0 || v.MinimumCopies > count {
		found.addf(key+".minimum_copies", "not in range: %d is not between 0 and the number of "+
			"nodes, %d", v.MinimumCopies, count)
	}
	if factor > count {
		found.addf(key+".default_replication_factor", "virtual storage %q has a default "+
			"replication factor (%d) which is higher than the number of storages (%d)",
			v.Name, factor, count)
	}
	if factor > 0 && factor < v.MinimumCopies {
		found.tolerate(key+".minimum_copies", "%d is more than the default_replication_factor: a "+
			"new repository is on %d storages, and as many copies are enough for it",
			v.MinimumCopies, factor)
	}
}

func (n *Node) validate(key string, found *findings) {
	if n.Address == "" {
		found.addf(key+".address", blank)

		return
	}
	if _, err := backend.ParseAddress(n.Address); err != nil {
		found.addf(key+".address", "%w: it is tcp://host:port, tls://host:port, unix:/path, "+
			"dns:[//authority/]host:port or dns+tls:[//authority/]host:port", err)
	}
}
