package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"

	"praefect/cmd/internal/configfile"
	"praefect/proxy/gitalypb"
)

// dialTimeoutDefault bounds the probe of all nodes together.
const dialTimeoutDefault = 10 * time.Second

func dialNodesCommand() *cli.Command {
	return &cli.Command{
		Name:  "dial-nodes",
		Usage: "check connections to the nodes",
		Description: "Calls every node, asks for its health and which storages it serves, and " +
			"compares them with the configuration.",
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "timeout", Usage: "give up after this time (0 means 10s)"},
			jsonFlag(),
		},
		Action: subcommand(dialNodes),
	}
}

// probe is one node process: an address, and every storage that the configuration expects there.
type probe struct {
	address, token string
	// storages maps a node's storage to the virtual storages that use it.
	storages map[string][]string
	security credentials.TransportCredentials

	// out may be nil.
	out *lockedWriter
	// problems belong to the goroutine that runs the probe.
	problems []string
}

// probed is what programs are told about a node.
type probed struct {
	Address  string   `json:"address"`
	Storages []string `json:"storages"`
	Healthy  bool     `json:"healthy"`
	Problems []string `json:"problems"`
}

func dialNodes(ctx context.Context, cmd *cli.Command, config *configfile.Loaded) error {
	timeout := cmd.Duration("timeout")
	if timeout == 0 {
		timeout = dialTimeoutDefault
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	out := cmd.Root().Writer
	if !cmd.Bool(flagJSON) {
		probes, err := probesOf(config, out)
		if err != nil {
			return err
		}

		return probeAll(ctx, probes)
	}
	probes, err := probesOf(config, io.Discard)
	if err != nil {
		return err
	}
	err = probeAll(ctx, probes)

	return errors.Join(sayJSON(out, toldProbes(probes)), err)
}

func toldProbes(probes []*probe) []probed {
	told := []probed{}
	for _, p := range probes {
		told = append(told, probed{
			Address: p.address, Storages: slices.Sorted(maps.Keys(p.storages)),
			Healthy: len(p.problems) == 0, Problems: append([]string{}, p.problems...),
		})
	}

	return told
}

// probeAll probes all nodes at the same time. The error names those that are not well.
func probeAll(ctx context.Context, probes []*probe) error {
	var group sync.WaitGroup
	failed := make([]bool, len(probes))
	for i, p := range probes {
		group.Go(func() { failed[i] = !p.run(ctx) })
	}
	group.Wait()

	var unhealthy []string
	for i, p := range probes {
		if failed[i] {
			unhealthy = append(unhealthy, p.address)
		}
	}
	if len(unhealthy) > 0 {
		return fmt.Errorf("the following nodes are not healthy: %s", strings.Join(unhealthy, ", "))
	}

	return nil
}

// probesOf groups the configured nodes by address, in the order of the configuration.
func probesOf(config *configfile.Loaded, out io.Writer) ([]*probe, error) {
	security, err := nodeSecurity(config)
	if err != nil {
		return nil, err
	}
	var probes []*probe
	locked := &lockedWriter{w: out}
	for _, virtual := range config.VirtualStorages {
		for _, node := range virtual.Nodes {
			i := slices.IndexFunc(probes, func(p *probe) bool { return p.address == node.Address })
			if i < 0 {
				i = len(probes)
				probes = append(probes, &probe{
					address: node.Address, storages: map[string][]string{}, out: locked,
					security: security,
				})
			}
			p := probes[i]
			p.token = node.Token.Reveal()
			p.storages[node.Storage] = append(p.storages[node.Storage], virtual.Name)
		}
	}

	return probes, nil
}

// run probes the node and reports whether everything is as it should be.
func (p *probe) run(ctx context.Context) bool {
	p.say("dialing...")
	conn, err := p.dial()
	if err != nil {
		p.fail("dialing failed: %v", err)

		return false
	}
	defer conn.Close() //nolint:errcheck // It was only asked questions.
	p.say("dialed successfully!")

	return p.checkHealth(ctx, conn) && p.checkStorages(ctx, conn)
}

// dial makes a plain connection, without the channel back that votes need: what is asked here
// needs none, so that a node's answer is known even when it does not speak the other.
func (p *probe) dial() (*grpc.ClientConn, error) {
	return dialPlain(p.address, p.token, p.security)
}

func (p *probe) checkHealth(ctx context.Context, conn *grpc.ClientConn) bool {
	p.say("checking health...")

	client := grpc_health_v1.NewHealthClient(conn)
	response, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		p.fail("unable to request health check: %v", err)

		return false
	}
	if status := response.GetStatus(); status != grpc_health_v1.HealthCheckResponse_SERVING {
		p.fail("health check did not report serving, instead reported: %s", status)

		return false
	}
	p.say("SUCCESS: node is healthy!")

	return true
}

func (p *probe) checkStorages(ctx context.Context, conn *grpc.ClientConn) bool {
	p.say("checking consistency...")

	client := gitalypb.NewServerServiceClient(conn)
	info, err := client.ServerInfo(ctx, &gitalypb.ServerInfoRequest{})
	switch {
	case err != nil:
		p.fail("failed to receive state from the remote: %v", err)

		return false
	case len(info.GetStorageStatuses()) == 0:
		p.fail("remote has no configured storages")

		return false
	}

	if !p.compare(info.GetStorageStatuses()) {
		p.fail("consistency check failed")

		return false
	}
	p.say("SUCCESS: node configuration is consistent!")

	return true
}

// compare looks for every configured storage in what the node reported, and tells whether all are
// there and well.
func (p *probe) compare(reported []*gitalypb.ServerInfoResponse_StorageStatus) bool {
	found := map[string]*gitalypb.ServerInfoResponse_StorageStatus{}
	for _, status := range reported {
		if found[status.GetStorageName()] != nil {
			p.fail("remote has duplicated storage: %q", status.GetStorageName())

			return false
		}
		found[status.GetStorageName()] = status
	}

	before := len(p.problems)
	for _, name := range slices.Sorted(maps.Keys(p.storages)) {
		status := found[name]
		switch {
		case status == nil:
			p.fail("configured storage was not reported by remote: %q", name)
		case !status.GetReadable() || !status.GetWriteable():
			p.fail("storage %q is not readable or writable", name)
		default:
			p.say("SUCCESS: confirmed Gitaly storage %q in virtual storages %v is served",
				name, p.storages[name])
		}
	}

	return len(p.problems) == before
}

// fail says what is wrong, and remembers it.
func (p *probe) fail(format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	p.problems = append(p.problems, problem)
	p.say("ERROR: %s", problem)
}

func (p *probe) say(format string, args ...any) {
	if p.out == nil {
		return
	}
	p.out.printf("[%s]: %s\n", p.address, fmt.Sprintf(format, args...))
}

// lockedWriter keeps the lines of concurrent probes whole.
type lockedWriter struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (l *lockedWriter) printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()

	_, _ = fmt.Fprintf(l.w, format, args...) // A closed pipe leaves nobody to be told.
}
