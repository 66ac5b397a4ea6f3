package boot

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"praefect/coordinator"
	"praefect/coordinator/health"
	"praefect/coordinator/journal"
	"praefect/coordinator/membership"
	"praefect/coordinator/postgres"
	"praefect/coordinator/recovery"
	"praefect/coordinator/removal"
	"praefect/coordinator/repair"
	"praefect/proxy"
	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/certificate"
	"praefect/proxy/digest"
	"praefect/proxy/learn"
	"praefect/proxy/method"
	"praefect/proxy/native"
	"praefect/proxy/relay"
	"praefect/proxy/replicate"
	"praefect/proxy/sidechannel"
	"praefect/proxy/telemetry"
	"praefect/proxy/tracing"
	"praefect/transaction/registry"
)

// parts are what a server consists of, in the order in which they are made.
type parts struct {
	metrics *prometheus.Registry
	// endMetrics ends the answers over HTTP; nil where there are none.
	endMetrics func() error
	clients    *telemetry.Clients
	// tracer is nil when calls are not traced.
	tracer *tracing.Tracer
	// reports is nil when failures are reported nowhere.
	reports *telemetry.Sentry
	// databaseMetrics has what scrapes ask the database for.
	databaseMetrics *prometheus.Registry
	// multiplexing holds the bounds of multiplexed connections, and measures them.
	multiplexing backchannel.Config
	store        *postgres.Store
	votes        *registry.Registry
	sidechannels *sidechannel.Registry
	health       *health.Checker
	membership   *membership.Worker
	pool         *backend.Pool
	journal      *journal.Journal
	coordinator  *coordinator.Coordinator
	copier       *replicate.Copier
	relay        *relay.Relay
	front        *proxy.Server
	// identity is what clients see behind TLS, nodes how nodes are met; nil without TLS.
	identity, nodes *certificate.Store
}

// start makes all parts, and returns when the server answers calls.
func (s *server) start(ctx context.Context) error {
	for _, step := range []struct {
		name string
		take func(context.Context) error
	}{
		{"metrics", s.startMetrics},
		{"reports", s.startReports},
		{"traces", s.startTracing},
		{"certificates", s.startCertificates},
		{"database", s.startDatabase},
		{"voting", s.startVoting},
		{"connections to nodes", s.startNodes},
		{"addresses", s.checkAddresses},
		{"membership", s.startMembership},
		{"journal", s.startJournal},
		{"coordinator", s.startCoordinator},
		{"calls", s.startCalls},
		{"workers", s.startWorkers},
		{"counts", s.startCensus},
		{"health checks", s.awaitHealth},
		{"lease", s.awaitLease},
		{"listeners", s.startListeners},
	} {
		s.phase.begins(step.name)
		if err := step.take(ctx); err != nil {
			return fmt.Errorf("start %s: %w", step.name, err)
		}
	}
	s.phase.begins("")
	s.log.Info("serving")

	return nil
}

// startMetrics makes the registry and, when configured, the HTTP listener: first of all, so that
// whoever watches the start can see it. While a predecessor serves, that one answers.
func (s *server) startMetrics(ctx context.Context) (err error) {
	if s.metrics, err = newRegistry(s.Version); err != nil {
		return err
	}
	s.databaseMetrics = prometheus.NewRegistry()
	if err := s.startMeasuring(); err != nil {
		return err
	}
	if s.Successor {
		return nil
	}

	return s.listenMetrics(ctx)
}

// listenMetrics begins to answer over HTTP, if that is configured.
func (s *server) listenMetrics(ctx context.Context) error {
	if s.Config.PrometheusListenAddr == "" {
		return nil
	}
	listener, err := s.listen(ctx, s.Config.PrometheusListenAddr)
	if err != nil {
		return err
	}
	s.log.Info("Starting prometheus listener", zap.Stringer("address", listener.Addr()))
	s.endMetrics = sync.OnceValue(s.serveMetrics(listener))
	s.onEnd("metrics", s.endMetrics)

	return nil
}

func (s *server) startDatabase(ctx context.Context) (err error) {
	config := s.Config.Database.Config()
	if config.OnListen, err = countListening(s.metrics); err != nil {
		return err
	}
	s.store, err = openDatabase(ctx, s.log, config)
	if err != nil {
		return err
	}
	s.onEnd("database", func() error { s.store.Close(); return nil })
	// Operators look for this line; what is cached are the routes of reads.
	s.log.Info("reads distribution caching is enabled by configuration")

	return nil
}

func (s *server) startVoting(context.Context) (err error) {
	config := s.Config.Transactions.Registry()
	config.LatencyBuckets = s.Config.Prometheus.GRPCLatencyBuckets
	for _, virtual := range s.Config.VirtualStorages {
		config.VotersMax = max(config.VotersMax, len(virtual.Nodes))
	}
	s.votes, err = registry.New(s.metrics, s.log, config)

	return err
}

func (s *server) startMembership(context.Context) error {
	name, err := s.name()
	if err != nil {
		return err
	}
	config := s.Config.Transactions.Membership(name)
	config.Successor = s.Successor
	s.membership, err = membership.New(membership.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Health:     s.health,
		Registerer: s.metrics,
	}, s.log.Named("membership"), config)

	return err
}

// name tells this proxy from the others of the cluster, and is the same after a restart: the host
// and where it listens.
func (s *server) name() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("find the host's name: %w", err)
	}

	return host + " " + cmp.Or(
		s.Config.ListenAddr, s.Config.Socket(), s.Config.TLSListenAddr), nil
}

