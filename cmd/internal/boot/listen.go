package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// probeTimeout bounds the question whether somebody serves on a socket file. A process accepts or
// refuses at once; only a full backlog, which is a sign of life, makes it take longer.
const probeTimeout = time.Second

// errSocketInUse says that another process serves on the configured socket file.
var errSocketInUse = errors.New("another process serves on this socket")

// Sockets opens listeners and knows those that the process was started with.
type Sockets interface {
	// Listener returns the one that was inherited for an address, or nil.
	Listener(network, address string) (net.Listener, error)
	// Listen opens one that a successor can inherit.
	Listen(network, address string) (net.Listener, error)
}

// listen opens a listener, or takes over that of the process which this one replaces.
func (s *server) listen(ctx context.Context, address string) (net.Listener, error) {
	if s.Sockets == nil {
		return listen(ctx, address)
	}
	network, target := parseAddress(address)
	listener, err := s.Sockets.Listener(network, target)
	if listener == nil && err == nil {
		if err = clean(ctx, network, address, target); err == nil {
			listener, err = s.Sockets.Listen(network, target)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("can't create new listener: %w", err)
	}

	return listener, nil
}

// clean makes place for a socket file.
func clean(ctx context.Context, network, address, target string) error {
	if network != "unix" {
		return nil
	}
	if err := removeStale(ctx, target); err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}

	return nil
}

// listen opens a listener for host:port, tcp:// or tls://host:port, unix:path, unix://path, or
// /path.
func listen(ctx context.Context, address string) (net.Listener, error) {
	network, target := parseAddress(address)
	if err := clean(ctx, network, address, target); err != nil {
		return nil, err
	}

	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, target)
	if err != nil {
		return nil, fmt.Errorf("can't create new listener: %w", err)
	}

	return listener, nil
}

func parseAddress(address string) (network, target string) {
	for _, scheme := range []string{"tcp://", "tls://"} {
		if rest, ok := strings.CutPrefix(address, scheme); ok {
			return "tcp", rest
		}
	}
	if rest, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", strings.TrimPrefix(rest, "//")
	}
	if strings.HasPrefix(address, "/") {
		return "unix", address
	}

	return "tcp", address
}

// removeStale removes a socket file that a killed process left behind. It leaves a file that is no
// socket, and a socket on which somebody listens, alone; listening fails on them.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err //nolint:wrapcheck // It names operation and path.
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket", path)
	}

	dialer := net.Dialer{Timeout: probeTimeout}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return errors.Join(errSocketInUse, conn.Close())
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: %w", errSocketInUse, err)
	}

	return os.Remove(path) //nolint:wrapcheck // It names operation and path.
}
