package configfile

// File is the content of config.toml, as far as it has an effect. Names, types and defaults of its
// keys are a contract with operators; keys that only this program knows are marked "ours". What
// each one does, and its default, is written in docs/config.toml.
type File struct {
	// ConfigCommand names a program that prints more configuration as JSON.
	ConfigCommand string `toml:"config_command"`
	// ListenAddr is host:port or tcp://host:port, TLSListenAddr host:port or tls://host:port,
	// SocketPath a path or unix://path. At least one of them is needed.
	ListenAddr    string `toml:"listen_addr"`
	TLSListenAddr string `toml:"tls_listen_addr"`
	SocketPath    string `toml:"socket_path"`
	// PrometheusListenAddr is where /metrics is served; empty means nowhere.
	PrometheusListenAddr string `toml:"prometheus_listen_addr"`
	// SeparateDatabaseMetrics keeps metrics that ask the database away from /metrics.
	SeparateDatabaseMetrics bool `toml:"prometheus_exclude_database_from_default_metrics"`
	// GracefulStopTimeout is how long running calls may go on after SIGTERM.
	GracefulStopTimeout Duration `toml:"graceful_stop_timeout"`
	// MaxConnectionAge (ours) is after what time a client is asked to connect anew, so that
	// long-lived clients spread over all proxies again. 0 means never.
	MaxConnectionAge Duration `toml:"max_connection_age"`
	// Zone (ours) is where this proxy is; reads go to nodes of the same zone first.
	Zone string `toml:"zone"`

	Logging                Logging                `toml:"logging"`
	Sentry                 Sentry                 `toml:"sentry"`
	Tracing                Tracing                `toml:"tracing"`
	Prometheus             Prometheus             `toml:"prometheus"`
	Auth                   Auth                   `toml:"auth"`
	TLS                    TLS                    `toml:"tls"`
	NodeTLS                NodeTLS                `toml:"node_tls"`
	Database               Database               `toml:"database"`
	BackgroundVerification BackgroundVerification `toml:"background_verification"`
	Reconciliation         Reconciliation         `toml:"reconciliation"`
	Replication            Replication            `toml:"replication"`
	RepositoriesCleanup    RepositoriesCleanup    `toml:"repositories_cleanup"`
	Yamux                  Yamux                  `toml:"yamux"`
	Transactions           Transactions           `toml:"transactions"`
	VirtualStorages        []VirtualStorage       `toml:"virtual_storage"`
	// FeatureFlags (ours) are values that nodes get of flags, by name, when a client does not send
	// them: all nodes of a call the same, whatever their versions take for granted.
	FeatureFlags map[string]bool `toml:"feature_flags"`

	legacy legacy
}

// Logging says how the server logs to standard output.
type Logging struct {
	// Format is "text" (default) or "json".
	Format string `toml:"format"`
	// Level is debug, info (default), warning, error, fatal or panic.
	Level string `toml:"level"`
}

// Sentry is where failures of calls are reported. Without a DSN nothing is.
type Sentry struct {
	DSN         Secret `toml:"sentry_dsn"`
	Environment string `toml:"sentry_environment"`
}

// Tracing (ours) says where traces of calls are sent. Without an endpoint, here or in the variables
// of the environment that are standard for OpenTelemetry, there are none.
type Tracing struct {
	// Endpoint is http:// or https:// and the host:port of a receiver of OTLP over HTTP.
	Endpoint string `toml:"endpoint"`
	// SampleRatio is which part of the traces that begin here is kept, 0 to 1 (default).
	SampleRatio float64 `toml:"sample_ratio"`
}

// Prometheus configures metrics.
type Prometheus struct {
	// ScrapeTimeout bounds the statements of one scrape.
	ScrapeTimeout Duration `toml:"scrape_timeout"`
	// GRPCLatencyBuckets are seconds, ascending.
	GRPCLatencyBuckets []float64 `toml:"grpc_latency_buckets"`
}

// Auth is what clients must present. Without a token everybody is let in.
type Auth struct {
	// Token and TokenFile exclude each other. The file must not be readable by others.
	Token     Secret `toml:"token"`
	TokenFile string `toml:"token_file"`
	// Transitioning counts failures of authentication, but lets them pass.
	Transitioning bool `toml:"transitioning"`

	// fromFile is the content of TokenFile.
	fromFile Secret
}

// TLS is the identity that clients see behind tls_listen_addr.
type TLS struct {
	CertificatePath string `toml:"certificate_path"`
	// KeyPath and Key, which is the PEM itself, exclude each other.
	KeyPath string `toml:"key_path"`
	Key     Secret `toml:"key"`
	// MinVersion is "TLS 1.2" (default) or "TLS 1.3".
	MinVersion string `toml:"min_version"`
	// ClientCAPath (ours) names the authorities of clients' certificates. When it is set, clients
	// must present one, or only those that have one if ClientOptional (ours) is true.
	ClientCAPath   string `toml:"client_ca_path"`
	ClientOptional bool   `toml:"client_certificate_optional"`
}