// startJournal makes what keeps outcomes for operators. It ends after those that tell it of them.
func (s *server) startJournal(context.Context) error {
	name, err := s.name()
	if err != nil {
		return err
	}
	s.journal, err = journal.New(s.store, s.metrics, s.log.Named("journal"), journal.Config{
		Proxy: name,
	})
	if err != nil {
		return err
	}
	s.leases.run(s.journal.Run)

	return nil
}

func (s *server) startCoordinator(context.Context) (err error) {
	s.coordinator, err = coordinator.New(coordinator.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Health:     s.health,
		Agreed:     s.membership,
		Lease:      s.membership,
		Peers:      s.membership,
		Registerer: s.metrics,
		Journal:    s.journal,
	}, s.log.Named("coordinator"), s.Config.Transactions.Coordinator())

	return err
}

// startCalls makes what carries calls, and the server that accepts them.
func (s *server) startCalls(context.Context) (err error) {
	s.relay, err = relay.New(
		relay.NewMetrics(s.metrics), s.log.Named("relay"), s.Config.Transactions.Relay())
	if err != nil {
		return err
	}
	learner, err := learn.New(s.pool, s.metrics, s.log.Named("learn"), learn.Config{})
	if err != nil {
		return err
	}
	s.onEnd("learning of methods", learner.Close)
	handler, err := proxy.New(proxy.Dependencies{
		Coordinator:  s.coordinator,
		Registry:     s.votes,
		Connections:  s.pool,
		Relay:        s.relay,
		Sidechannels: s.sidechannels,
		Methods:      method.Builtin(),
		Learner:      learner,
		Registerer:   s.metrics,
	}, s.log.Named("proxy"), proxy.Config{
		Grace:    s.Config.Transactions.Registry().GraceMax,
		Features: s.Config.FeatureFlags,
	})
	if err != nil {
		return err
	}
	verifier, err := auth.New(s.metrics, s.Config.Auth.Config())
	if err != nil {
		return err
	}

	logged, err := logFilter()
	if err != nil {
		return err
	}
	peers := backchannel.NewPeers(s.log)
	s.onEnd("connections of clients", peers.Close)
	s.front, err = proxy.NewServer(proxy.ServerDependencies{
		Handler:    handler,
		Native:     s.native().Register,
		Verifier:   verifier,
		Peers:      peers,
		Tracer:     s.tracer,
		Reports:    s.reports,
		Ready:      s.ready, // Listening begins when everything is.
		Registerer: s.metrics,
	}, s.log, proxy.ServerConfig{
		Multiplexing:     s.multiplexing,
		LatencyBuckets:   s.Config.Prometheus.GRPCLatencyBuckets,
		Logged:           logged,
		MaxConnectionAge: time.Duration(s.Config.MaxConnectionAge),
	})

	return err
}

func (s *server) native() *native.Services {
	return native.New(native.Dependencies{
		Directory:  s.coordinator,
		Router:     s.coordinator,
		Nodes:      s.pool,
		Disks:      s.copier,
		Operations: s.coordinator,
		Readiness:  s.readiness(),
	}, s.log.Named("native"))
}

// startWorkers starts what runs beside the calls.
func (s *server) startWorkers(context.Context) error {
	repairs, err := repair.New(repair.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Turns:      s.coordinator,
		Copier:     nodeCopier{s.copier},
		Health:     s.health,
		Due:        s.coordinator.RepairDue(),
		Registerer: s.metrics,
		Journal:    s.journal,
	}, s.log.Named("repair"), s.Config.Repair())
	if err != nil {
		return err
	}
	removals, err := removal.New(removal.Dependencies{
		Store:      s.store,
		Remover:    nodeRemover{s.copier},
		Health:     s.health,
		Due:        s.coordinator.RemovalDue(),
		Registerer: s.metrics,
	}, s.log.Named("removal"), removal.Config{
		Keep: s.Config.Transactions.Coordinator().NodeDeadline,
	})
	if err != nil {
		return err
	}

	recoveries, err := recovery.New(recovery.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Digester:   nodeDigester{digest.New(s.pool)},
		Turns:      s.coordinator,
		Routes:     s.coordinator,
		Health:     s.health,
		Lease:      s.membership,
		TurnsLeft:  s.coordinator.TurnsLeft(),
		Registerer: s.metrics,
		Journal:    s.journal,
	}, s.log.Named("recovery"), s.Config.Transactions.Recovery())
	if err != nil {
		return err
	}

	for _, run := range []func(context.Context) error{
		s.health.Run, repairs.Run, removals.Run, recoveries.Run,
	} {
		s.workers.run(run)
	}
	s.turns.run(s.coordinator.Run)

	for _, start := range []func() error{s.startPlacement, s.startCleaner} {
		if err := start(); err != nil {
			return err
		}
	}

	return s.startVerification()
}

// awaitLease takes the lease, once the health of the nodes is known, since that is reported with
// it. It waits as long as the database needs.
func (s *server) awaitLease(ctx context.Context) error {
	s.leases.run(func(ctx context.Context) error {
		return s.membership.Run(ctx, membership.Local{
			Routes: s.coordinator, Notices: s.coordinator, Tail: s.coordinator,
		})
	})
	s.log.Info("waiting for the lease")
	select {
	case <-s.membership.Enlisted():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitHealth waits for the first round, so that the first calls find nodes that are healthy. Its
// length is bounded by the time-out of a check.
func (s *server) awaitHealth(ctx context.Context) error {
	s.log.Info("waiting for the first round of health checks")
	select {
	case <-s.health.Checked():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
