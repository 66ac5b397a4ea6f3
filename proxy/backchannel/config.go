package backchannel

import (
	"fmt"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/hashicorp/yamux"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// windowMin is the window that every stream starts with whatever its
	// ends have configured; the protocol knows no smaller one.
	windowMin = 256 << 10

	// windowDefault lets the one stream that carries all calls of a
	// connection fill a fast network: with the smallest window it would
	// stop after each 256 KiB and wait for the reader.
	windowDefault = 16 << 20

	// backlogDefault is the number of streams that may wait for their
	// acceptance, and the number of our own opens that may wait for the
	// other end's. The latter bounds how many sidechannels can be opened
	// towards one client at the same moment.
	backlogDefault = 256

	// keepAliveUnused satisfies the library's validation. Keep-alive is
	// off: gRPC pings the connection itself.
	keepAliveUnused = 30 * time.Second
)

// Config holds the bounds of a multiplexed connection. Start from
// [DefaultConfig]; [NewClient] and [NewServer] panic on values that Validate
// refuses.
type Config struct {
	// AcceptBacklog is how many streams the other end may have opened
	// without our having accepted them, and how many we may have opened
	// without its having accepted them. At least 1.
	AcceptBacklog int
	// StreamWindow is how many bytes the other end may send on one stream
	// ahead of our reading, which is also the memory that a stream whose
	// reader stands still can hold. At least 256 KiB.
	StreamWindow uint32
	// StreamOpenTimeout ends the connection when the other end has not
	// accepted a stream of ours for so long.
	StreamOpenTimeout time.Duration
	// StreamCloseTimeout resets a stream that we closed when the other end
	// has not closed it for so long. Until then the other end can read what
	// it had not read yet; a reset takes that from it.
	StreamCloseTimeout time.Duration
	// WriteTimeout is how long a frame may wait for the socket. A peer that
	// stops reading fails its streams after this time.
	WriteTimeout time.Duration
	// HandshakeTimeout bounds everything before the first HTTP/2 frame: TLS,
	// the first bytes that tell the kind of connection, the HTTP/2 preface.
	HandshakeTimeout time.Duration
	// ReadSizes and WriteSizes, if neither is nil, observe the bytes of each
	// read and write of the connection below.
	ReadSizes, WriteSizes prometheus.Observer
}

// DefaultConfig returns the values that are used on connections in both
// directions: backlog 256, window 16 MiB, open timeout 75 s, close timeout
// 5 min, write timeout 10 s, handshake timeout 5 s.
func DefaultConfig() Config {
	return Config{
		AcceptBacklog:      backlogDefault,
		StreamWindow:       windowDefault,
		StreamOpenTimeout:  75 * time.Second,
		StreamCloseTimeout: 5 * time.Minute,
		WriteTimeout:       10 * time.Second,
		HandshakeTimeout:   5 * time.Second,
	}
}

// Validate reports every value that cannot work.
func (c Config) Validate() error {
	var findings *multierror.Error
	if c.AcceptBacklog < 1 {
		findings = multierror.Append(findings,
			fmt.Errorf("accept backlog must be at least 1 but it was %d", c.AcceptBacklog))
	}
	if c.StreamWindow < windowMin {
		findings = multierror.Append(findings,
			fmt.Errorf("maximum stream window size must be at least %d but it was %d",
				windowMin, c.StreamWindow))
	}
	for _, duration := range []struct {
		name  string
		value time.Duration
	}{
		{"stream open timeout", c.StreamOpenTimeout},
		{"stream close timeout", c.StreamCloseTimeout},
		{"write timeout", c.WriteTimeout},
		{"handshake timeout", c.HandshakeTimeout},
	} {
		if duration.value <= 0 {
			findings = multierror.Append(findings,
				fmt.Errorf("%s must be positive but it was %s", duration.name, duration.value))
		}
	}
	return findings.ErrorOrNil()
}

// mustValid stops the program at its start when it was composed wrongly:
// whoever reads the values from outside calls Validate and reports.
func (c Config) mustValid() {
	if err := c.Validate(); err != nil {
		panic("backchannel configuration: " + err.Error())
	}
}

func (c Config) yamux(log *zap.Logger) *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          c.AcceptBacklog,
		EnableKeepAlive:        false,
		KeepAliveInterval:      keepAliveUnused,
		ConnectionWriteTimeout: c.WriteTimeout,
		MaxStreamWindowSize:    c.StreamWindow,
		StreamOpenTimeout:      c.StreamOpenTimeout,
		StreamCloseTimeout:     c.StreamCloseTimeout,
		Logger:                 yamuxLog{log: log},
	}
}
