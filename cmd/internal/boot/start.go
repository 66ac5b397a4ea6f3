package boot

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/coordinator"
	"praefect/coordinator/health"
	"praefect/coordinator/postgres"
	"praefect/coordinator/removal"
	"praefect/coordinator/repair"
	"praefect/proxy"
	"praefect/proxy/auth"
	"praefect/proxy/backchannel"
	"praefect/proxy/backend"
	"praefect/proxy/method"
	"praefect/proxy/native"
	"praefect/proxy/relay"
	"praefect/proxy/replicate"
	"praefect/proxy/sidechannel"
	"praefect/transaction/registry"
)

// parts are what a server consists of, in the order in which they are made.
type parts struct {
	metrics      *prometheus.Registry
	store        *postgres.Store
	votes        *registry.Registry
	sidechannels *sidechannel.Registry
	health       *health.Checker
	pool         *backend.Pool
	coordinator  *coordinator.Coordinator
	copier       *replicate.Copier
	relay        *relay.Relay
	front        *proxy.Server
}

// start makes all parts, and returns when the server answers calls.
func (s *server) start(ctx context.Context) error {
	for _, step := range []struct {
		name string
		take func(context.Context) error
	}{
		{"metrics", s.startMetrics},
		{"database", s.startDatabase},
		{"voting", s.startVoting},
		{"connections to nodes", s.startNodes},
		{"coordinator", s.startCoordinator},
		{"calls", s.startCalls},
		{"workers", s.startWorkers},
		{"health checks", s.awaitHealth},
		{"listeners", s.startListeners},
	} {
		if err := step.take(ctx); err != nil {
			return fmt.Errorf("start %s: %w", step.name, err)
		}
	}
	s.log.Info("serving")

	return nil
}

// startMetrics makes the registry and, when configured, the HTTP listener: first of all, so that
// whoever watches the start can see it.
func (s *server) startMetrics(ctx context.Context) (err error) {
	if s.metrics, err = newRegistry(s.Version); err != nil {
		return err
	}
	if s.Config.PrometheusListenAddr == "" {
		return nil
	}

	listener, err := listen(ctx, s.Config.PrometheusListenAddr)
	if err != nil {
		return err
	}
	s.log.Info("starting prometheus listener", zap.Stringer("address", listener.Addr()))
	s.onEnd("metrics", serveMetrics(listener, s.metrics))

	return nil
}

func (s *server) startDatabase(ctx context.Context) (err error) {
	s.store, err = openDatabase(ctx, s.log, s.Config.Database.Config())
	if err != nil {
		return err
	}
	s.onEnd("database", func() error { s.store.Close(); return nil })

	return nil
}

func (s *server) startVoting(context.Context) (err error) {
	s.votes, err = registry.New(
		s.metrics, s.log, s.Config.Transactions.Registry())

	return err
}

func (s *server) startCoordinator(context.Context) (err error) {
	s.coordinator, err = coordinator.New(coordinator.Dependencies{
		Cluster:    s.Config.Cluster(),
		Store:      s.store,
		Health:     s.health,
		Registerer: s.metrics,
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
	handler, err := proxy.New(proxy.Dependencies{
		Coordinator:  s.coordinator,
		Registry:     s.votes,
		Connections:  s.pool,
		Relay:        s.relay,
		Sidechannels: s.sidechannels,
		Methods:      method.Builtin(),
		Registerer:   s.metrics,
	}, s.log.Named("proxy"), proxy.Config{Grace: s.Config.Transactions.Registry().GraceMax})
	if err != nil {
		return err
	}
	verifier, err := auth.New(s.metrics, s.Config.Auth.Config())
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
		Ready:      func() error { return nil }, // Listening begins when everything is ready.
		Registerer: s.metrics,
	}, s.log, proxy.ServerConfig{
		Multiplexing:   s.Config.Multiplexing(),
		LatencyBuckets: s.Config.Prometheus.GRPCLatencyBuckets,
	})

	return err
}

func (s *server) native() *native.Services {
	return native.New(native.Dependencies{
		Directory: s.coordinator,
		Router:    s.coordinator,
		Nodes:     s.pool,
		Disks:     s.copier,
		Readiness: s.readiness(),
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
	}, s.log.Named("repair"), repair.Config{})
	if err != nil {
		return err
	}
	removals, err := removal.New(removal.Dependencies{
		Store:      s.store,
		Remover:    nodeRemover{s.copier},
		Health:     s.health,
		Due:        s.coordinator.RemovalDue(),
		Registerer: s.metrics,
	}, s.log.Named("removal"), removal.Config{})
	if err != nil {
		return err
	}

	for _, run := range []func(context.Context) error{
		s.health.Run, s.coordinator.Run, repairs.Run, removals.Run,
	} {
		s.workers.run(run)
	}

	return nil
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

// startListeners begins to accept calls. All addresses are taken before the first call is.
func (s *server) startListeners(ctx context.Context) error {
	var listeners []net.Listener
	for _, address := range []string{s.Config.ListenAddr, s.Config.Socket()} {
		if address == "" {
			continue
		}
		listener, err := listen(ctx, address)
		if err != nil {
			return errors.Join(err, closeAll(listeners))
		}
		listeners = append(listeners, listener)
	}

	for _, listener := range listeners {
		s.log.Info("listening at address", zap.Stringer("address", listener.Addr()),
			zap.String("schema", listener.Addr().Network()))
		s.serving.run(func(context.Context) error {
			return s.front.Serve(listener, insecure.NewCredentials())
		})
	}

	return nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, listener := range listeners {
		errs = append(errs, listener.Close())
	}

	return errors.Join(errs...)
}
