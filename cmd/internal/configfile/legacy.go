package configfile

// legacy are keys of the existing release that mean nothing here. They are read to find bad values,
// which their writer would otherwise never hear of.
type legacy struct {
	Failover struct {
		Enabled                  *bool    `toml:"enabled"`
		ElectionStrategy         string   `toml:"election_strategy"`
		BootstrapInterval        Duration `toml:"bootstrap_interval"`
		MonitorInterval          Duration `toml:"monitor_interval"`
		ErrorThresholdWindow     Duration `toml:"error_threshold_window"`
		WriteErrorThresholdCount uint32   `toml:"write_error_threshold_count"`
		ReadErrorThresholdCount  uint32   `toml:"read_error_threshold_count"`
	} `toml:"failover"`
	Reconciliation struct {
		SchedulingInterval Duration `toml:"scheduling_interval"`
	} `toml:"reconciliation"`
	MemoryQueueEnabled bool `toml:"memory_queue_enabled"`
}

// FailoverDisabled says that the file asks for no elections. They are made all the same.
func (f *File) FailoverDisabled() bool {
	enabled := f.legacy.Failover.Enabled

	return enabled != nil && !*enabled
}

// ElectionStrategy returns what the file names, which means nothing here.
func (f *File) ElectionStrategy() string { return f.legacy.Failover.ElectionStrategy }

// validate refuses what the existing release refuses. What only matters to parts that are not
// there is tolerated.
func (l *legacy) validate(found *findings) {
	switch l.Failover.ElectionStrategy {
	case "", "local", "sql", "per_repository":
	default:
		found.addf("failover.election_strategy", "invalid election strategy: %q: it is "+
			`"per_repository", or "local" or "sql", which count as the same`,
			l.Failover.ElectionStrategy)
	}
	thresholds := 0
	for _, set := range []bool{
		l.Failover.ErrorThresholdWindow != 0, l.Failover.WriteErrorThresholdCount != 0,
		l.Failover.ReadErrorThresholdCount != 0,
	} {
		if set {
			thresholds++
		}
	}
	if thresholds == 1 || thresholds == 2 {
		found.tolerate("failover.error_threshold_window", "error_threshold_window, "+
			"write_error_threshold_count and read_error_threshold_count: all or none must be set")
	}
	if interval := l.Reconciliation.SchedulingInterval; interval < 0 {
		found.tolerate("reconciliation.scheduling_interval", notInRange, interval, Duration(0))
	}
}
