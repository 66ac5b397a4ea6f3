package cluster

import (
	"fmt"
	"strings"
)

type listeners struct {
	address string
	metrics string
	socket  string
}

// configuration renders the proxy's configuration file with keys that every praefect knows.
func configuration(config Config, listen listeners, nodes []*Node) string {
	var text strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }

	line("listen_addr = %q", listen.address)
	line("socket_path = %q", listen.socket)
	line("prometheus_listen_addr = %q", listen.metrics)
	line("graceful_stop_timeout = %q", config.GracefulStop.String())
	line("[logging]\nformat = \"json\"\nlevel = %q", config.LogLevel)
	line("[auth]\ntoken = %q", config.Token)

	database := config.Database
	line("[database]\nhost = %q\nport = %d", database.Host, database.Port)
	line("user = %q\npassword = %q", database.User, database.Password)
	line("dbname = %q\nsslmode = \"disable\"", database.Name)

	line("[[virtual_storage]]\nname = %q", config.VirtualStorage)
	for _, node := range nodes {
		line("[[virtual_storage.node]]\nstorage = %q", node.Storage)
		line("address = %q\ntoken = %q", node.Address, config.Token)
	}
	line("%s", config.Extra)

	return text.String()
}
