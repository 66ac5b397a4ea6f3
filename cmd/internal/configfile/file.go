package configfile

// File is the content of config.toml, as far as it has an effect. Names, types and defaults of its
// keys are a contract with operators; keys that only this program knows are marked "ours".
type File struct {
	// ConfigCommand would name a program that prints more configuration; not supported.
	ConfigCommand string `toml:"config_command"`
	// ListenAddr is host:port or tcp://host:port, SocketPath a path or unix://path. At least one
	// of both is needed.
	ListenAddr string `toml:"listen_addr"`
	SocketPath string `toml:"socket_path"`
	// PrometheusListenAddr is where /metrics is served; empty means nowhere.
	PrometheusListenAddr string `toml:"prometheus_listen_addr"`
	// GracefulStopTimeout is how long running calls may go on after SIGTERM.
	GracefulStopTimeout Duration `toml:"graceful_stop_timeout"`

	Logging         Logging          `toml:"logging"`
	Prometheus      Prometheus       `toml:"prometheus"`
	Auth            Auth             `toml:"auth"`
	Database        Database         `toml:"database"`
	Yamux           Yamux            `toml:"yamux"`
	VirtualStorages []VirtualStorage `toml:"virtual_storage"`
	Transactions    Transactions     `toml:"transactions"`
	// FeatureFlags (ours) are values that nodes get of flags, by name, when a client does not send
	// them: all nodes of a call the same, whatever their versions take for granted.
	FeatureFlags map[string]bool `toml:"feature_flags"`
}

// Logging says how the server logs to standard output.
type Logging struct {
	// Format is "text" (default) or "json".
	Format string `toml:"format"`
	// Level is debug, info (default), warning, error, fatal or panic.
	Level string `toml:"level"`
}

// Prometheus configures metrics.
type Prometheus struct {
	// GRPCLatencyBuckets are seconds, ascending.
	GRPCLatencyBuckets []float64 `toml:"grpc_latency_buckets"`
}

// Auth is what clients must present. Without a token everybody is let in.
type Auth struct {
	// Token and TokenFile exclude each other. The file must not be readable by others.
	Token     string `toml:"token"`
	TokenFile string `toml:"token_file"`
	// Transitioning counts failures of authentication, but lets them pass.
	Transitioning bool `toml:"transitioning"`

	// fromFile is the content of TokenFile.
	fromFile string
}

// Database says how PostgreSQL is reached. Empty keys have libpq's defaults, the environment
// variables PGHOST and so on included.
type Database struct {
	Host        string `toml:"host"`
	Port        int    `toml:"port"`
	User        string `toml:"user"`
	Password    string `toml:"password"`
	DBName      string `toml:"dbname"`
	SSLMode     string `toml:"sslmode"`
	SSLCert     string `toml:"sslcert"`
	SSLKey      string `toml:"sslkey"`
	SSLRootCert string `toml:"sslrootcert"`
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
	Token   string `toml:"token"`
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
