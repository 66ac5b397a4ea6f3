package native

import (
	"context"
	"fmt"
	"slices"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	"praefect/coordinator"
	"praefect/proxy/backend"
	"praefect/proxy/gitalypb"
	"praefect/proxy/replicate"
)

// Directory is what the metadata know about repositories.
type Directory interface {
	Exists(ctx context.Context, key coordinator.Key) (bool, error)
	Walk(ctx context.Context, virtualStorage coordinator.VirtualStorage,
		visit func(relativePath string) error) error
	ByID(ctx context.Context, id coordinator.RepositoryID) (coordinator.Repository, error)
}

// Router chooses nodes, and ends repositories.
type Router interface {
	Read(ctx context.Context, key coordinator.Key, options coordinator.ReadOptions,
	) (coordinator.ReadRoute, error)
	BeginRemoval(ctx context.Context, key coordinator.Key) (*coordinator.Removal, error)
}

// Nodes is where connections to nodes come from.
type Nodes interface {
	Conn(virtualStorage, storage string) (grpc.ClientConnInterface, bool)
	Nodes() []backend.Node
}

// Disks removes replicas.
type Disks interface {
	Remove(ctx context.Context, replica replicate.Replica) error
}

// Dependencies are what the answers are made of. None may be nil.
type Dependencies struct {
	Directory  Directory
	Router     Router
	Nodes      Nodes
	Disks      Disks
	Operations Operations
	// Readiness are the checks that a readiness call runs, by name. A check must obey its context.
	Readiness map[string]func(ctx context.Context) error
}

// Services answers the calls.
type Services struct {
	Dependencies
	log *zap.Logger
}

// New returns the services.
func New(dependencies Dependencies, log *zap.Logger) *Services {
	return &Services{Dependencies: dependencies, log: log}
}

// Register registers the methods that are answered here. It panics, as grpc does, when a service
// is registered already.
func (s *Services) Register(registrar grpc.ServiceRegistrar) error {
	for _, part := range []struct {
		desc    grpc.ServiceDesc
		handler any
		methods []string
	}{
		{
			gitalypb.RepositoryService_ServiceDesc,
			repositories{Services: s},
			[]string{"RepositoryExists", "RemoveRepository"},
		},
		{
			gitalypb.ObjectPoolService_ServiceDesc,
			pools{Services: s},
			[]string{"GetObjectPool", "DeleteObjectPool"},
		},
		{
			gitalypb.InternalGitaly_ServiceDesc,
			internal{Services: s},
			[]string{"WalkRepos"},
		},
		{
			gitalypb.ServerService_ServiceDesc,
			servers{Services: s},
			[]string{"ServerInfo", "DiskStatistics", "ReadinessCheck", "ServerSignature"},
		},
		{
			gitalypb.PraefectInfoService_ServiceDesc,
			info{Services: s},
			[]string{
				"Dataloss", "GetRepositoryMetadata", "MarkUnverified", "RepositoryReplicas",
				"SetAuthoritativeStorage", "SetReplicationFactor",
			},
		},
	} {
		desc, err := only(part.desc, part.methods)
		if err != nil {
			return err
		}
		registrar.RegisterService(desc, part.handler)
	}
	return nil
}

// only cuts a service down to some of its methods.
func only(desc grpc.ServiceDesc, methods []string) (*grpc.ServiceDesc, error) {
	unwanted := func(name string) bool { return !slices.Contains(methods, name) }
	desc.Methods = slices.DeleteFunc(slices.Clone(desc.Methods),
		func(m grpc.MethodDesc) bool { return unwanted(m.MethodName) })
	desc.Streams = slices.DeleteFunc(slices.Clone(desc.Streams),
		func(m grpc.StreamDesc) bool { return unwanted(m.StreamName) })
	if found := len(desc.Methods) + len(desc.Streams); found != len(methods) {
		return nil, fmt.Errorf("register %s: %d of %d methods exist",
			desc.ServiceName, found, len(methods))
	}
	return &desc, nil
}
