package acceptance_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"praefect/proxy/certificate/authority"
	"praefect/test/cluster"
)

const (
	external = "PRAEFECT_EXTERNAL_TOKEN"
	// outsider is a storage that belongs to no virtual storage.
	outsider = "plain"
)

// guided is a cluster as the guides describe it, on the ports that they name: several virtual
// storages, tokens of their own for nodes, addresses of all kinds. No test disturbs it.
type guided struct {
	*cluster.Cluster
	// ip is an address of this machine on which those ports are free, environment what the
	// programs get.
	ip          string
	environment []string
	own         *authority.Authority
	files       authority.Files
	shared      *shared
	ends        *closers
	// reached are the addresses of nodes as the configuration writes them.
	reached map[string]string
}

// guide returns the cluster of the guides.
func guide(t *testing.T) *guided {
	t.Helper()
	g, err := suite.guided()
	require.NoError(t, err)

	return g
}

// text is the configuration of a proxy.
func (g *guided) text(t *testing.T, proxy *cluster.Proxy) string {
	t.Helper()
	content, err := os.ReadFile(proxy.ConfigFile)
	require.NoError(t, err)

	return string(content)
}

func startGuided(ctx context.Context, shared *shared, ends *closers) (*guided, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	g := &guided{
		ip:      fmt.Sprintf("127.%d.%d.1", 100+rand.IntN(100), rand.IntN(250)),
		shared:  shared,
		ends:    ends,
		reached: map[string]string{},
	}
	dir := filepath.Join(shared.dir, "guided")
	trusted := filepath.Join(dir, "trusted-certs")
	if err := os.MkdirAll(trusted, 0o755); err != nil {
		return nil, err
	}
	var err error
	if g.own, err = authority.New("guided"); err != nil {
		return nil, err
	}
	if g.files, err = g.own.Write(trusted, "localhost", g.ip, g.near(12)); err != nil {
		return nil, err
	}
	g.environment = []string{"SSL_CERT_FILE=" + g.files.Authority, "NTP_HOST=ntp.invalid"}
	if err := shared.server.Create(ctx, "guided", ""); err != nil {
		return nil, err
	}
	g.Cluster, err = cluster.Start(ctx, g.config(ctx, dir))
	if err != nil {
		return nil, err
	}
	ends.add(g.Close)

	if err := g.extend(ctx); err != nil {
		return nil, err
	}

	return g, nil
}

// near is another address of this machine.
func (g *guided) near(last int) string {
	return strings.TrimSuffix(g.ip, "1") + fmt.Sprint(last)
}

// config has what guides name, unless the harness knows better.
func (g *guided) config(ctx context.Context, dir string) cluster.Config {
	return cluster.Config{
		Programs: g.shared.programs, Dir: dir,
		Database: cluster.DatabaseOn(g.shared.server, "guided"),
		Outside:  []string{"gitaly-4", "gitaly-5", "gitaly-6", outsider},
		Proxies:  2, Token: external, Env: g.environment,
		NodeTokens: map[string]string{
			"gitaly-1": "INTERNAL_1", "gitaly-2": "INTERNAL_2", "gitaly-3": "INTERNAL_3",
			"gitaly-4": "INTERNAL_4", "gitaly-5": "INTERNAL_5", "gitaly-6": "INTERNAL_6",
			outsider: "PLAIN",
		},
		Head: "prometheus_exclude_database_from_default_metrics = true\n",
		NodeAddress: func(address string) string {
			if g.reached[address] == "" {
				g.reached[address] = g.reach(ctx, dir, address)
			}
			return g.reached[address]
		},
		Extra: "primary = true\n[failover]\nelection_strategy = \"sql\"\n",
	}
}

// reach makes a node available as the guides have it: the first on port 8075, the second with TLS
// on port 9999, the third on a socket. What fails to listen fails to be reached.
func (g *guided) reach(ctx context.Context, dir, address string) string {
	var listen net.ListenConfig
	var listener net.Listener
	var err error
	var written string
	switch len(g.reached) {
	case 0:
		host := net.JoinHostPort(g.near(11), "8075")
		written = "tcp://" + host
		listener, err = listen.Listen(ctx, "tcp", host)
	case 1:
		host := net.JoinHostPort(g.near(12), "9999")
		written = "tls://" + host
		if listener, err = listen.Listen(ctx, "tcp", host); err == nil {
			listener, err = g.securely(listener)
		}
	default:
		path := filepath.Join(dir, "gitaly-3.socket")
		written = "unix:" + path
		listener, err = listen.Listen(ctx, "unix", path)
	}
	if err == nil {
		g.ends.add(forward(listener, "tcp", strings.TrimPrefix(address, "tcp://")))
	}

	return written
}

func (g *guided) securely(listener net.Listener) (net.Listener, error) {
	pair, err := tls.LoadX509KeyPair(g.files.Certificate, g.files.Key)

	return tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair},
	}), err
}

// extend gives both proxies the other virtual storages, and the second the ports of the guides.
func (g *guided) extend(ctx context.Context) error {
	for i, proxy := range g.Proxies() {
		content, err := os.ReadFile(proxy.ConfigFile)
		if err != nil {
			return err
		}
		text := strings.Replace(string(content), "\nlisten_addr = \"127.0.0.1:",
			"\nlisten_addr = \"0.0.0.0:", 1)
		if i == 1 {
			proxy.Address = "tcp://" + net.JoinHostPort(g.ip, "2305")
			text = set(text, "listen_addr", net.JoinHostPort(g.ip, "2305"))
			text = set(text, "prometheus_listen_addr", net.JoinHostPort(g.ip, "9652"))
			text = fmt.Sprintf("tls_listen_addr = %q\n%s[tls]\ncertificate_path = %q\n"+
				"key_path = %q\n", net.JoinHostPort(g.ip, "3305"), text,
				g.files.Certificate, g.files.Key)
		}
		text += g.storages()
		if err := os.WriteFile(proxy.ConfigFile, []byte(text), 0o600); err != nil {
			return err
		}
		if err := proxy.Process().Terminate(ctx); err != nil {
			return err
		}
		if err := proxy.Start(ctx); err != nil {
			return err
		}
	}

	return nil
}

// storages are virtual storages of one and of two nodes.
func (g *guided) storages() string {
	var text strings.Builder
	for i, node := range g.Outside()[:3] {
		switch i {
		case 0:
			text.WriteString("[[virtual_storage]]\nname = \"praefect\"\n")
		case 1:
			text.WriteString("[[virtual_storage]]\nname = \"pair\"\n")
		}
		fmt.Fprintf(&text, "[[virtual_storage.node]]\nstorage = %q\naddress = %q\ntoken = %q\n",
			node.Storage, node.Address, "INTERNAL_"+strings.TrimPrefix(node.Storage, "gitaly-"))
	}

	return text.String()
}

// forward carries every connection of a listener to an address, until it is ended.
func forward(listener net.Listener, network, address string) (end func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { carry(ctx, conn, network, address) })
		}
	})

	return func() error {
		err := listener.Close()
		cancel()
		running.Wait()

		return err
	}
}

// carry carries one connection in both directions until either side or ctx ends.
func carry(ctx context.Context, near net.Conn, network, address string) {
	far, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		_ = near.Close() // The client sees that nobody is there.

		return
	}
	var both sync.WaitGroup
	closing := sync.OnceValue(func() error { return errors.Join(near.Close(), far.Close()) })
	stop := context.AfterFunc(ctx, func() { _ = closing() })
	defer stop()
	for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1]) // However it ended, both ends are closed.
			_ = closing()
		})
	}
	both.Wait()
}
