package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Proxy is the praefect in front of the nodes.
type Proxy struct {
	// Address is where it listens (tcp://host:port), Socket its unix socket (unix:path), Metrics
	// the URL of its metrics.
	Address string
	Socket  string
	Metrics string
	// ConfigFile is the configuration file that the program reads.
	ConfigFile string

	program string
	log     string
	process *Process
}

func newProxy(ctx context.Context, config Config, dir string, nodes []*Node) (*Proxy, error) {
	address, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	metrics, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}

	proxy := &Proxy{
		Address:    "tcp://" + address,
		Socket:     "unix:" + filepath.Join(dir, "praefect.socket"),
		Metrics:    "http://" + metrics + "/metrics",
		ConfigFile: filepath.Join(dir, "praefect.toml"),
		program:    config.Programs.Praefect,
		log:        filepath.Join(dir, "log", "praefect.log"),
	}

	text := configuration(config, listeners{
		address: address, metrics: metrics, socket: filepath.Join(dir, "praefect.socket"),
	}, nodes)
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
	command.Stdout, command.Stderr = &output, &output

	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("praefect %v: %w: %s", args, err, output.String())
	}

	return output.String(), nil
}

// Launch starts the program without waiting for it.
func (p *Proxy) Launch() error {
	process, err := Spawn(Command{
		Path: p.program, Args: []string{"-config", p.ConfigFile}, Log: p.log,
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
