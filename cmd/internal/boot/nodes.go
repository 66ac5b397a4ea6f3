package boot

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"praefect/coordinator"
	"praefect/coordinator/health"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/relay"
	"praefect/proxy/replicate"
	"praefect/proxy/sidechannel"
	"praefect/proxy/telemetry"
	"praefect/transaction"
)

// errBroken is what the health checks are told of a connection that broke.
var errBroken = errors.New("connection to the node broke")

// startNodes prepares the connections to the nodes and what watches over them. Nothing is dialled
// yet.
func (s *server) startNodes(context.Context) (err error) {
	s.sidechannels = sidechannel.NewRegistry(s.log)

	// The checks use the connections, and the connections report to the checks.
	probes := &prober{}
	s.health, err = health.New(
		probes, s.Config.Cluster(), s.metrics, s.log.Named("HealthManager"), health.Config{
			LatencyBuckets: s.Config.Prometheus.GRPCLatencyBuckets,
		})
	if err != nil {
		return err
	}

	config := backend.DefaultConfig()
	config.Multiplexing = s.multiplexing
	config.TLS = s.nodes.Client()
	s.pool, err = backend.Dial(s.Config.Nodes(), backend.Dependencies{
		Votes: func(node backend.Node) gitalypb.RefTransactionServer {
			return s.votes.Service(transaction.Voter(node.Storage))
		},
		VoteOptions: []grpc.ServerOption{
			grpc.ChainUnaryInterceptor(recoverVotes(s.log.Named("backend"), s.reports)),
		},
		DialOptions:  append(relay.DialOptions(), s.clients.DialOptions()...),
		ReadOptions:  s.clients.DialOptions(),
		NodeOptions:  s.traced,
		Sidechannels: s.sidechannels,
		OnBroken:     s.broken,
	}, s.log, config)
	if err != nil {
		return err
	}
	s.onEnd("connections to nodes", s.pool.Close)
	probes.pool = s.pool

	s.copier, err = replicate.New(s.pool)

	return err
}

// broken believes a broken connection at once.
func (s *server) broken(node backend.Node) {
	s.health.Report(coordinator.VirtualStorage(node.VirtualStorage),
		coordinator.Storage(node.Storage), health.Refused, errBroken)
}

// recoverVotes keeps a panic in the handling of a vote from ending the process with all the other
// writes that are under way.
func recoverVotes(log *zap.Logger, reports *telemetry.Sentry) grpc.UnaryServerInterceptor {
	return recovery.UnaryServerInterceptor(recovery.WithRecoveryHandler(func(p any) error {
		log.Error("vote panicked", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))

		said := status.Newf(codes.Internal, "panic: %v", p)
		reports.Report(telemetry.Failure{
			Method: gitalypb.RefTransaction_VoteTransaction_FullMethodName, Code: said.Code(),
			Message: said.Message(), Panic: true,
		})

		return said.Err()
	}))
}
