package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Proxy is a praefect in front of the nodes.
type Proxy struct {
	// Name tells the proxies of a cluster apart; the files of each are called so.
	Name string
	// Address is where it listens (tcp://host:port), Socket its unix socket (unix:path), Metrics
	// the URL of its metrics.
	Address string
	Socket  string
	Metrics string
	// ConfigFile is the configuration file that the program reads.
	ConfigFile string

	program string
	log     string
	env     []string
	process *Process
}

// place is where a proxy keeps its files, and how they are called.
type place struct{ dir, name string }

func (p place) file(suffix string) string { return filepath.Join(p.dir, p.name+suffix) }

// proxyName numbers the proxies; the first has no number, as most clusters have no other.
func proxyName(index int) string {
	if index == 0 {
		return "praefect"
	}

	return fmt.Sprintf("praefect-%d", index+1)
}

func newProxy(ctx context.Context, config Config, at place, nodes []*Node) (*Proxy, error) {
	address, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	metrics, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}

	proxy := &Proxy{
		Name:       at.name,
		Address:    "tcp://" + address,
		Socket:     "unix:" + at.file(".socket"),
		Metrics:    "http://" + metrics + "/metrics",
		ConfigFile: at.file(".toml"),
		program:    config.Programs.Praefect,
		log:        filepath.Join(at.dir, "log", at.name+".log"),
		env:        config.Env,
	}

	if config.ProxyEnv != nil {
		proxy.env = slices.Concat(proxy.env, config.ProxyEnv(at.name))
	}
	reached, err := routes(ctx, config, at.name, nodes)
	if err != nil {
		return nil, err
	}
	text := configuration(config, listeners{
		address: address, metrics: metrics, socket: at.file(".socket"),
	}, reached)
	if err := os.WriteFile(proxy.ConfigFile, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}

	return proxy, nil
}

// Command runs a subcommand of the program with the cluster's configuration and returns what it
// wrote.
func (p *Proxy) Command(ctx context.Context, args ...string) (string, error) {
	var output bytes.Buffer

	command := exec.CommandContext(ctx, p.program,
		append([]string{"-config", p.ConfigFile}, args...)...)
	command.Env = append(command.Environ(), p.env...)
	command.Stdout, command.Stderr = &output, &output

	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("praefect %v: %w: %s", args, err, output.String())
	}

	return output.String(), nil
}

// Launch starts the program without waiting for it.
func (p *Proxy) Launch() error {
	process, err := Spawn(Command{
		Path: p.program, Args: []string{"-config", p.ConfigFile}, Env: p.env, Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	p.process = process

	return nil
}

// Start starts the program and waits until it serves.
func (p *Proxy) Start(ctx context.Context) error {
	if err := p.Launch(); err != nil {
		return err
	}

	if err := WaitServing(ctx, p.process, p.Address); err != nil {
		return fmt.Errorf("proxy: %w", err)
	}

	return nil
}

// Process is the latest program; nil before the first start.
func (p *Proxy) Process() *Process { return p.process }
