package cluster

import (
	"context"
	"fmt"
	"strings"
)

type listeners struct {
	address string
	metrics string
	socket  string
}

// reached is what a proxy is told about the others.
type reached struct {
	database Database
	// nodes are the addresses by storage, in the order of Config.Storages.
	nodes []nodeAddress
}

type nodeAddress struct{ storage, address string }

// routes says where a proxy reaches nodes and database.
func routes(ctx context.Context, config Config, proxy string, nodes []*Node) (reached, error) {
	found := reached{database: config.Database}
	for _, node := range nodes {
		found.nodes = append(found.nodes, nodeAddress{node.Storage, node.Address})
	}
	if config.Route == nil {
		return found, nil
	}

	for i, node := range nodes {
		address, err := config.Route(ctx, Link{
			From: proxy, To: node.Storage,
			Network: "tcp", Address: strings.TrimPrefix(node.Address, "tcp://"),
		})
		if err != nil {
			return found, fmt.Errorf("route %s to %s: %w", proxy, node.Storage, err)
		}
		found.nodes[i].address = "tcp://" + address
	}

	network, address := config.Database.listener()
	address, err := config.Route(ctx, Link{
		From: proxy, To: DatabaseParty, Network: network, Address: address,
	})
	if err != nil {
		return found, fmt.Errorf("route %s to database: %w", proxy, err)
	}
	found.database, err = config.Database.at(address)

	return found, err
}

// configuration renders a proxy's configuration file with keys that every praefect knows.
func configuration(config Config, listen listeners, others reached) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }

	line("%s", config.Head)
	line("listen_addr = %q", listen.address)
	line("socket_path = %q", listen.socket)
	line("prometheus_listen_addr = %q", listen.metrics)
	line("graceful_stop_timeout = %q", config.GracefulStop.String())
	line("[logging]\nformat = \"json\"\nlevel = %q", config.LogLevel)
	line("[auth]\ntoken = %q", config.Token)

	database := others.database
	line("[database]\nhost = %q\nport = %d", database.Host, database.Port)
	line("user = %q\npassword = %q", database.User, database.Password)
	line("dbname = %q\nsslmode = \"disable\"", database.Name)

	line("[[virtual_storage]]\nname = %q", config.VirtualStorage)
	for _, node := range others.nodes {
		line("[[virtual_storage.node]]\nstorage = %q", node.storage)
		address := node.address
		if config.NodeAddress != nil {
			address = config.NodeAddress(address)
		}
		line("address = %q\ntoken = %q", address, config.nodeToken(node.storage))
	}
	line("%s", config.Extra)

	return text.String()
}