// NodeTLS (ours) is how nodes behind tls:// and dns+tls:// are met.
type NodeTLS struct {
	// CAPath names the authorities of the nodes' certificates; empty means those of the system,
	// with SSL_CERT_FILE and SSL_CERT_DIR.
	CAPath string `toml:"ca_path"`
	// CertificatePath and KeyPath are what nodes are shown when they ask.
	CertificatePath string `toml:"certificate_path"`
	KeyPath         string `toml:"key_path"`
}

// BackgroundVerification says how often replicas are looked for on their disks.
type BackgroundVerification struct {
	// VerificationInterval is how old the last look may become; 0 and below disable it.
	VerificationInterval Duration `toml:"verification_interval"`
	// DeleteInvalidRecords takes replicas that are not there for what they are. Otherwise they are
	// only logged.
	DeleteInvalidRecords bool `toml:"delete_invalid_records"`
}

// Reconciliation measures the search for replicas that need repair. Its interval means nothing
// here.
type Reconciliation struct {
	// HistogramBuckets are seconds, ascending.
	HistogramBuckets []float64 `toml:"histogram_buckets"`
}

// Replication bounds the repair of replicas.
type Replication struct {
	// BatchSize is how many of one storage are claimed at once.
	BatchSize int `toml:"batch_size"`
	// ParallelStorageProcessingWorkers is how many are filled at once on one storage. 0 and below
	// mean the default.
	ParallelStorageProcessingWorkers int `toml:"parallel_storage_processing_workers"`
}

// RepositoriesCleanup says how often disks are searched for repositories that nobody knows.
type RepositoriesCleanup struct {
	CheckInterval Duration `toml:"check_interval"`
	// RunInterval is how often one storage is searched; 0 disables it.
	RunInterval         Duration `toml:"run_interval"`
	RepositoriesInBatch int      `toml:"repositories_in_batch"`
}

// Yamux bounds the multiplexed connections.
type Yamux struct {
	MaximumStreamWindowSizeBytes uint32 `toml:"maximum_stream_window_size_bytes"`
	AcceptBacklog                int    `toml:"accept_backlog"`
}

// VirtualStorage is what clients see as one storage.
type VirtualStorage struct {
	Name string `toml:"name"`
	// DefaultReplicationFactor is how many nodes a new repository is put on; 0 means all.
	DefaultReplicationFactor int `toml:"default_replication_factor"`
	// MinimumCopies (ours) is how many replicas must hold a write before it is acknowledged.
	// 0 means a majority of the assigned ones, and 1 when there are at most two.
	MinimumCopies int    `toml:"minimum_copies"`
	Nodes         []Node `toml:"node"`
}

// Node is one Gitaly node of a virtual storage.
type Node struct {
	Storage string `toml:"storage"`
	// Address is tcp://host:port, unix:path, dns:host or dns+tls:host, tls://host:port.
	Address string `toml:"address"`
	Token   Secret `toml:"token"`
	// Zone (ours) is where the node is.
	Zone string `toml:"zone"`
}

// Transactions (ours) holds the times of voting. Zero means the default.
type Transactions struct {
	// TurnWait (10 s) is how long a write waits for those before it on the same repository,
	// TurnWaitLocked (2 s) how long one waits that holds locks on the nodes meanwhile.
	TurnWait       Duration `toml:"turn_wait"`
	TurnWaitLocked Duration `toml:"turn_wait_locked"`
	// VoteTimeout (30 s) is how long others wait for a node's vote before it is left out.
	VoteTimeout Duration `toml:"vote_timeout"`
	// GraceMin (50 ms) and GraceMax (500 ms) bound how long a write that enough nodes have
	// confirmed waits for the others.
	GraceMin Duration `toml:"grace_min"`
	GraceMax Duration `toml:"grace_max"`
	// DrainTimeout (30 s) is how long slow nodes may take after the client was answered.
	DrainTimeout Duration `toml:"drain_timeout"`
	// Lease (5 s) is how long a proxy that cannot reach the database goes on; LeaseMargin (2 s) how
	// much longer the others wait before they take over what it left. All proxies of a cluster must
	// have the same values.
	Lease       Duration `toml:"lease"`
	LeaseMargin Duration `toml:"lease_margin"`
	// Settle (2 s) is how far apart two looks at a node must agree before it is believed to be at
	// rest, NodeDeadline (5 min 30 s) after what time no node acts any more on a write whose proxy
	// is gone: Gitaly's own deadline of 5 minutes and a margin.
	Settle       Duration `toml:"settle"`
	NodeDeadline Duration `toml:"node_deadline"`
	// OutageReads is "strict" (default): while the database is away for longer than a lease, reads
	// are refused, since other proxies may have taken writes that this one does not know of.
	// "serve" goes on reading where the last known routes lead: reads may miss such writes.
	OutageReads string `toml:"outage_reads"`
}
