package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"praefect/test/chaos/audit"
	"praefect/test/chaos/fault"
	"praefect/test/chaos/link"
	"praefect/test/cluster"
)

const (
	// startPatience bounds the start of everything, which others who use the machine may slow down.
	startPatience = 3 * time.Minute
	// voteTimeout is how long a node keeps a lock for a verdict that does not come. It is shorter
	// than usual, so that what waits for it is over before the end is looked at.
	voteTimeout = 20 * time.Second
	// extra tells the proxies so. The grace for slow nodes makes the moment longer in which a
	// killed proxy leaves most in doubt. Releases that do not know the keys leave them aside.
	extra = "[transactions]\nnode_deadline = \"25s\"\ngrace_min = %q\ngrace_max = %q\n"
)

// rig is the cluster, with somebody between any two parties.
type rig struct {
	*cluster.Cluster

	dir      string
	disks    *fault.Disks
	doors    map[fault.Between]*link.Door
	targets  []link.Target
	balancer *link.Balancer
	metadata *audit.Metadata
}

func startRig(ctx context.Context, s settings) (*rig, error) {
	dir, err := os.MkdirTemp("", "praefect-chaos-")
	if err != nil {
		return nil, fmt.Errorf("create directory: %w", err)
	}
	r := &rig{dir: dir, doors: map[fault.Between]*link.Door{}}
	if err := r.start(ctx, s); err != nil {
		return nil, errors.Join(err, r.stop(), r.remove())
	}

	return r, nil
}

func (r *rig) start(ctx context.Context, s settings) error {
	bin := filepath.Join(r.dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	programs, err := cluster.Build(ctx, bin)
	if err != nil {
		return err
	}
	if s.praefect != "" {
		programs.Praefect = s.praefect
	}

	// Compiling takes as long as it takes.
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	config := cluster.Config{
		Programs: programs, Dir: r.dir, Proxies: s.proxies, Route: r.route,
		VoteTimeout: voteTimeout, Extra: configured(s.program),
	}
	var disks []string
	for number := range s.nodes {
		storage := fmt.Sprintf("gitaly-%d", number+1)
		config.Storages = append(config.Storages, storage)
		disks = append(disks, filepath.Join(r.dir, "disks", storage))
	}
	if r.disks, err = fault.PrepareDisks(disks); err != nil {
		return err
	}
	config.NodeWrapper = r.disks.Wrapper()

	if r.Cluster, err = cluster.Start(ctx, config); err != nil {
		return err
	}
	r.metadata = audit.NewMetadata(r.Database().DSN())
	for _, proxy := range r.Proxies() {
		r.targets = append(r.targets,
			link.NewTarget(proxy.Name, strings.TrimPrefix(proxy.Address, "tcp://")))
	}
	r.balancer, err = link.NewBalancer(ctx, r.targets)

	return err
}

// configured is the part of the configuration that a run is about.
func configured(program fault.Program) string {
	if program == fault.Jitter {
		return fmt.Sprintf(extra, "1500ms", "2s")
	}

	return fmt.Sprintf(extra, "400ms", "500ms")
}

// route opens a door for a connection that a proxy will make.
func (r *rig) route(ctx context.Context, wanted cluster.Link) (string, error) {
	address, err := cluster.FreeAddress(ctx)
	if err != nil {
		return "", err
	}
	config := link.Config{
		Owner: wanted.From, To: wanted.To, Address: address,
		Dial: link.Dialer(wanted.Network, wanted.Address),
	}
	if wanted.To != cluster.DatabaseParty {
		config.Who = r.who
	}
	door, err := link.NewDoor(config)
	if err != nil {
		return "", err
	}
	r.doors[fault.Between{From: wanted.From, To: wanted.To}] = door

	return address, nil
}

// who names the node that a connection comes from; empty when it is not from a node.
func (r *rig) who(from net.Addr) string {
	if r.Cluster == nil {
		return "" // Nobody copies before everything has started.
	}
	processes := map[string]int{}
	for _, node := range r.Nodes() {
		processes[node.Storage] = node.Process().PID()
	}

	return link.Owner(from, processes)
}

// ended names the processes that should run and do not.
func (r *rig) ended() []string {
	var found []string
	for _, proxy := range r.Proxies() {
		if !proxy.Process().Running() {
			found = append(found, proxy.Name+" has ended")
		}
	}
	for _, node := range r.Nodes() {
		if !node.Process().Running() {
			found = append(found, node.Storage+" has ended")
		}
	}

	return found
}

// crashes names the logs that tell of a crash or a data race.
func (r *rig) crashes() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "log", "*"))
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		for _, sign := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if strings.Contains(string(content), sign) {
				found = append(found, file+" has "+sign)
			}
		}
	}

	return found, nil
}

// stop ends all processes and everything between them. The files stay.
func (r *rig) stop() error {
	var errs []error
	if r.balancer != nil {
		errs = append(errs, r.balancer.Close())
	}
	if r.Cluster != nil {
		errs = append(errs, r.Close())
	}
	for _, door := range r.doors {
		errs = append(errs, door.Close())
	}

	return errors.Join(errs...)
}

// keep leaves the files to whoever wants to look at them.
func (r *rig) keep(ctx context.Context) error { return r.disks.Keep(ctx) }

// remove removes the files.
func (r *rig) remove() error {
	var err error
	if r.disks != nil {
		err = r.disks.Close()
	}

	return errors.Join(err, os.RemoveAll(r.dir))
}
