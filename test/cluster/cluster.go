package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"praefect/coordinator/postgres/pgserver"
)

// stopWait is how long Close lets the proxies end in order before it is killed.
const stopWait = 15 * time.Second

// Cluster is a running cluster.
type Cluster struct {
	config Config
	dir    string
	owned  bool
	nodes  []*Node
	// outside are nodes that no proxy knows.
	outside []*Node
	// proxies is not empty.
	proxies []*Proxy
	// gateway is nil until the first proxy serves, server when the database is not ours.
	gateway *gateway
	server  *pgserver.Server
	// gitlab is there when the nodes are unmodified Gitalys.
	gitlab *gitlab
}

// Start starts PostgreSQL (unless Config names a database), migrates, starts the nodes and then the
// proxies, and returns when everything serves. After an error nothing is left running.
func Start(ctx context.Context, config Config) (*Cluster, error) {
	c := &Cluster{config: config.withDefaults(), dir: config.Dir}

	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}

	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepare(ctx); err != nil {
		return err
	}

	group, groupCtx := errgroup.WithContext(ctx)
	for _, node := range c.everybody() {
		group.Go(func() error { return node.Start(groupCtx) })
	}
	group.Go(func() error {
		_, err := c.Proxy().Command(groupCtx, "sql-migrate")

		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}

	group, groupCtx = errgroup.WithContext(ctx)
	for _, proxy := range c.proxies {
		group.Go(func() error { return proxy.Start(groupCtx) })
	}
	if err := group.Wait(); err != nil {
		return err
	}

	gateway, err := startGateway(ctx, c.Proxy().Address, c.config, c.config.Log)
	if err != nil {
		return fmt.Errorf("start gateway: %w", err)
	}
	c.gateway = gateway

	return nil
}

// prepare makes directories, the database, and the configuration of nodes and proxy.
func (c *Cluster) prepare(ctx context.Context) error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "praefect-")
		if err != nil {
			return fmt.Errorf("create directory: %w", err)
		}
		c.dir, c.owned = dir, true
	}
	if err := os.MkdirAll(filepath.Join(c.dir, "log"), 0o755); err != nil {
		return fmt.Errorf("create log directory: %w", err)
	}

	if c.config.Database == (Database{}) {
		server, err := startDatabase(ctx, c.config)
		if err != nil {
			return err
		}
		c.server, c.config.Database = server, DatabaseOn(server, databaseName)
	}

	if err := c.prepareNodes(ctx); err != nil {
		return err
	}

	for number := range c.config.Proxies {
		proxy, err := newProxy(ctx, c.config, place{dir: c.dir, name: proxyName(number)}, c.nodes)
		if err != nil {
			return err
		}
		c.proxies = append(c.proxies, proxy)
	}

	return nil
}

func (c *Cluster) prepareNodes(ctx context.Context) (err error) {
	if c.config.Programs.Gitaly != "" {
		if c.gitlab, err = startGitLab(ctx); err != nil {
			return fmt.Errorf("start stub of GitLab: %w", err)
		}
	}
	if c.nodes, err = c.newNodes(ctx, c.config.Storages); err != nil {
		return err
	}
	c.outside, err = c.newNodes(ctx, c.config.Outside)

	return err
}

func (c *Cluster) newNodes(ctx context.Context, storages []string) ([]*Node, error) {
	var nodes []*Node
	for _, storage := range storages {
		node, err := newNode(ctx, c.config, c.dir, storage)
		if err != nil {
			return nil, err
		}
		if c.gitlab != nil {
			node.gitaly, err = newGitaly(node, c.config.Programs, c.dir, c.gitlab.url)
			if err != nil {
				return nil, fmt.Errorf("configure %s: %w", storage, err)
			}
		}
		nodes = append(nodes, node)
	}

	return nodes, nil
}

func (c *Cluster) everybody() []*Node { return slices.Concat(c.nodes, c.outside) }

// Outside returns the nodes in the order of Config.Outside.
func (c *Cluster) Outside() []*Node { return c.outside }

// Nodes returns the nodes in the order of Config.Storages.
func (c *Cluster) Nodes() []*Node { return c.nodes }

// Node returns the node of a storage.
func (c *Cluster) Node(storage string) (*Node, error) {
	for _, node := range c.nodes {
		if node.Storage == storage {
			return node, nil
		}
	}

	return nil, fmt.Errorf("find node %q: %w", storage, ErrUnknownStorage)
}

// Proxy returns the first proxy.
func (c *Cluster) Proxy() *Proxy { return c.proxies[0] }

// Proxies returns all proxies.
func (c *Cluster) Proxies() []*Proxy { return c.proxies }

// GitURL is where Git finds a repository, by its relative path.
func (c *Cluster) GitURL(relativePath string) string { return c.gateway.url + "/" + relativePath }

// Gateway starts another gateway, which reaches the proxies at an address of the caller's choice.
// It returns the URL below which repositories are found, and what ends it.
func (c *Cluster) Gateway(ctx context.Context, address string) (string, func() error, error) {
	started, err := startGateway(ctx, address, c.config, c.config.Log)
	if err != nil {
		return "", nil, fmt.Errorf("start gateway: %w", err)
	}

	return started.url, started.close, nil
}

// Dir is the directory with disks, logs and configuration.
func (c *Cluster) Dir() string { return c.dir }

// VirtualStorage is the storage name that clients use.
func (c *Cluster) VirtualStorage() string { return c.config.VirtualStorage }

// Token is what clients present.
func (c *Cluster) Token() string { return c.config.Token }

// Database is the proxies' database.
func (c *Cluster) Database() Database { return c.config.Database }

// Server is the private PostgreSQL server; nil when Config named a database.
func (c *Cluster) Server() *pgserver.Server { return c.server }

// Close ends the proxies in order, then everything else at once, and removes the directory when the
// harness made it. It may be called twice.
func (c *Cluster) Close() error {
	var errs []error

	if c.gateway != nil {
		errs = append(errs, c.gateway.close())
		c.gateway = nil
	}
	errs = append(errs, c.stopProxies()...)
	for _, node := range c.everybody() {
		if process := node.Process(); process != nil {
			errs = append(errs, process.Kill())
		}
	}
	if c.gitlab != nil {
		errs = append(errs, c.gitlab.close())
		c.gitlab = nil
	}
	if c.server != nil {
		errs = append(errs, c.server.Stop())
	}
	if c.owned {
		errs = append(errs, os.RemoveAll(c.dir))
	}

	return errors.Join(errs...)
}

// stopProxies asks all proxies to end, and waits for them.
func (c *Cluster) stopProxies() []error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWait)
	defer cancel()

	errs := make([]error, len(c.proxies))
	var ending sync.WaitGroup
	for i, proxy := range c.proxies {
		if process := proxy.process; process != nil {
			ending.Go(func() { errs[i] = process.Terminate(ctx) })
		}
	}
	ending.Wait()

	return errs
}
