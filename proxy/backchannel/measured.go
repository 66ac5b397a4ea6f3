package backchannel

import (
	"net"

	"github.com/prometheus/client_golang/prometheus"
)

// measured observes how much each system call of a multiplexed connection carries. Many small
// numbers mean that much is spent on little.
type measured struct {
	net.Conn
	reads, writes prometheus.Observer
}

// Read implements net.Conn.
func (m measured) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.reads.Observe(float64(n))
	return n, err //nolint:wrapcheck // adds nothing
}

// Write implements net.Conn.
func (m measured) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.writes.Observe(float64(n))
	return n, err //nolint:wrapcheck // adds nothing
}

// measure returns the connection, measured if somebody wants to know.
func (c Config) measure(conn net.Conn) net.Conn {
	if c.ReadSizes == nil || c.WriteSizes == nil {
		return conn
	}
	return measured{Conn: conn, reads: c.ReadSizes, writes: c.WriteSizes}
}
