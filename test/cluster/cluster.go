package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"praefect/coordinator/postgres/pgserver"
)

// stopWait is how long Close lets the proxy end in order before it is killed.
const stopWait = 15 * time.Second

// Cluster is a running cluster.
type Cluster struct {
	config Config
	dir    string
	owned  bool
	nodes  []*Node
	proxy  *Proxy
	// gateway is nil until the proxy serves, server when the database is not ours.
	gateway *gateway
	server  *pgserver.Server
}

// Start starts PostgreSQL (unless Config names a database), migrates, starts the nodes and then the
// proxy, and returns when everything serves. After an error nothing is left running.
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
	for _, node := range c.nodes {
		group.Go(func() error { return node.Start(groupCtx) })
	}
	group.Go(func() error {
		_, err := c.proxy.Command(groupCtx, "sql-migrate")

		return err
	})
	if err := group.Wait(); err != nil {
		return err
	}

	if err := c.proxy.Start(ctx); err != nil {
		return err
	}

	gateway, err := startGateway(ctx, c.proxy.Address, c.config, c.config.Log)
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

	for _, storage := range c.config.Storages {
		node, err := newNode(ctx, c.config, c.dir, storage)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, node)
	}

	proxy, err := newProxy(ctx, c.config, c.dir, c.nodes)
	if err != nil {
		return err
	}
	c.proxy = proxy

	return nil
}

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

// Proxy returns the proxy.
func (c *Cluster) Proxy() *Proxy { return c.proxy }

// GitURL is where Git finds a repository, by its relative path.
func (c *Cluster) GitURL(relativePath string) string { return c.gateway.url + "/" + relativePath }

// Dir is the directory with disks, logs and configuration.
func (c *Cluster) Dir() string { return c.dir }

// VirtualStorage is the storage name that clients use.
func (c *Cluster) VirtualStorage() string { return c.config.VirtualStorage }

// Token is what clients present.
func (c *Cluster) Token() string { return c.config.Token }

// Database is the proxy's database.
func (c *Cluster) Database() Database { return c.config.Database }

// Close ends the proxy in order, then everything else at once, and removes the directory when the
// harness made it. It may be called twice.
func (c *Cluster) Close() error {
	var errs []error

	if c.gateway != nil {
		errs = append(errs, c.gateway.close())
		c.gateway = nil
	}
	if c.proxy != nil && c.proxy.process != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopWait)
		errs = append(errs, c.proxy.process.Terminate(ctx))
		cancel()
	}
	for _, node := range c.nodes {
		if node.process != nil {
			errs = append(errs, node.process.Kill())
		}
	}
	if c.server != nil {
		errs = append(errs, c.server.Stop())
	}
	if c.owned {
		errs = append(errs, os.RemoveAll(c.dir))
	}

	return errors.Join(errs...)
}
