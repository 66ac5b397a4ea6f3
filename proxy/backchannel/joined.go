package backchannel

import (
	"encoding/binary"
	"net"
)

const (
	headerLen = 12 // of each yamux frame
	typeData  = 0  // the only frame that has a body

	// joinedMax is the largest body that is copied behind its header. gRPC
	// writes at most 32 KiB at a time; above that, one more system call
	// costs less than the copy.
	joinedMax = 32 << 10
)

// joined sends the header of a frame and its body, which the multiplexing
// library writes one after the other, as one write: one system call, one
// packet or one TLS record instead of two.
type joined struct {
	net.Conn
	frame []byte // the header that waits for its body, with room for both
}

func newJoined(conn net.Conn) *joined {
	return &joined{Conn: conn, frame: make([]byte, 0, headerLen)}
}

// Write implements net.Conn for the one goroutine of the library that writes.
// The body of a frame always follows its header in the next call.
func (j *joined) Write(p []byte) (int, error) {
	if len(j.frame) == 0 && hasBody(p) {
		j.frame = append(j.frame, p...)
		return len(p), nil
	}
	if len(j.frame) == 0 {
		return j.Conn.Write(p) //nolint:wrapcheck // adds nothing
	}
	frame := j.frame
	j.frame = j.frame[:0]
	if len(p) > joinedMax {
		if _, err := j.Conn.Write(frame); err != nil {
			return 0, err //nolint:wrapcheck // adds nothing
		}
		return j.Conn.Write(p) //nolint:wrapcheck // adds nothing
	}
	frame = append(frame, p...)
	j.frame = frame[:0]
	n, err := j.Conn.Write(frame)
	return max(n-headerLen, 0), err
}

func hasBody(p []byte) bool {
	return len(p) == headerLen && p[1] == typeData && binary.BigEndian.Uint32(p[8:]) > 0
}
