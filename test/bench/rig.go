package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"praefect/proxy/gitalypb"
	"praefect/test/cluster"
)

// replicas is how many nodes a virtual storage has.
const replicas = 3

// Names in the configuration of the proxies, and the token of everything.
const (
	nullStorage = "null"
	realStorage = "default"
	token       = "bench"
)

// rig is everything that runs: null nodes, and for each proxy a cluster with nodes and PostgreSQL.
type rig struct {
	dir       string
	nullNodes *cluster.Process
	clusters  []*cluster.Cluster

	directNull *endpoint
	directReal *endpoint
	proxy      *endpoint
	other      *endpoint
}

// newRig starts everything. After an error nothing is left running.
func newRig(ctx context.Context, s settings) (*rig, error) {
	r := new(rig)
	if err := r.start(ctx, s); err != nil {
		return nil, errors.Join(err, r.close())
	}

	return r, nil
}

func (r *rig) start(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp("", "praefect-bench-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	r.dir = dir

	programs, err := r.programs(ctx, s.ours)
	if err != nil {
		return err
	}
	addresses, err := r.startNullNodes(ctx)
	if err != nil {
		return err
	}

	extra := virtualStorage(addresses)
	if r.proxy, err = r.startProxy(ctx, programs, extra); err != nil {
		return fmt.Errorf("start proxy: %w", err)
	}
	if s.other != "" {
		programs.Praefect = s.other
		if r.other, err = r.startProxy(ctx, programs, extra); err != nil {
			return fmt.Errorf("start other proxy: %w", err)
		}
	}

	return r.connectDirectly(ctx, addresses[0])
}

// programs are those beside the given praefect, or built from this tree.
func (r *rig) programs(ctx context.Context, praefect string) (cluster.Programs, error) {
	if praefect == "" {
		return cluster.Build(ctx, r.dir)
	}

	path, err := filepath.Abs(praefect)
	if err != nil {
		return cluster.Programs{}, fmt.Errorf("find program: %w", err)
	}

	return cluster.Programs{
		Praefect: path,
		Node:     filepath.Join(filepath.Dir(path), "praefect-node"),
		Hooks:    filepath.Join(filepath.Dir(path), "praefect-hooks"),
	}, nil
}

// startNullNodes starts this program again as null nodes and returns their addresses. One process
// is all of them: see the package documentation.
func (r *rig) startNullNodes(ctx context.Context) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}

	var addresses []string
	for range replicas {
		free, err := cluster.FreeAddress(ctx)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, "tcp://"+free)
	}

	r.nullNodes, err = cluster.Spawn(cluster.Command{
		Path: self, Args: []string{"-null-nodes", strings.Join(addresses, ",")},
		Log: filepath.Join(r.dir, "null.log"),
	})
	if err != nil {
		return nil, err
	}
	for _, address := range addresses {
		if err := cluster.WaitServing(ctx, r.nullNodes, address); err != nil {
			return nil, err
		}
	}

	return addresses, nil
}

// startProxy starts a praefect in front of the null nodes and of bundled nodes of its own, and
// creates the repositories.
func (r *rig) startProxy(
	ctx context.Context, programs cluster.Programs, extra string,
) (*endpoint, error) {
	started, err := cluster.Start(ctx, cluster.Config{
		Programs: programs, VirtualStorage: realStorage, Token: token, Extra: extra,
		Durable: true,
	})
	if err != nil {
		return nil, err
	}
	r.clusters = append(r.clusters, started)

	e, err := connect(started.Proxy().Address, nullStorage, token)
	if err != nil {
		return nil, err
	}
	e.name, e.pid = programs.Praefect, started.Proxy().Process().PID()
	e.others = r.participants()

	if err := e.create(ctx); err != nil {
		return e, err
	}

	err = e.createHot(ctx, &gitalypb.Repository{
		StorageName: realStorage, RelativePath: "bench/hot.git",
	}, started.GitURL("bench/hot.git"))

	return e, err
}

// connectDirectly makes the ways past all proxies: to a null node and to a bundled one.
func (r *rig) connectDirectly(ctx context.Context, address string) error {
	var err error
	if r.directNull, err = connect(address, nullStorage, token); err != nil {
		return err
	}
	r.directNull.name, r.directNull.others = "null node", r.participants()

	node := r.clusters[0].Nodes()[0]
	if r.directReal, err = connect(node.Address, node.Storage, token); err != nil {
		return err
	}
	r.directReal.name = "bundled node"

	return r.directReal.createHot(ctx, &gitalypb.Repository{
		StorageName: node.Storage, RelativePath: "bench/direct.git",
	}, node.Path("bench/direct.git"))
}

// participants are this process, which runs the clients, and the null nodes.
func (r *rig) participants() []int {
	return []int{os.Getpid(), r.nullNodes.PID()}
}

// direct is the way past all proxies for a workload.
func (r *rig) direct(work *workload) *endpoint {
	if work.hot {
		return r.directReal
	}

	return r.directNull
}

func (r *rig) close() error {
	var errs []error

	for _, e := range []*endpoint{r.directNull, r.directReal, r.proxy, r.other} {
		if e != nil {
			e.close()
		}
	}
	for _, started := range r.clusters {
		errs = append(errs, started.Close())
	}
	if r.nullNodes != nil {
		errs = append(errs, r.nullNodes.Kill())
	}

	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// virtualStorage is the part of a configuration that names the null nodes.
func virtualStorage(addresses []string) string {
	var text strings.Builder

	fmt.Fprintf(&text, "[[virtual_storage]]\nname = %q\n", nullStorage)
	for number, address := range addresses {
		fmt.Fprintf(&text, "[[virtual_storage.node]]\nstorage = \"null-%d\"\naddress = %q\n",
			number+1, address)
	}

	return text.String()
}
