package node

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"praefect/proxy/gitalypb"
)

const (
	// receiveMax is the largest message that a caller may send. Callers know it, so it is not
	// configurable.
	receiveMax = 4 << 20

	// pingMin is how often callers may ask whether the connection is alive.
	pingMin = 10 * time.Second

	// pingAfter is how long a connection may be silent before we ask ourselves.
	pingAfter = 5 * time.Minute
)

// server makes the gRPC server with everything that a node offers.
func (n *Node) server() *grpc.Server {
	o := observer{log: n.log}
	server := grpc.NewServer(append(n.links.Options(),
		grpc.ChainUnaryInterceptor(o.unary, n.auth.Unary),
		grpc.ChainStreamInterceptor(o.stream, n.auth.Stream),
		grpc.MaxRecvMsgSize(receiveMax),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime: pingMin, PermitWithoutStream: true,
		}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter}),
	)...)

	gitalypb.RegisterSmartHTTPServiceServer(server, &smartHTTPService{node: n})
	gitalypb.RegisterSSHServiceServer(server, &sshService{node: n})
	gitalypb.RegisterRepositoryServiceServer(server, &repositoryService{node: n})
	gitalypb.RegisterRefServiceServer(server, &refService{node: n})
	gitalypb.RegisterCommitServiceServer(server, &commitService{node: n})
	gitalypb.RegisterObjectPoolServiceServer(server, &objectPoolService{node: n})
	gitalypb.RegisterServerServiceServer(server, &serverService{node: n})
	gitalypb.RegisterInternalGitalyServer(server, &internalGitaly{node: n})
	gitalypb.RegisterOperationServiceServer(server, &operationService{node: n})

	checks := health.NewServer()
	checks.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checks)
	reflection.Register(server)

	return server
}
