package cluster

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// Programs are the paths of the binaries that a cluster consists of.
type Programs struct {
	// Praefect is the proxy, any binary that reads the same configuration file.
	Praefect string
	// Node is cmd/praefect-node, Hooks is cmd/praefect-hooks.
	Node, Hooks string
	// Gitaly, if set, is an unmodified Gitaly, whose other programs lie beside it. It runs in place
	// of Node; what Config says of hooks and of nodes' deadlines does not concern it.
	Gitaly string
	// Git is the Git of the nodes (default: the one of PATH, or what Gitaly has built in).
	Git string
}

// Config describes a cluster. The zero value of every field but Programs has a default.
type Config struct {
	Programs Programs
	// Dir holds disks, logs, sockets and configuration. Default: a temporary directory that Close
	// removes; a given one is kept.
	Dir string
	// VirtualStorage is the name that clients use (default "default"), Storages are the nodes'
	// (default gitaly-1, gitaly-2, gitaly-3).
	VirtualStorage string
	Storages       []string
	// Outside are storages of nodes that run beside the cluster; no proxy knows them.
	Outside []string
	// Proxies is how many proxies share the database (default 1).
	Proxies int
	// Route, if set, returns where (host:port) a proxy reaches a node or the database, so that
	// somebody can stand in between. It is asked once for each of them. Default: the proxies are
	// told where the others listen.
	Route func(ctx context.Context, link Link) (string, error)
	// Token is what clients of the proxy and of the nodes present (default "secret").
	Token string
	// NodeTokens are what single nodes want to be presented instead, by storage.
	NodeTokens map[string]string
	// Database is an empty database to use. Default: a private PostgreSQL server.
	Database Database
	// Durable makes nodes and the private PostgreSQL wait for the disk. Without it a crash of the
	// machine, not of a process, may lose data, and everything is faster.
	Durable bool
	// Hooks replaces Programs.Hooks on single nodes, by storage.
	Hooks map[string]string
	// VoteTimeout is how long a node waits for the verdict on a vote (default: the node's).
	VoteTimeout time.Duration
	// NodeWrapper is a program with arguments that is to start the nodes' program; it must become
	// that program (exec).
	NodeWrapper []string
	// Env is added to the environment of the proxies.
	Env []string
	// ProxyEnv, if set, returns what else is added to the environment of one proxy.
	ProxyEnv func(name string) []string
	// GracefulStop is the proxy's graceful_stop_timeout (default 10 s).
	GracefulStop time.Duration
	// Log is the log of the gateway, which runs in this process (default: none).
	Log *zap.Logger
	// LogLevel is the proxy's (default "info"); at "debug" it logs every vote.
	LogLevel string
	// Head is put in front of the proxy's configuration file, where keys are that belong to no
	// table.
	Head string
	// NodeAddress, if set, returns how a proxy's configuration writes a node's address.
	NodeAddress func(address string) string
	// Extra is appended to the proxy's configuration file.
	Extra string
}

// Link is a connection that the configuration of a proxy asks for.
type Link struct {
	// From is the name of the proxy, To the storage of the node or [DatabaseParty].
	From, To string
	// Network and Address are where the other one listens, as net.Dial takes it.
	Network, Address string
}

// DatabaseParty is the name of the database as the end of a [Link].
const DatabaseParty = "database"

const defaultGracefulStop = 10 * time.Second

func (c Config) nodeToken(storage string) string {
	if token, ok := c.NodeTokens[storage]; ok {
		return token
	}

	return c.Token
}

func (c Config) withDefaults() Config {
	if c.VirtualStorage == "" {
		c.VirtualStorage = "default"
	}
	if len(c.Storages) == 0 {
		c.Storages = []string{"gitaly-1", "gitaly-2", "gitaly-3"}
	}
	if c.Proxies == 0 {
		c.Proxies = 1
	}
	if c.Token == "" {
		c.Token = "secret"
	}
	if c.LogLevel == "" {
		c.LogLevel = "info"
	}
	if c.GracefulStop == 0 {
		c.GracefulStop = defaultGracefulStop
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}

	return c
}
