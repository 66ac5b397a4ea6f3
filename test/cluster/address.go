package cluster

import "strings"

// Target turns an address as written in the configuration (tcp://host:port, unix:path) into what
// grpc.NewClient dials.
func Target(address string) string {
	if host, ok := strings.CutPrefix(address, "tcp://"); ok {
		return "passthrough:///" + host
	}

	return address
}
