package configfile

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"praefect/coordinator"
	"praefect/coordinator/membership"
	"praefect/coordinator/postgres"
	"praefect/proxy/backchannel"
	"praefect/proxy/relay"
	"praefect/transaction/registry"
)

// What the existing release does when the file is silent.
const (
	// gracefulStopDefault is how long an ordinary clone or push may still take.
	gracefulStopDefault = time.Minute
	scrapeDefault       = 10 * time.Second
	verificationDefault = 7 * 24 * time.Hour
	batchDefault        = 10
	// workersDefault is 1 there.
	workersDefault      = 2
	cleanupCheckDefault = 30 * time.Minute
	cleanupRunDefault   = 24 * time.Hour
	cleanupBatchDefault = 16
)

// defaults is what an empty file means.
func defaults() File {
	multiplexing := backchannel.DefaultConfig()
	database := postgres.Config{}.WithDefaults()

	return File{
		SeparateDatabaseMetrics: true,
		GracefulStopTimeout:     Duration(gracefulStopDefault),
		Logging:                 Logging{Format: "text", Level: "info"},
		Tracing:                 Tracing{SampleRatio: 1},
		Prometheus: Prometheus{
			ScrapeTimeout: Duration(scrapeDefault),
			GRPCLatencyBuckets: []float64{
				0.001, 0.005, 0.025, 0.1, 0.5, 1, 10, 30, 60, 300, 1500,
			},
		},
		TLS: TLS{MinVersion: tls12},
		Database: Database{
			MaxConnections:   database.MaxConnections,
			StatementTimeout: Duration(database.StatementTimeout),
		},
		BackgroundVerification: BackgroundVerification{
			VerificationInterval: Duration(verificationDefault), DeleteInvalidRecords: true,
		},
		Reconciliation: Reconciliation{HistogramBuckets: slices.Clone(prometheus.DefBuckets)},
		Replication: Replication{
			BatchSize: batchDefault, ParallelStorageProcessingWorkers: workersDefault,
		},
		RepositoriesCleanup: RepositoriesCleanup{
			CheckInterval:       Duration(cleanupCheckDefault),
			RunInterval:         Duration(cleanupRunDefault),
			RepositoriesInBatch: cleanupBatchDefault,
		},
		Yamux: Yamux{
			MaximumStreamWindowSizeBytes: multiplexing.StreamWindow,
			AcceptBacklog:                multiplexing.AcceptBacklog,
		},
		Transactions: defaultTransactions(),
	}
}

func defaultTransactions() Transactions {
	voting := registry.Config{}.WithDefaults()
	turns := coordinator.Config{}.WithDefaults()
	lease := membership.Config{}.WithDefaults()

	return Transactions{
		TurnWait:       Duration(voting.TurnWait),
		TurnWaitLocked: Duration(voting.TurnWaitLocked),
		VoteTimeout:    Duration(voting.VoteTimeout),
		GraceMin:       Duration(voting.GraceMin),
		GraceMax:       Duration(voting.GraceMax),
		DrainTimeout:   Duration(relay.DefaultConfig().Drain),
		Lease:          Duration(lease.Lease),
		LeaseMargin:    Duration(lease.Margin),
		Settle:         Duration(turns.Settle),
		NodeDeadline:   Duration(turns.NodeDeadline),
		OutageReads:    outageStrict,
	}
}
