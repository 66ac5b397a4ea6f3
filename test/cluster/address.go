package cluster

import (
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"praefect/proxy/auth"
)

// Target turns an address as written in the configuration (tcp://host:port, unix:path) into what
// grpc.NewClient dials.
func Target(address string) string {
	if host, ok := strings.CutPrefix(address, "tcp://"); ok {
		return "passthrough:///" + host
	}

	return address
}

// Dial returns a client of the proxy or of a node, to which it connects with the first call. The
// caller closes it.
func Dial(address, token string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(Target(address), append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(auth.Credentials(token, nil)),
	}, options...)...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}

	return conn, nil
}
