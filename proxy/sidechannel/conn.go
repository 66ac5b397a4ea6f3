package sidechannel

import (
	"bufio"
	"io"
	"net"
)

// readBuffer is large enough for the headers of small frames to be read with
// their payload; a larger payload is not copied through it.
const readBuffer = 4 << 10

// ClientConn is the caller's end of a sidechannel. One goroutine may read and
// another may write at the same time.
type ClientConn struct {
	stream net.Conn
	writer frameWriter
}

func newClientConn(stream net.Conn) *ClientConn {
	return &ClientConn{stream: stream, writer: frameWriter{sink: stream}}
}

// Read returns the server's bytes, and io.EOF when the server has closed the
// sidechannel or the connection has ended; the status of the call tells which.
func (c *ClientConn) Read(p []byte) (int, error) {
	return c.stream.Read(p) //nolint:wrapcheck // readers compare with io.EOF
}

// Write sends p to the server.
func (c *ClientConn) Write(p []byte) (int, error) { return c.writer.Write(p) }

// CloseWrite tells the server that all data has been sent. Writes fail with
// [ErrWriteClosed] afterwards. It can be called repeatedly.
func (c *ClientConn) CloseWrite() error { return c.writer.close() }

// ServerConn is the server's end of a sidechannel. One goroutine may read and
// another may write at the same time.
type ServerConn struct {
	stream net.Conn
	reader io.Reader
	stop   func() bool // lets go of the call's context
}

func newServerConn(stream net.Conn, stop func() bool) *ServerConn {
	return &ServerConn{
		stream: stream,
		reader: &frameReader{source: bufio.NewReaderSize(stream, readBuffer)},
		stop:   stop,
	}
}

// Read returns the client's data; io.EOF after the client's half-close,
// io.ErrUnexpectedEOF when the client ends without it, [ErrInvalidFrame].
func (c *ServerConn) Read(p []byte) (int, error) {
	return c.reader.Read(p) //nolint:wrapcheck // readers compare with io.EOF
}

// Write sends p to the client.
func (c *ServerConn) Write(p []byte) (int, error) {
	return c.stream.Write(p) //nolint:wrapcheck // adds nothing
}

// Close tells the client that all data has been sent; reads fail afterwards.
// The server closes before it answers the call. It returns nil.
func (c *ServerConn) Close() error {
	c.stop()
	abort(c.stream)
	return nil
}
