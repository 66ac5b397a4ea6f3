package proxy

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"praefect/proxy/method"
)

// described lists for reflection what clients can call: what is registered, and what is relayed.
type described struct {
	registered reflection.GRPCServer
	methods    Methods
}

// registerReflection lets clients ask a server which services it has, in both versions of that
// question.
func registerReflection(server reflection.GRPCServer, methods Methods) {
	options := reflection.ServerOptions{
		Services: described{registered: server, methods: methods},
	}
	reflectionv1.RegisterServerReflectionServer(server, reflection.NewServerV1(options))
	reflectionv1alpha.RegisterServerReflectionServer(server, reflection.NewServer(options))
}

// GetServiceInfo implements reflection.ServiceInfoProvider.
func (d described) GetServiceInfo() map[string]grpc.ServiceInfo {
	services := d.registered.GetServiceInfo()
	for m := range d.methods.All() {
		name, _, _ := method.Split(m.Name)
		if _, listed := services[name]; !listed {
			services[name] = grpc.ServiceInfo{}
		}
	}
	return services
}
